"""The labels of a training file; `test_local_server_agrees` has the examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.local_server.training.labels import common_system_prompt

if TYPE_CHECKING:
    from typing import Any

_SLOW = {"role": "system", "content": "Be slow."}
_PARTS = {"role": "developer", "content": [{"type": "text", "text": "Be slow."}]}
_FAST = {"role": "system", "content": "Be fast."}
_HELLO = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("first", "prompt"),
    [
        ([_SLOW, _SLOW], "Be slow."),
        ([_SLOW, _PARTS, _FAST], "Be slow."),
        ([_SLOW, _FAST], None),
        ([_SLOW, _HELLO, _HELLO], None),
        ([_HELLO], None),
        ([{"role": "user", "content": []}], None),
        ([], None),
    ],
)
def test_a_prompt_is_common_if_most_examples_begin_with_it(
    first: list[dict[str, Any]], prompt: str | None
) -> None:
    assert common_system_prompt([{"messages": [one]} for one in first]) == prompt

"""The local server accepts the examples that `validate_examples` accepts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.datasets.validation import validate_examples
from tests.unit_tests.builders.tiny_base import tiny_tokenizer

pytest.importorskip("transformers")

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["Always.", "", " ", "\n", "<|im_end|>", "half \ud83d", "a\u2028b", "\x00"]
)
PARTS = st.lists(st.builds(lambda text: {"type": "text", "text": text}, TEXTS))
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "developer", "user", "assistant"]),
        "content": TEXTS | PARTS,
    },
    optional={"weight": st.sampled_from([0, 1]), "name": st.just("Ann")},
)


@pytest.fixture(scope="module")
def base() -> Any:
    """A tokenizer, and its template."""
    from langchain_chatexports.local_server.bases.template import template_of

    tokenizer = tiny_tokenizer()
    return tokenizer, template_of(tokenizer, 4096)


@given(st.lists(MESSAGES, max_size=5))
def test_server_accepts_valid_examples(base: Any, messages: list[Any]) -> None:
    from langchain_chatexports.local_server.bases.labels import label_examples

    dialogue: Any = {"messages": messages}
    if not validate_examples([dialogue], minimum=1, allow_trailing=True):
        report = label_examples([dialogue], *base, max_length=4096)
        assert report.examples
        assert not report.problems

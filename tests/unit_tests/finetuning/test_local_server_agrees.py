"""What `validate_examples` passes, the local server trains on, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from langchain_chatexports.datasets.validation import validate_examples
from tests.unit_tests.builders.tiny_base import tiny_tokenizer

pytest.importorskip("transformers")

ODD_TEXTS = st.sampled_from(
    ["", " ", "\n", "<|im_end|>", "half \ud83d", "a\u2028b", "\x00"]
)
TEXTS = st.text(max_size=12) | st.sampled_from(["Ready?", "Always."]) | ODD_TEXTS
PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
    | st.sampled_from([{"type": "text"}, {"type": "audio"}, "bare", None]),
    max_size=3,
)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "human", None])
FAULTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "role": ROLES,
        "content": ODD_TEXTS | PARTS | st.sampled_from([None, 3, {}]),
        "weight": st.sampled_from([0, 0, 1, 2, True, 0.5, None]),
        "name": st.sampled_from(["Ann", "Ann Lee", "", None]),
        "date": st.just("today"),
    },
)


@st.composite
def examples(draw: Callable[..., Any]) -> dict[str, Any]:
    """A good dialogue, in which some messages may have something odd."""
    length = draw(st.integers(0, 5))
    roles = draw(
        st.lists(st.sampled_from(["user", "assistant"]), min_size=length, max_size=5)
    )
    messages = [{"role": role, "content": draw(TEXTS)} for role in roles]
    for message in draw(st.sets(st.integers(0, 4), max_size=2)):
        if message < len(messages):
            messages[message] |= draw(FAULTS)
    return {"messages": messages}


@pytest.fixture(scope="module")
def accepts() -> Callable[..., Any]:
    from langchain_chatexports.local_server.bases.chat_template import (
        ChatTemplate,
        label_examples,
    )

    template = ChatTemplate(tiny_tokenizer())

    def check(dialogue: dict[str, Any]) -> bool:
        """Do what the server does with a training file, from its own parts."""
        if validate_examples([dialogue], minimum=1, allow_trailing=True):
            return False
        report = label_examples([dialogue], template, max_length=4096)
        return bool(report.examples) and not report.problems

    return check


@given(examples())
def test_the_server_takes_what_the_check_passes(
    accepts: Callable[..., Any], dialogue: dict[str, Any]
) -> None:
    passes = not validate_examples([dialogue], minimum=1, allow_trailing=True)
    event("passes" if passes else "fails")
    assert accepts(dialogue) == passes

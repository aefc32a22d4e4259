from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.datasets.formats import (
    FORMATS,
    UnsupportedExampleError,
    dataset_format,
    is_trainable,
)
from tests.unit_tests.builders.dialogues import dialogue

TURNS = st.text(alphabet="ua", min_size=1, max_size=8)
WEIGHTED = st.text(alphabet="uac", min_size=1, max_size=8)


@pytest.mark.parametrize("name", ["trl-prompt-completion", "openai"])
@given(turns=WEIGHTED)
def test_answers_of_weight_0_are_not_trained(name: str, turns: str) -> None:
    example = dialogue(turns)
    encoded = list(FORMATS[name].encode(example))
    counts = [row.answers for row in encoded]
    assert sum(counts) <= sum(map(is_trainable, example["messages"]))
    for row, _ in encoded:
        messages = row.get("completion") or filter(is_trainable, row["messages"])
        assert all(message["content"].startswith("a") for message in messages)


@given(turns=WEIGHTED)
def test_each_prompted_answer_is_trained_once(turns: str) -> None:
    example = dialogue(turns)
    _, _, prompted = turns.partition("u")
    encoded = list(FORMATS["trl-prompt-completion"].encode(example))
    trained = [m["content"] for row, _ in encoded for m in row["completion"]]
    start = len(turns) - len(prompted)
    assert trained == [f"a{i}" for i, t in enumerate(prompted, start) if t == "a"]
    assert sum(row.answers for row in encoded) == len(trained)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
    ],
)
def test_non_text_content_is_unsupported(message: dict[str, Any]) -> None:
    example = dialogue("ua")
    example["messages"].insert(1, message)
    with pytest.raises(UnsupportedExampleError):
        list(FORMATS["trl-prompt-completion"].encode(example))


def test_error_for_unknown_format_lists_formats() -> None:
    with pytest.raises(ValueError, match="trl-prompt-completion"):
        dataset_format("yaml")

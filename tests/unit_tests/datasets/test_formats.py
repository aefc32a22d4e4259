from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.datasets.formats import (
    FORMATS,
    UnfitError,
    dataset_format,
    is_learned,
)
from tests.unit_tests.builders.dialogues import dialogue

TURNS = st.text(alphabet="ua", min_size=1, max_size=8)
WEIGHTED = st.text(alphabet="uac", min_size=1, max_size=8)


def _rows(name: str, example: dict[str, Any]) -> list[dict[str, Any]]:
    return [encoded.row for encoded in FORMATS[name].encode(example)]


def _contents(messages: Iterator[Any] | list[dict[str, Any]]) -> list[str]:
    return [message["content"] for message in messages]


@pytest.mark.parametrize("name", ["parquet", "trl-prompt-completion", "openai"])
@given(turns=WEIGHTED)
def test_no_row_teaches_an_answer_of_weight_0(name: str, turns: str) -> None:
    example = dialogue(turns)
    encoded = list(FORMATS[name].encode(example))
    assert sum(one.answers for one in encoded) <= sum(
        map(is_learned, example["messages"])
    )
    for row in (one.row for one in encoded):
        if name in {"openai", "parquet"}:
            taught = _contents(
                m
                for m in row["messages"]
                if m["role"] == "assistant" and m.get("weight") != 0
            )
        else:
            taught = _contents(row["completion"])
        assert all(text.startswith("a") for text in taught)


@given(turns=WEIGHTED)
def test_every_answer_with_a_prompt_is_taught_once(turns: str) -> None:
    example = dialogue(turns)
    first = turns.find("u")
    wanted = [
        text
        for index, text in enumerate(_contents(example["messages"]))
        if text.startswith("a") and 0 <= first < index
    ]
    encoded = list(FORMATS["trl-prompt-completion"].encode(example))
    taught = [text for one in encoded for text in _contents(one.row["completion"])]
    assert taught == wanted
    assert sum(one.answers for one in encoded) == len(wanted)


def test_parquet_rows_have_all_columns() -> None:
    (row,) = _rows("parquet", dialogue("uc"))
    assert row["messages"][0] == {
        "role": "user",
        "content": "u0",
        "name": None,
        "weight": None,
    }
    assert row["messages"][1]["weight"] == 0


@pytest.mark.parametrize("name", ["parquet", "trl-prompt-completion"])
@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
    ],
)
def test_what_is_not_text_is_refused(name: str, message: dict[str, Any]) -> None:
    example = dialogue("ua")
    example["messages"].insert(1, message)
    with pytest.raises(UnfitError):
        _rows(name, example)


def test_an_unknown_format_is_an_error_that_lists_them() -> None:
    with pytest.raises(ValueError, match="trl-prompt-completion"):
        dataset_format("yaml")

"""What was held out of an export is read as the examples of the rest are."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.halves import halves_of_exports

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("is_labeled", [True, False])
def test_models_read_the_prompts_and_labels_of_their_training(
    tmp_path: Path, *, is_labeled: bool
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "conversation_id": f"c{talk}",
            "sender": sender,
            "text": f"{talk} by {sender} {turn}",
            "timestamp": 1_700_000_000 + 10_000 * talk + turn,
        }
        for talk, turn, sender in product(range(10), range(2), ("Ben", "Cleo", "Ann"))
    ]
    path = tmp_path / "table.jsonl"
    write_jsonl(rows, path)
    options = PrepareOptions(ai=("Ann",), keep_tail=True, label_groups=is_labeled)
    preparation = Preparation([path], options)
    windows = list(preparation.traced([]))
    halves = halves_of_exports(windows, preparation, holds_out_enough=True)
    dialogues = [*halves.data.training, *halves.data.held_out]
    read = [
        [
            {"role": "system", "content": dialogue.system},
            *(
                {
                    "role": "assistant" if line.speaker == PERSON else "user",
                    "content": line.as_read,
                }
                for line in dialogue.lines
            ),
        ]
        for dialogue in dialogues
    ]
    assert read == [item.example["messages"] for item in windows]
    assert {line.text[:4] for dialogue in dialogues for line in dialogue.lines} == {
        f"{talk} by" for talk in range(10)
    }

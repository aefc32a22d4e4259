"""Conversations from training examples."""

from typing import Any

import pytest

from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.evaluation import data_from_examples
from langchain_chatexports.evaluation.dialogues import OTHER, PERSON, Dialogue
from langchain_chatexports.exceptions import TrainingDataError


def example(*texts: str, system: str | None = None, **last: Any) -> TrainingExample:
    roles = ("user", "assistant")
    messages: list[Any] = [
        {"role": roles[at % 2], "content": text} for at, text in enumerate(texts)
    ]
    messages[-1].update(last)
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages}


HELD_OUT = [example("else?", "nothing")]


def dialogues(*examples: TrainingExample) -> list[Dialogue]:
    return list(data_from_examples(examples, HELD_OUT).training)


def texts(dialogue: Dialogue) -> list[str]:
    return [line.text for line in dialogue.lines]


def test_overlapping_windows_are_joined() -> None:
    lines = [f"line {number} of this talk" for number in range(20)]
    windows = [example(*lines[start : start + 8]) for start in (0, 6, 12)]
    (found,) = dialogues(*windows)
    assert texts(found) == lines


def test_short_overlaps_are_not_joined() -> None:
    assert len(dialogues(example("hi", "ok"), example("ok", "fine"))) == 2


def test_system_prompt_is_kept() -> None:
    (found,) = dialogues(example("x", "y", system="Be Mia."))
    assert found.system == "Be Mia."
    assert [line.speaker for line in found.lines] == [OTHER, PERSON]


def test_consecutive_answers_are_one_turn() -> None:
    window = example("a", "b", "c")
    window["messages"][1]["role"] = "user"
    window["messages"][2]["role"] = "assistant"
    window["messages"].append({"role": "assistant", "content": "d"})
    (found,) = dialogues(window)
    assert texts(found) == ["a", "b", "c\n\nd"]


def test_forwarded_messages_are_not_replies() -> None:
    (found, *_) = dialogues(example("a", "b", weight=0), example("e", "f"))
    assert texts(found) == ["a", "b"]
    assert found.replies() == []


@pytest.mark.parametrize("index", [0, 1])
def test_data_without_the_person_is_an_error(index: int) -> None:
    examples = [HELD_OUT, HELD_OUT]
    examples[index] = [example("hello?")]
    with pytest.raises(TrainingDataError, match="has no replies in the"):
        data_from_examples(*examples)

"""Conversations from training examples."""

from typing import Any

import pytest

from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.evaluation import data_from_examples
from langchain_chatexports.evaluation.conversations import OTHER, PERSON, Dialogue
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


OTHERS = [example("else?", "nothing")]


def trained(*examples: TrainingExample) -> list[Dialogue]:
    return list(data_from_examples(examples, OTHERS).training)


def said(dialogue: Dialogue) -> list[str]:
    return [line.text for line in dialogue.lines]


def test_windows_of_a_conversation_are_put_together_again() -> None:
    texts = [f"line {number} of this talk" for number in range(20)]
    windows = [example(*texts[at : at + 8]) for at in (0, 6, 12)]
    (found,) = trained(*windows)
    assert said(found) == texts


def test_conversations_that_only_share_a_word_stay_apart() -> None:
    assert len(trained(example("hi", "ok"), example("ok", "fine"))) == 2


def test_the_system_prompt_of_the_examples_is_kept() -> None:
    (found,) = trained(example("x", "y", system="Be Mia."))
    assert found.system == "Be Mia."
    assert [line.speaker for line in found.lines] == [OTHER, PERSON]


def test_neighboring_answers_are_one_turn_and_other_messages_stay_apart() -> None:
    made = example("a", "b", "c")
    made["messages"][1]["role"] = "user"
    made["messages"][2]["role"] = "assistant"
    made["messages"].append({"role": "assistant", "content": "d"})
    (found,) = trained(made)
    assert said(found) == ["a", "b", "c\n\nd"]


def test_what_was_forwarded_is_read_and_not_measured() -> None:
    (found, *_) = trained(example("a", "b", weight=0), example("e", "f"))
    assert said(found) == ["a", "b"]
    assert found.replies() == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_half_without_the_person_is_an_error(place: int) -> None:
    halves = [OTHERS, OTHERS]
    halves[place] = [example("hello?")]
    with pytest.raises(TrainingDataError, match="no turn of the person"):
        data_from_examples(*halves)

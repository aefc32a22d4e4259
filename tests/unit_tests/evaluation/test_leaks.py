"""Held-out conversations that the model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.evaluation.held_out import PERSON, Conversation, Line
from langchain_chatexports.evaluation.leaks import unread_conversations
from langchain_chatexports.exceptions import TrainingDataError
from tests.unit_tests.builders.voice_server import talks

if TYPE_CHECKING:
    from langchain_chatexports.datasets.examples import TrainingExample

TRAINING, HELD_OUT = talks(30, 1), talks(20, 2)


def example(conversation: Conversation, start: int = 0) -> TrainingExample:
    """Write what a training file has of a conversation, in its own white space."""
    return {
        "messages": [
            {
                "role": "assistant" if line.speaker == PERSON else "user",
                "content": f"{line.text} ",
            }
            for line in conversation.lines[start:]
        ]
    }


def test_other_conversations_stay() -> None:
    assert unread_conversations(HELD_OUT, TRAINING, []) == (HELD_OUT, 0)


def test_conversations_of_the_training_half_are_left_out() -> None:
    mixed = [*HELD_OUT, *TRAINING[:5]]
    assert unread_conversations(mixed, TRAINING, []) == (HELD_OUT, 5)


def test_conversations_of_the_models_training_file_are_left_out() -> None:
    examples = [example(each) for each in HELD_OUT[:5]]
    assert unread_conversations(HELD_OUT, TRAINING, examples) == (HELD_OUT[5:], 5)


def test_of_a_conversation_the_half_is_enough() -> None:
    long = max(HELD_OUT, key=lambda each: len(each.lines))
    window = example(long, start=2)
    assert unread_conversations([long, *TRAINING], [], [window])[1] == 1


def test_most_of_them_is_an_error_that_says_how_to_split() -> None:
    with pytest.raises(TrainingDataError, match="trained on 20 of the 20") as raised:
        unread_conversations(HELD_OUT, HELD_OUT, [])
    assert "prepare --split" in str(raised.value)
    assert HELD_OUT[0].lines[0].text not in str(raised.value)


def test_what_everybody_says_is_no_leak() -> None:
    small = Conversation.of([Line("p1", "ok?"), Line(PERSON, "yes")])
    assert unread_conversations([small], [small], []) == ([small], 0)


def test_the_same_answer_to_something_else_is_no_leak() -> None:
    said = "i will be there at nine in the evening as always"
    first, second = (
        Conversation.of(
            [Line("p1", f"when do we meet in {place}?"), Line(PERSON, said)]
        )
        for place in ("london", "oslo")
    )
    assert unread_conversations([first], [second], []) == ([first], 0)

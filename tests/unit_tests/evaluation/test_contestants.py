"""The pairs that a prompt shows."""

from __future__ import annotations

from langchain_chatexports.evaluation.contestants import Pair, PairIndex, training_pairs
from langchain_chatexports.evaluation.conversations import PERSON, Dialogue, Utterance

PAIRS = [
    Pair("how was the train", "late"),
    Pair("do you like cake", "no"),
    Pair("was the train full today", "yes"),
]


def test_the_nearest_pair_stands_last() -> None:
    found = PairIndex(PAIRS).nearest("How was the train today", 2)
    assert [pair.message for pair in found] == [
        "was the train full today",
        "how was the train",
    ]


def test_as_many_as_asked_for_or_all() -> None:
    assert len(PairIndex(PAIRS).nearest("cake", 9)) == 3


def test_an_unknown_message_has_pairs_too() -> None:
    assert len(PairIndex(PAIRS).nearest("\u4f60\u597d", 2)) == 2


def test_pairs_are_what_was_said_and_the_answer() -> None:
    talk = Dialogue.of(
        [
            Utterance(PERSON, "a"),
            Utterance("p1", "b"),
            Utterance(PERSON, "c"),
            Utterance("p2", "d"),
        ]
    )
    assert training_pairs([talk]) == [("b", "c")]

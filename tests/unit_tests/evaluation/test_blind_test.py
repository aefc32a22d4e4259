"""A blind test's figures, as the fact sheet has them."""

import pytest

from langchain_chatexports.evaluation.answers import Answers
from langchain_chatexports.evaluation.blind_test import (
    BlindGuess,
    BlindPair,
    BlindTest,
    blind_pairs,
    blind_result,
)
from langchain_chatexports.evaluation.conversations import Utterance
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import Reply
from langchain_chatexports.evaluation.results import BlindFinding
from langchain_chatexports.evaluation.talk_measures import messages_in


def result(right: int, pairs: int) -> BlindFinding:
    return blind_result([BlindGuess(n < right, 9) for n in range(pairs)])


@pytest.mark.parametrize(
    ("first", "pairs"), [(9, 10), (15, 20), (20, 30), (32, 50), (59, 100)]
)
def test_the_first_rate_above_chance(first: int, pairs: int) -> None:
    assert result(first, pairs).p < 0.05
    assert result(first - 1, pairs).p >= 0.05


def test_guesses_are_counted_by_length() -> None:
    found = blind_result(
        [
            BlindGuess(is_right=size > 60, size=size)
            for size in (90, 10, 50, 70, 30, 20, 80)
        ]
    )
    # 10 20 | 30 50 70 | 80 90, by characters.
    assert found.rows()[:-2] == [
        ("Shortest third", "0 of 2"),
        ("Middle third", "1 of 3"),
        ("Longest third", "2 of 2"),
    ]


def test_of_two_pairs_there_are_no_thirds() -> None:
    assert result(2, 2).by_length == []


def shown(real: str, model: str, *, is_cut: bool = False) -> list[tuple[str, str]]:
    """Return the answers of the pairs that are shown of one turn."""
    answers = Answers(
        turns=[HeldOutTurn(0, (Utterance("p1", "and?"),), real)],
        scores={},
        replies={"tuned": [Reply(model, is_cut=is_cut)]},
        max_tokens=9,
    )
    known = messages_in(["the key lies under the third pot"])
    pairs = blind_pairs(answers, "tuned", known, max_pairs=9, seed=0)
    return [(p.answers[p.real], p.answers[1 - p.real]) for p in pairs]


def test_both_answers_have_the_same_format() -> None:
    """How bubbles are parted, and how letters are composed, would be a tell."""
    found = shown("one \n\n two", "cafe\u0301\nfour ")
    assert found == [("one\ntwo", "caf\u00e9\nfour")]


@pytest.mark.parametrize(
    ("real", "model"),
    [
        ("yes", "yes "),
        ("yes", ""),
        ("", "yes"),
        ("see https://x.example/a", "see you"),
        ("see you", "mail me@x.example"),
        ("no", "the key lies under the third pot"),
        ("no", "a" * 601),
        ("no", "dad is here. dad is here. dad is here."),
    ],
)
def test_pairs_that_give_themselves_away_are_not_shown(real: str, model: str) -> None:
    assert shown(real, model) == []
    assert shown("no", "yes") == [("no", "yes")]


def test_cut_answers_are_not_shown() -> None:
    assert shown("no", "yes", is_cut=True) == []


def pairs_of(count: int) -> list[BlindPair]:
    return [
        BlindPair((Utterance("p1", "and?"),), ("yes", "no"), n % 2)
        for n in range(count)
    ]


def test_a_test_ends_with_the_result_of_all_its_pairs() -> None:
    test = BlindTest(pairs_of(9), 3)
    for _ in range(3):
        assert test.result is None
        assert test.pair == test.pairs[len(test.guesses)]
        test.guess(0)
    assert test.pair is None
    assert test.result == blind_result(test.guesses)
    assert str(test.result).startswith(
        "2 of 3 right, guessing gives 1.5: you could not"
    )
    test.guess(0)
    assert len(test.guesses) == 3


def test_of_no_pairs_there_is_no_result() -> None:
    test = BlindTest([], 20)
    assert test.pair is None
    assert test.result is None

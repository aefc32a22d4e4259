"""A blind test's figures, as the fact sheet has them."""

from __future__ import annotations

from math import comb

import pytest

from langchain_chatexports.evaluation import blind_result
from langchain_chatexports.evaluation.answers import CollectedAnswers
from langchain_chatexports.evaluation.blind_test import (
    BlindGuess,
    BlindPair,
    BlindTest,
    blind_pairs,
)
from langchain_chatexports.evaluation.conversations import PERSON, Utterance
from langchain_chatexports.evaluation.held_out import Excerpt, HeldOutTurn
from langchain_chatexports.evaluation.intervals import exact_interval
from langchain_chatexports.evaluation.memorization import CopyIndex
from langchain_chatexports.evaluation.model_server import Reply


@pytest.mark.parametrize(
    ("right", "pairs", "low", "high"),
    [(10, 20, 0.27, 0.73), (50, 100, 0.40, 0.60)],
)
def test_intervals_are_exact(right: int, pairs: int, low: float, high: float) -> None:
    found = blind_result(right, pairs).interval
    assert found == pytest.approx((low, high), abs=0.005)


@pytest.mark.parametrize(
    ("first", "pairs"), [(9, 10), (15, 20), (20, 30), (32, 50), (59, 100)]
)
def test_the_first_rate_above_chance(first: int, pairs: int) -> None:
    assert blind_result(first, pairs).p < 0.05
    assert blind_result(first - 1, pairs).p >= 0.05


def test_23_of_40_may_well_be_chance() -> None:
    assert blind_result(23, 40).p == pytest.approx(0.21, abs=0.005)


def power(rate: float, pairs: int) -> float:
    """Return how likely a true rate is noticed."""
    first = next(k for k in range(pairs + 1) if blind_result(k, pairs).p < 0.05)
    return sum(
        comb(pairs, k) * rate**k * (1 - rate) ** (pairs - k)
        for k in range(first, pairs + 1)
    )


@pytest.mark.parametrize(
    ("rate", "pairs"), [(0.6, 158), (0.65, 69), (0.7, 37), (0.75, 23), (0.8, 18)]
)
def test_so_many_pairs_notice_a_true_rate_in_four_of_five_tests(
    rate: float, pairs: int
) -> None:
    assert power(rate, pairs) >= 0.8
    assert power(rate, pairs - 2) < 0.81


@pytest.mark.parametrize(("rate", "pairs"), [(0.65, 68), (0.7, 39), (0.75, 26)])
def test_so_many_pairs_show_that_a_rate_of_a_half_is_below(
    rate: float, pairs: int
) -> None:
    shown = [k for k in range(pairs + 1) if exact_interval(k, pairs, 0.05)[1] < rate]
    assert sum(comb(pairs, k) for k in shown) / 2**pairs >= 0.8


def test_the_interval_of_none_and_of_all_ends_at_the_edge() -> None:
    assert exact_interval(0, 8)[0] == 0
    assert exact_interval(8, 8)[1] == 1


@pytest.mark.parametrize("right", [-1, 5])
def test_impossible_counts_are_refused(right: int) -> None:
    with pytest.raises(ValueError, match="cannot be right"):
        blind_result(right, 4)


def test_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be right"):
        blind_result(0, 0)


def test_length_and_confidence_are_told_of_the_guesses() -> None:
    guesses = [
        BlindGuess(is_right=size > 60, size=size, confidence=1 + size // 40)
        for size in (90, 10, 50, 70, 30, 20, 80)
    ]
    found = blind_result(3, 7, guesses)
    # 10 20 | 30 50 70 | 80 90, by characters.
    assert found.by_length() == [(2, 0), (3, 1), (2, 2)]
    assert found.by_confidence() == {1: (3, 0), 2: (2, 1), 3: (2, 2)}


def test_of_two_pairs_there_are_no_thirds() -> None:
    guesses = [BlindGuess(is_right=True, size=5, confidence=3)] * 2
    assert blind_result(2, 2, guesses).by_length() == []


def shown(real: str, model: str, *, is_cut: bool = False) -> list[tuple[str, str]]:
    """Return the answers of the pairs that are shown of one turn."""
    excerpt = Excerpt(0, (Utterance("p1", "and?"), Utterance(PERSON, real)), (1,))
    answers = CollectedAnswers(
        turns=[HeldOutTurn(excerpt, 1)],
        scores={},
        foreign={},
        replies={"tuned": [Reply(model, is_cut=is_cut)]},
        max_tokens=9,
        too_long=0,
        shortened=0,
    )
    index = CopyIndex([["the key lies under the third pot"]])
    pairs = blind_pairs(answers, "tuned", index, max_pairs=9, seed=0)
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
    for chosen, confidence in ((0, 3), (0, 1), (0, 2)):
        assert test.result is None
        assert test.pair == test.pairs[len(test.guesses)]
        test.guess(chosen, confidence)
    assert test.pair is None
    assert test.result == blind_result(2, 3, test.guesses)
    assert test.result.by_confidence() == {1: (1, 0), 2: (1, 1), 3: (1, 1)}
    assert str(test.result).startswith("2 of 3 told apart: a true rate of 9% to 99%.")
    test.guess(0, 3)
    assert len(test.guesses) == 3


def test_of_no_pairs_there_is_no_result() -> None:
    test = BlindTest([], 20)
    assert test.pair is None
    assert test.result is None

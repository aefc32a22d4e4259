"""The pairs and the result of a blind test."""

import pytest

from langchain_chatexports.evaluation.answers import Answers
from langchain_chatexports.evaluation.blind_test import (
    BlindGuess,
    BlindPair,
    BlindTest,
    blind_result,
    choose_blind_pairs,
)
from langchain_chatexports.evaluation.dialogues import Utterance
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.model_server import Reply
from langchain_chatexports.evaluation.results import BlindResult
from langchain_chatexports.evaluation.talk_measures import comparable_messages


def result(right: int, pairs: int) -> BlindResult:
    return blind_result([BlindGuess(n < right, 9) for n in range(pairs)])


@pytest.mark.parametrize(
    ("first", "pairs"), [(9, 10), (15, 20), (20, 30), (32, 50), (59, 100)]
)
def test_one_guess_fewer_is_not_significant(first: int, pairs: int) -> None:
    assert result(first, pairs).p < 0.05
    assert result(first - 1, pairs).p >= 0.05


def test_guesses_are_counted_by_length() -> None:
    sizes = (90, 10, 50, 70, 30, 20, 80)
    # The thirds by characters: 10 20 | 30 50 70 | 80 90.
    assert blind_result([BlindGuess(size > 60, size) for size in sizes]).rows()[
        :-2
    ] == [
        ("Shortest third", "0 of 2"),
        ("Middle third", "1 of 3"),
        ("Longest third", "2 of 2"),
    ]


def test_two_pairs_have_no_thirds() -> None:
    assert result(2, 2).by_length == []


def shown(real: str, model: str, *, is_cut: bool = False) -> list[tuple[str, str]]:
    """Return the real and the model's answers of the pairs for one turn."""
    answers = Answers(
        turns=[HeldOutTurn(0, (Utterance("p1", "and?"),), real)],
        scores={},
        replies={"tuned": [Reply(model, is_cut=is_cut)]},
        max_tokens=9,
    )
    known = comparable_messages(["the key lies under the third pot"])
    pairs = choose_blind_pairs(answers, "tuned", known, max_pairs=9, seed=0)
    return [(p.answers[p.real], p.answers[1 - p.real]) for p in pairs]


def test_both_answers_have_the_same_format() -> None:
    """Line breaks and composed letters would reveal the model."""
    pairs = shown("one \n\n two", "cafe\u0301\nfour ")
    assert pairs == [("one\ntwo", "caf\u00e9\nfour")]


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
def test_obvious_pairs_are_skipped(real: str, model: str) -> None:
    assert shown(real, model) == []
    assert shown("no", "yes") == [("no", "yes")]


def test_truncated_answers_are_skipped() -> None:
    assert shown("no", "yes", is_cut=True) == []


def test_result_follows_last_pair() -> None:
    before = (Utterance("p1", "and?"),)
    test = BlindTest([BlindPair(before, ("yes", "no"), n % 2) for n in range(9)], 3)
    for _ in range(3):
        assert test.result is None
        assert test.pair == test.pairs[len(test.guesses)]
        test.guess(0)
    assert test.pair is None
    assert test.result == blind_result(test.guesses)
    assert test.result.describe().startswith(
        "2 of 3 correct (1.5 expected by chance): you could"
    )
    test.guess(0)
    assert len(test.guesses) == 3


def test_empty_test_has_no_result() -> None:
    test = BlindTest([], 20)
    assert test.pair is None
    assert test.result is None

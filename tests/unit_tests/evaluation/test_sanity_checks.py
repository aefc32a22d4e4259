"""What the style measures cannot see."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from langchain_chatexports.evaluation.model_server import Reply
from langchain_chatexports.evaluation.sanity_checks import (
    expected_distinct,
    reach,
    sanity_checks,
)
from tests.unit_tests.builders.voices import DISTINCT, conversations


def test_expected_distinct_words_are_those_of_drawing_again_and_again() -> None:
    counts = {"a": 30, "b": 10, "c": 5, "d": 1}
    rng = random.Random(0)
    words = list(Counter(counts).elements())
    drawn = [len(set(rng.sample(words, 8))) for _ in range(4000)]
    expected = sum(drawn) / len(drawn)
    assert expected_distinct(counts, 8) == pytest.approx(expected, abs=0.05)


def test_all_words_drawn_are_all_words() -> None:
    assert expected_distinct({"a": 3, "b": 1}, 4) == pytest.approx(2)


def test_of_too_few_words_nothing_is_said() -> None:
    assert expected_distinct({"a": 3}, 4) is None


def test_reach_is_a_share_of_use() -> None:
    assert reach({"a": 8, "b": 2}, {"a": 1}) == pytest.approx(0.8)


def test_a_collapsed_model_has_no_variety_and_little_reach() -> None:
    mia = [t for turns in conversations(DISTINCT[0], 60, 1) for t in turns]
    own = [t for turns in conversations(DISTINCT[0], 40, 2) for t in turns]
    stock = [Reply("haha ok yes omg", is_cut=False)] * len(own)
    found = sanity_checks("tuned", stock, own, mia)
    assert found.variety < 0.05
    assert found.person.variety > 0.9
    assert found.reach is not None
    assert found.person.reach is not None
    assert found.reach < 0.2
    assert found.person.reach > 0.9
    assert found.words_400 is not None
    assert found.person.words_400 is not None
    assert found.words_400 < 10 < found.person.words_400


def test_a_person_without_words_has_no_reach_and_that_is_said() -> None:
    smile = [Reply("\U0001f642", is_cut=False)]
    found = sanity_checks("tuned", smile, ["\U0001f642"], ["\U0001f642"])
    assert (found.reach, found.words_400) == (None, None)
    assert found.reason == (
        "the replies have fewer than 400 words; the training half has no words"
    )


def test_cut_and_empty_replies_are_shares() -> None:
    replies = [Reply("a", is_cut=True), Reply(" ", is_cut=False)] * 2
    found = sanity_checks("tuned", replies, ["a"], ["a"])
    assert (found.cut, found.empty) == (0.5, 0.5)
    assert found.person.empty == 0

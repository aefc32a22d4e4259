"""The measures against hand-made counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.evaluation.style_measures import (
    MEASURES,
    Vocabulary,
    jensen_shannon,
    mean_cohens_h,
    subsample,
    wasserstein,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

BY_NAME = {measure.name: measure for measure in MEASURES}
WORDS = frozenset({"the", "is"})
some_counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(sum)


def counted(name: str, *replies: str) -> dict[Hashable, int]:
    return dict(BY_NAME[name].count(replies, WORDS))


def test_there_are_the_sheets_seven() -> None:
    assert list(BY_NAME) == [
        "length", "burst", "marks", "emoji", "frame", "char3", "opening",
    ]  # fmt: skip


def test_length_bins_are_half_doublings() -> None:
    assert counted("length", "", "a", "abc", "a" * 15) == {0: 1, 2: 1, 4: 1, 8: 1}


def test_the_longest_messages_share_the_last_bin() -> None:
    assert counted("length", "a" * 5000) == {19: 1}


def test_one_doubling_is_a_distance_of_one() -> None:
    length = BY_NAME["length"]
    matrix = Vocabulary(length, []).matrix([{4: 3}, {6: 5}])
    assert length.distance(matrix[0], matrix[1]) == pytest.approx(1.0)


def test_bursts_of_six_and_more_are_alike() -> None:
    assert counted("burst", "a\n\nb", "\n".join("abcdefgh")) == {2: 1, 6: 1}


def test_a_burst_of_one_more_is_a_distance_of_one() -> None:
    assert wasserstein(1.0)(np.array([4, 0, 0]), np.array([0, 9, 0])) == pytest.approx(
        1
    )


def test_marks_count_bubbles_and_habits() -> None:
    found = counted("marks", "Yes.\n\nno")
    assert found["bubbles"] == 2
    assert found["ends with a period"] == 1


def test_the_distance_of_marks_is_the_mean_of_cohens_h() -> None:
    some, others = np.array([3, 10, 10]), np.array([10, 10, 10])
    p, q = 3.5 / 11, 10.5 / 11
    h = abs(2 * math.asin(math.sqrt(p)) - 2 * math.asin(math.sqrt(q)))
    assert mean_cohens_h(some, others) == pytest.approx(h / 2)


def test_frames_keep_function_words_and_blank_the_others() -> None:
    assert counted("frame", "The cat is\n\nis") == {
        ("^", "the"): 1,
        ("the", "_"): 1,
        ("_", "is"): 1,
        ("is", "$"): 2,
        ("^", "is"): 1,
    }


def test_frames_do_not_see_which_apostrophe_is_typed() -> None:
    count = BY_NAME["frame"].count
    with_it = frozenset({"don't"})
    assert count(["don\u2019t"], with_it) == count(["don't"], with_it)


def test_the_opening_is_the_first_word_of_a_turn() -> None:
    assert counted("opening", "Well yes\n\nno", "...") == {"well": 1, "": 1}


def test_emoji_are_one_a_bubble() -> None:
    assert counted("emoji", "a :) :)\n\nb") == {":)": 1, "none": 1}


def test_nothing_shared_is_a_divergence_of_one() -> None:
    assert jensen_shannon(np.array([3, 0]), np.array([0, 9])) == pytest.approx(1)


def test_the_divergence_is_that_of_the_formula() -> None:
    found = jensen_shannon(np.array([1, 1]), np.array([1, 0]))
    expected = (
        0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(2) + math.log2(1 / 0.75)
    ) / 2
    assert found == pytest.approx(expected)


@given(some_counts, some_counts)
def test_the_divergence_is_symmetric_and_between_0_and_1(
    some: list[int], others: list[int]
) -> None:
    p, q = np.array(some), np.array(others)
    found = jensen_shannon(p, q)
    assert -1e-9 <= found <= 1 + 1e-9
    assert found == pytest.approx(jensen_shannon(q, p))


@given(some_counts, st.integers(0, 60), st.integers(0, 9))
def test_thinning_takes_as_many_units_as_asked_for_and_no_others(
    counts: list[int], units: int, seed: int
) -> None:
    whole = np.array(counts)
    cut = subsample(whole, units, np.random.default_rng(seed))
    assert cut.sum() == min(units, whole.sum())
    assert (cut <= whole).all()


def test_marks_are_thinned_habit_by_habit() -> None:
    marks = BY_NAME["marks"]
    cut = marks.sampled(np.array([40, 0, 100]), 10, np.random.default_rng(0))
    assert cut[-1] == 10
    assert 0 < cut[0] < 10
    assert cut[1] == 0


def test_what_only_a_model_writes_falls_into_the_rest() -> None:
    opening = BY_NAME["opening"]
    matrix = Vocabulary(opening, [{"well": 3}]).matrix([{"well": 1, "as": 2, "an": 1}])
    assert matrix.tolist() == [[1, 3]]


def test_the_kinds_of_most_conversations_are_kept_apart() -> None:
    opening = BY_NAME["opening"]
    many: list[dict[Hashable, int]] = [{f"word{n}": 9} for n in range(300)]
    many += [{"well": 1}, {"well": 1}]
    matrix = Vocabulary(opening, many).matrix([{"well": 4, "word299": 1}])
    assert matrix.shape == (1, 201)
    assert (matrix[0, 0], matrix[0, -1]) == (4, 1)

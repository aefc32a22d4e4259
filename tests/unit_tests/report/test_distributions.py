"""Quantiles and bins from counts, for any numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.report.distributions import (
    DOUBLINGS,
    SECOND_EDGES,
    bins_of,
    rank,
    values_of,
)

NUMBERS = st.lists(st.integers(0, 10**7), min_size=1, max_size=60)


@given(NUMBERS, st.integers(1, 100))
def test_rank_is_the_nearest_rank(numbers: list[int], percent: int) -> None:
    expected = sorted(numbers)[-(-percent * len(numbers) // 100) - 1]
    assert rank(Counter(numbers), percent) == expected


@given(NUMBERS)
def test_values_are_those_of_the_numbers(numbers: list[int]) -> None:
    values = values_of(Counter(numbers))
    assert values.count == len(numbers)
    assert values.mean == pytest.approx(float(np.mean(numbers)))
    assert values.median == np.quantile(numbers, 0.5, method="inverted_cdf")


@given(NUMBERS, NUMBERS, st.sampled_from([DOUBLINGS, SECOND_EDGES]))
def test_every_number_is_in_one_bin(
    ai: list[int], others: list[int], edges: tuple[int, ...]
) -> None:
    bins = bins_of(Counter(ai), Counter(others), edges)
    assert sum(entry.ai for entry in bins) == len(ai)
    for entry in bins:
        end = float("inf") if entry.below is None else entry.below
        assert entry.others == sum(entry.least <= n < end for n in others)
    assert any((bins[0].ai, bins[0].others))
    assert any((bins[-1].ai, bins[-1].others))


def test_no_numbers_have_no_values() -> None:
    assert values_of({}).median is None
    assert bins_of({}, {}, DOUBLINGS) == ()
    with pytest.raises(ValueError, match="no numbers"):
        rank({}, 50)

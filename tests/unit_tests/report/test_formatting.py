"""Numbers in words, and places on an axis of bins."""

from __future__ import annotations

from datetime import date

import pytest

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.card_reasons import short_reason
from langchain_chatexports.report.distributions import place_in_bins
from langchain_chatexports.report.figures import Bin, TimePoint, TimeUnit
from langchain_chatexports.report.formatting import (
    duration,
    number_range,
    time_label,
    time_range,
)


def bin_of(least: int, below: int | None) -> Bin:
    return Bin(least=least, below=below, ai=0, others=0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (2200.8, "37 min"),
        (5400, "1.5 h"),
        (43_200, "12 h"),
        (172_800, "2 d"),
        (2_419_200, "4 wk"),
    ],
)
def test_durations_have_their_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("least", "below", "numbers", "times"),
    [
        (1, 2, "1", "1 s to 2 s"),
        (60, 120, "60 to 119", "1 min to 2 min"),
        (3600, None, "3,600 and more", "1 h and more"),
    ],
)
def test_bins_are_named(
    least: int, below: int | None, numbers: str, times: str
) -> None:
    assert number_range(bin_of(least, below)) == numbers
    assert time_range(bin_of(least, below)) == times


@pytest.mark.parametrize(
    ("unit", "label"),
    [
        ("day", "05-16"),
        ("week", "05-16"),
        ("month", "2024-05"),
        ("quarter", "2024 Q2"),
        ("year", "2024"),
    ],
)
def test_points_are_named(unit: TimeUnit, label: str) -> None:
    point = TimePoint(start=date(2024, 5, 16), ai=0, others=0)
    assert time_label(unit, [point]) == [label]


def test_days_of_two_years_have_their_year() -> None:
    points = [
        TimePoint(start=date(year, 1, 1), ai=0, others=0) for year in (2023, 2024)
    ]
    assert time_label("day", points) == ["2023-01-01", "2024-01-01"]


def test_one_is_no_plural() -> None:
    assert plural(1, "person", "people") == "1 person"
    assert plural(2000, "cut") == "2,000 cuts"


def test_a_reason_without_words_is_said_as_it_is() -> None:
    assert short_reason("reaction") == "sent as a reaction"
    assert short_reason("some_new_one") == "some new one"


BINS = [bin_of(0, 10), bin_of(10, 30), bin_of(30, 60), bin_of(60, None)]


@pytest.mark.parametrize(
    ("number", "place"),
    [(0, -0.5), (10, 0.5), (30, 1.5), (60, 2.5), (17.3205, 1.0), (10**9, 3.5)],
)
def test_a_number_has_its_place_between_the_edges(number: float, place: float) -> None:
    assert place_in_bins(BINS, number) == pytest.approx(place, abs=1e-4)

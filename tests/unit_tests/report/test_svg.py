"""Charts fit any page: its colors, no ids or styles of their own, nothing from afar."""

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from langchain_chatexports.report.svg import Bar, bars, columns

HOURS = [str(hour) for hour in range(24)]
COUNTS = [hour * 10 for hour in range(24)]


def draw_columns() -> str:
    series = [("A & <I>", COUNTS), ("others", COUNTS)]
    return columns(HOURS, series, description='Messages by "hour" & more')


CHARTS: dict[str, Callable[[], str]] = {
    "columns": draw_columns,
    "bars": lambda: bars(
        [Bar("Tortoise", 1.5, "1.50", (1.2, 1.9)), Bar("<b>", 1, "1", series=0)],
        description="d",
    ),
    "empty columns": lambda: columns([], [("x", [])], description="d"),
    "empty bars": lambda: bars([], description="d"),
    "nothing but zeros": lambda: columns(["a"], [("x", [0])], description="d"),
}


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_colors_are_variables_of_the_page_and_nothing_points_outside(
    draw: Callable[[], str],
) -> None:
    svg = draw()
    assert not re.search(r"#[0-9a-f]{3}|href|url\(|<style|<script| id=", svg)
    assert svg == draw()


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_it_is_well_formed_and_says_what_it_shows(draw: Callable[[], str]) -> None:
    found = ET.fromstring(draw())  # noqa: S314 - our own chart
    assert found.get("role") == "img"
    assert found.get("aria-label")


def test_labels_stay_text_and_are_escaped() -> None:
    assert "A &amp; &lt;I&gt;" in draw_columns()

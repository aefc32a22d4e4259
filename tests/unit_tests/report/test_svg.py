"""Charts that fit any page, without ids, styles or links."""

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from langchain_chatexports.report.svg import Bar, draw_bars, draw_columns

HOURS = [str(hour) for hour in range(24)]
COUNTS = [hour * 10 for hour in range(24)]


def hourly_columns() -> str:
    series = [("A & <I>", COUNTS), ("others", COUNTS)]
    return draw_columns(HOURS, series, description='Messages by "hour" & more')


CHARTS: dict[str, Callable[[], str]] = {
    "columns": hourly_columns,
    "bars": lambda: draw_bars(
        [Bar("Tortoise", 1.5, "1.50", (1.2, 1.9)), Bar("<b>", 1, "1", series=0)],
        description="d",
    ),
    "empty columns": lambda: draw_columns([], [("x", [])], description="d"),
    "empty bars": lambda: draw_bars([], description="d"),
    "nothing but zeros": lambda: draw_columns(["a"], [("x", [0])], description="d"),
}


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_charts_use_page_colors_and_no_links(draw: Callable[[], str]) -> None:
    svg = draw()
    assert not re.search(r"#[0-9a-f]{3}|href|url\(|<style|<script| id=", svg)
    assert svg == draw()


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_chart_is_well_formed_and_labeled(draw: Callable[[], str]) -> None:
    found = ET.fromstring(draw())  # noqa: S314 - our own chart
    assert found.get("role") == "img"
    assert found.get("aria-label")


def test_labels_are_escaped() -> None:
    assert "A &amp; &lt;I&gt;" in hourly_columns()

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


def test_columns_are_as_high_as_their_values_and_stacked() -> None:
    svg = ET.fromstring(columns(["a", "b"], [("x", [10, 30])], description="d"))  # noqa: S314 - our own chart
    first, second = (float(rect.get("height", 0)) for rect in svg.findall("rect"))
    assert second == pytest.approx(3 * first, abs=0.2)


@pytest.mark.parametrize("most", [1, 7, 23, 999, 123_456])
def test_grid_lines_are_round_and_few(most: int) -> None:
    svg = ET.fromstring(columns(["a"], [("x", [most])], description="d"))  # noqa: S314 - our own chart
    lines = [text.text for text in svg.findall("text") if text.text != "a"]
    numbers = [int(str(line).replace(",", "")) for line in lines]
    assert 2 <= len(numbers) <= 6
    assert numbers[-1] >= most
    assert str(numbers[1]).rstrip("0") in {"1", "2", "5"}


def test_the_interval_of_a_bar_is_a_line_over_it() -> None:
    svg = ET.fromstring(bars([Bar("a", 2, "2", (1, 4))], description="d", most=4))  # noqa: S314 - our own chart
    (rect,), (line,) = svg.findall("rect"), svg.findall("line")
    width = float(rect.get("width", 0))
    assert float(line.get("x2", 0)) - float(line.get("x1", 0)) == pytest.approx(
        1.5 * width, abs=0.2
    )

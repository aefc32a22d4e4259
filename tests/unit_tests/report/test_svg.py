"""Charts fit any page: its colors, no ids or styles of their own, nothing from afar."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from langchain_chatexports.report.svg import (
    SERIES,
    bars,
    chart_svg,
    columns,
    heat_map,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


HOURS = [str(hour) for hour in range(24)]
COUNTS = [hour * 10 for hour in range(24)]


def draw_columns(name: str = "hours") -> str:
    return columns(
        HOURS,
        [("AI", COUNTS), ("others", COUNTS)],
        name=name,
        description='Messages by "hour" & more',
        mark=(5, "limit"),
    )


CHARTS: dict[str, Callable[[], str]] = {
    "columns": draw_columns,
    "bars": lambda: bars([("Tortoise", 108), ("Hare", 115)], name="b", description="d"),
    "heat": lambda: heat_map(
        [[1, 0], [2, 3]], ["Mon", "Tue"], ["0", "1"], name="h", description="d"
    ),
    "empty columns": lambda: columns([], [("x", [])], name="e", description="d"),
    "empty bars": lambda: bars([], name="e", description="d"),
    "nothing but zeros": lambda: columns(
        ["a"], [("x", [0])], name="z", description="d"
    ),
}


@pytest.mark.parametrize("kind", CHARTS)
def test_the_same_data_gives_the_same_picture(kind: Any) -> None:
    assert CHARTS[kind]() == CHARTS[kind]()


@pytest.mark.parametrize("kind", CHARTS)
def test_every_color_is_a_variable_of_the_page(kind: Any) -> None:
    assert not re.search(r"#[0-9a-f]{6}", CHARTS[kind]())


@pytest.mark.parametrize("kind", CHARTS)
def test_nothing_points_outside_of_the_page(kind: Any) -> None:
    svg = CHARTS[kind]()
    assert "//" not in svg
    assert "<style" not in svg


@pytest.mark.parametrize("kind", CHARTS)
def test_it_is_well_formed_and_says_what_it_shows(kind: Any) -> None:
    root = ET.fromstring(CHARTS[kind]())  # noqa: S314 - made above
    assert root.get("role") == "img"
    assert root.get("aria-label")


def test_ids_of_two_charts_differ() -> None:
    ids = [set(re.findall(r'\sid="([^"]+)"', draw_columns(name))) for name in "ab"]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_what_is_referred_to_is_there() -> None:
    svg = draw_columns()
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert used == set(re.findall(r'\sid="([^"]+)"', svg))


def test_labels_stay_text_and_are_escaped() -> None:
    svg = bars([("<b>$x$ & Söhne 李雷", 1)], name="n", description="d")
    assert "&lt;b&gt;$x$ &amp; Söhne 李雷" in svg


def test_columns_are_as_high_as_their_values() -> None:
    svg = columns(["a", "b"], [("x", [10, 20])], name="n", description="d")
    assert _heights(svg)[1] == pytest.approx(2 * _heights(svg)[0], rel=1e-4)


def test_a_chart_of_ones_own_has_the_colors_of_the_page() -> None:
    def draw(axes: Any) -> None:
        axes.plot([1, 2], color=SERIES[1])

    svg = chart_svg(draw, name="n", description="d")
    assert "var(--series-2)" in svg


def _heights(svg: str) -> list[float]:
    heights = []
    for path in re.findall(r'd="([^"]+)"[^>]*style="fill: var\(--series-1\)"', svg):
        ys = [float(y) for y in re.findall(r"[ML] \S+ (\S+)", path)]
        heights.append(max(ys) - min(ys))
    return heights

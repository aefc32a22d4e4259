"""The charts of the evaluation page. Colors are in `report/templates/style.css`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.report.svg import GRID, INK, MUTED, SERIES, chart_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from langchain_chatexports.evaluation.results import (
        ContestantScore,
        Evaluation,
        MeasureFinding,
    )

__all__ = ["loss_chart", "score_chart"]

_LOW, _HIGH = -1.0, 1.6
# By kind, so that a color and a shape mean the same in all charts.
_MARKS = {
    "tuned": (SERIES[0], "o"),
    "few_shot": (SERIES[1], "s"),
    "base": (MUTED, "^"),
    "wrong_person": (SERIES[2], "D"),
    "hybrid": (SERIES[3], "v"),
    "persona": (SERIES[1], "P"),
}
_SPACING, _ROW = 0.22, 0.9
_TITLES_BESIDE = 3


def score_chart(
    evaluation: Evaluation, names: Sequence[tuple[str, str, str]]
) -> Markup | None:
    """Return the chart of the scores, from other people (0) to the person (1).

    Args:
        evaluation: The results.
        names: Name, kind and title of each contestant to show.

    Returns:
        The chart, or `None` where no measure has a score.
    """
    shown = [found for found in evaluation.measures or () if found.separates]
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        _draw_frame(axes, ["median", *(found.name for found in shown)])
        summaries = {each.contestant: each for each in evaluation.summary or ()}
        for number, (name, kind, title) in enumerate(names):
            color, marker = _MARKS[kind]
            spacing = min(_SPACING, _ROW / len(names))
            shift = (number - (len(names) - 1) / 2) * spacing
            axes.plot([], [], marker, color=color, label=title)
            summary = summaries[name]
            if summary.median_score is not None and summary.interval is not None:
                ends = (summary.median_score, *summary.interval)
                _draw_score(axes, shift, ends, color, marker)
            for row, measure in enumerate(shown, 1):
                found = _of(measure, name)
                if found is not None and found.score is not None:
                    ends = (found.score, *(found.score_interval or (found.score,) * 2))
                    _draw_score(axes, row + shift, ends, color, marker)
        for row, measure in enumerate(shown, 1):
            _draw_people(axes, row, measure)
        axes.legend(
            ncols=min(_TITLES_BESIDE, len(names)),
            loc="lower center",
            bbox_to_anchor=(0.4, 1),
            fontsize=8,
            columnspacing=1.0,
            handletextpad=0.1,
        )

    return chart_svg(
        draw,
        name="scores",
        description="Scores by measure, from 0 (like other people) to 1 (like the "
        "person), with intervals; the figures are in the table below",
        height=0.9 + 0.5 * (len(shown) + 1),
    )


def loss_chart(
    evaluation: Evaluation, names: Sequence[tuple[str, str, str]]
) -> Markup | None:
    """Return the chart of the loss, or `None` where it was not measured."""
    by_name = {each.contestant: each for each in evaluation.loss}
    shown = [
        (kind, title, found)
        for name, kind, title in names
        if (found := by_name.get(name)) is not None and found.bits_per_byte is not None
    ]
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        for row, (kind, _, found) in enumerate(shown):
            color, marker = _MARKS[kind]
            value = found.bits_per_byte or 0.0
            low, high = found.interval or (value, value)
            axes.hlines(row, low, high, color=color, linewidth=2)
            axes.plot(value, row, marker, color=color)
            axes.annotate(
                f"{value:.2f}",
                (high, row),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=INK,
            )
        axes.set_yticks(range(len(shown)), [title for _, title, _ in shown])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        most = max((found.interval or (0, 0))[1] for _, _, found in shown)
        axes.set_xlim(0, 1.15 * most)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.set_xlabel("bits per byte (lower is better)")

    return chart_svg(
        draw,
        name="loss",
        description="Bits per byte with intervals; the figures are in the table below",
        height=0.7 + 0.36 * len(shown),
    )


def _draw_frame(axes: Axes, rows: Sequence[str]) -> None:
    for row in range(len(rows)):
        axes.hlines(row, 0, 1, color=GRID, linewidth=9)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.axvline(1, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_xlim(_LOW - 0.05, _HIGH + 0.05)
    axes.set_xticks([-1, 0, 1], ["-1", "0\nother people", "1\nthe person"])
    axes.grid(visible=False)


def _draw_score(
    axes: Axes, row: float, ends: tuple[float, ...], color: str, marker: str
) -> None:
    point, low, high = (min(max(value, _LOW), _HIGH) for value in ends)
    axes.hlines(row, low, high, color=color, linewidth=1.6)
    # An arrow where the score is outside the chart.
    outside = "<" if ends[0] < _LOW else ">" if ends[0] > _HIGH else marker
    axes.plot(point, row, outside, color=color, markersize=5)


def _draw_people(axes: Axes, row: int, measure: MeasureFinding) -> None:
    ceiling, floor, own = measure.ceiling, measure.floor, measure.ceiling_interval
    if ceiling is None or floor is None or own is None or floor == ceiling:
        return

    def score(distance: float) -> float:
        return min(max((floor - distance) / (floor - ceiling), _LOW), _HIGH)

    left, right = score(own[1]), score(own[0])
    axes.fill_betweenx([row - 0.4, row + 0.4], left, right, color=MUTED, alpha=0.22)
    places = [score(distance) for distance in measure.floor_each.values()]
    axes.plot(places, [row + 0.4] * len(places), "|", color=MUTED, markersize=7)


def _of(measure: MeasureFinding, name: str) -> ContestantScore | None:
    return next((found for found in measure.contestants if found.name == name), None)

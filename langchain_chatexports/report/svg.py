"""Column charts and labeled bars as inline SVG.

Colors are variables of `templates/style.css`, which depend on light mode, dark mode and
print. The output is deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.report.numbers import number

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH, _HEIGHT = 480, 200
_LEFT, _BOTTOM, _TOP = 44, 22, 22
_ROW = 24
_LABEL_WIDTH = 6.2

_MAX_TITLE = 24
_MAX_LABELS = 8
_GRID_LINES = 4


class Bar(NamedTuple):
    """A horizontal bar."""

    label: str
    value: float
    text: str
    """The text at the end of the bar."""

    interval: tuple[float, float] | None = None
    """Bounds of an interval drawn over the bar."""

    series: int = 1
    """Index of the color; 0 for a muted one."""


def draw_columns(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[int]]],
    *,
    description: str,
) -> Markup:
    """Draw a column for each label; several series are stacked."""
    totals = [sum(values) for values in zip(*(v for _, v in series), strict=True)]
    highest = max(totals, default=0)
    step = _grid_step(highest)
    top = step * max(1, -(-highest // step))
    plot_height = _HEIGHT - _TOP - _BOTTOM
    slot = (_WIDTH - _LEFT) / max(len(labels), 1)
    parts = []
    for value in range(0, top + 1, step):
        y = _HEIGHT - _BOTTOM - plot_height * value / top
        parts.append(_draw_line(_LEFT, y, _WIDTH, y, "grid"))
        parts.append(_draw_text(_LEFT - 6, y + 4, number(value), anchor="end"))
    label_step = -(-len(labels) // _MAX_LABELS) or 1
    for index, label in enumerate(labels):
        x = _LEFT + index * slot
        y = float(_HEIGHT - _BOTTOM)
        for color, (_, values) in enumerate(series, 1):
            height = plot_height * values[index] / top
            y -= height
            if height:
                parts.append(
                    _draw_rectangle(x + slot * 0.08, y, slot * 0.84, height, color)
                )
        if index % label_step == 0:
            middle = min(x + slot / 2, _WIDTH - _LABEL_WIDTH / 2 * len(label))
            parts.append(_draw_text(middle, _HEIGHT - 6, label, anchor="middle"))
    if len(series) > 1:
        x = float(_LEFT)
        for color, (title, _) in enumerate(series, 1):
            parts.append(_draw_rectangle(x, 2, 10, 10, color))
            parts.append(_draw_text(x + 15, 12, _shorten(title), color="ink"))
            x += 35 + 7 * min(len(title), _MAX_TITLE)
    return _wrap_svg(parts, _HEIGHT, description)


def draw_bars(
    rows: Sequence[Bar], *, description: str, maximum: float | None = None
) -> Markup:
    """Draw horizontal bars, scaled to the largest value or to `maximum`."""
    ends = (end for row in rows for end in (row.value, *(row.interval or ())))
    maximum = maximum or max(ends, default=0) or 1
    left, right = 150, 60
    scale = (_WIDTH - left - right) / maximum
    parts = []
    for index, row in enumerate(rows):
        y = index * _ROW + 4
        middle = y + _ROW / 2 - 4
        label = _shorten(row.label)
        parts.append(_draw_text(left - 8, middle + 4, label, anchor="end", color="ink"))
        parts.append(_draw_rectangle(left, y, row.value * scale, _ROW - 8, row.series))
        end = row.value
        if row.interval is not None:
            low, end = row.interval[0], max(row.interval[1], row.value)
            parts.append(
                _draw_line(
                    left + low * scale, middle, left + end * scale, middle, "ink"
                )
            )
        parts.append(
            _draw_text(left + end * scale + 6, middle + 4, row.text, color="ink")
        )
    return _wrap_svg(parts, len(rows) * _ROW + 6, description)


def _grid_step(highest: int) -> int:
    """Return the grid line spacing: 1, 2 or 5 times a power of ten."""
    least = max(1, -(-highest // _GRID_LINES))
    power: int = 10 ** (len(str(least)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _wrap_svg(parts: Iterable[str], height: int, description: str) -> Markup:
    from markupsafe import Markup, escape

    start = (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(description)}">'
    )
    # `_draw_text` escapes the labels.
    return Markup(f"{start}{''.join(parts)}</svg>")  # noqa: S704


def _draw_rectangle(
    x: float, y: float, width: float, height: float, series: int
) -> str:
    color = f"series-{series}" if series else "muted"
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'style="fill:var(--{color})"/>'
    )


def _draw_line(x1: float, y1: float, x2: float, y2: float, color: str) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'style="stroke:var(--{color})"/>'
    )


def _draw_text(
    x: float, y: float, text: str, *, anchor: str = "start", color: str = "muted"
) -> str:
    from markupsafe import escape

    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'style="fill:var(--{color});font-size:11px">{escape(text)}</text>'
    )


def _shorten(label: str) -> str:
    return label if len(label) <= _MAX_TITLE else f"{label[: _MAX_TITLE - 1]}…"

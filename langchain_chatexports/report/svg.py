"""Charts as inline SVG, whose colors and fonts are the page's.

Matplotlib draws; what it draws names the style sheet's variables for colors, so that
one picture fits light, dark and paper:

```python
def draw(axes: Axes) -> None:
    axes.errorbar(scores, rows, xerr=errors, color=SERIES[1], fmt="o")


markup = chart_svg(draw, name="scores", description="Seven scores, 0.83 to 0.97")
```

The same data gives the same bytes. Texts stay texts.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

__all__ = [
    "ALERT",
    "GRID",
    "INK",
    "MUTED",
    "SERIES",
    "bars",
    "chart_svg",
    "columns",
    "heat_map",
    "require_extra",
]

# Colors that nobody would choose stand for the style sheet's variables.
INK, MUTED, GRID, PAPER = "#010203", "#010204", "#010205", "#010206"
"""Text and axes; what matters less; lines of the grid; what is behind a chart."""

SERIES = ("#010211", "#010212", "#010213", "#010214")
"""Colors of data."""

ALERT = "#010220"
"""The color of what is wrong or too much."""

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--card)",
    ALERT: "var(--alert)",
    **{color: f"var(--series-{n})" for n, color in enumerate(SERIES, 1)},
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.unicode_minus": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.left": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.parse_math": False,
}
_WIDTH = 4.8
_VIEW_BOX = re.compile(r'viewBox="[^"]*"')
_FONT_FAMILY = re.compile(r" ?font-family: [^;\"]*;?")
_INNER_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_ID = re.compile(r'\sid="([^"]*)"')
_USED_ID = re.compile(r'(?:href="#|url\(#)([^")]+)')


def chart_svg(
    draw: Callable[[Axes], None], *, name: str, description: str, height: float = 2.4
) -> Markup:
    """Draw a chart that fits a card of the page, and a phone, as inline SVG.

    Args:
        draw: Draws into the axes it is given, with `INK`, `MUTED`, `GRID`, `ALERT` and
            `SERIES`; other colors stay as they are, in the dark too.
        name: A word of its own on the page, for the ids inside.
        description: What the chart shows, for those who cannot see it.
        height: In inches; the width is 4.8.

    Returns:
        Markup that jinja2 does not escape again.

    Raises:
        MissingExtraError: If the extra `report` is not installed.
    """
    require_extra()
    import matplotlib as mpl
    from markupsafe import Markup, escape
    from matplotlib.figure import Figure

    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The page's fonts show what matplotlib's, which only measures, lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure.subplots())
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    head, _, rest = text[text.index("<svg") :].partition(">")
    box = _VIEW_BOX.search(head)
    start = (
        f'<svg {box[0] if box else ""} role="img" aria-label="{escape(description)}">'
    )
    # Matplotlib escapes the texts in it.
    return Markup(start + _with_own_ids(_in_page_style(rest), name))  # noqa: S704


def require_extra() -> None:
    """Make sure that pages and charts can be made, before anything long begins.

    Raises:
        MissingExtraError: If the extra `report` is not installed.
    """
    try:
        import jinja2  # noqa: F401 - only whether they are there
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        feature = "Drawing charts"
        raise MissingExtraError(feature, "report") from error


def columns(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    *,
    name: str,
    description: str,
    xlabel: str = "",
    ylabel: str = "",
    most_labels: int = 12,
    at_edges: bool = False,
    mark: tuple[float, str] | None = None,
    colors: Sequence[str] = SERIES,
) -> Markup:
    """Draw columns, one a label; several series stand on each other.

    Args:
        labels: Under the columns; where there are many, some are left out.
        series: Each with its name (for the legend, if there are several) and values.
        name: As for `chart_svg`.
        description: As for `chart_svg`.
        xlabel: Under the axis.
        ylabel: Beside the axis.
        most_labels: How many labels fit.
        at_edges: Put each label where its column begins, as it names the least number
            that belongs there.
        mark: A line and what it says; 0 is the middle of the first column.
        colors: One a series.

    Returns:
        The chart.
    """

    def draw(axes: Axes) -> None:
        places = range(len(labels))
        below = [0.0] * len(labels)
        for (title, values), color in zip(series, colors, strict=False):
            axes.bar(places, values, bottom=below, width=0.86, color=color, label=title)
            below = [low + value for low, value in zip(below, values, strict=True)]
        step = -(-len(labels) // most_labels) or 1
        shift = 0.5 if at_edges else 0.0
        axes.set_xticks([place - shift for place in places[::step]], labels[::step])
        axes.set_xlim(-0.6, max(len(labels), 1) - 0.4)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        _count_axis(axes, max(below, default=0))
        if mark is not None:
            _draw_mark(axes, *mark)
        if len(series) > 1:
            _draw_legend(axes, [title for title, _ in series], colors)

    return chart_svg(draw, name=name, description=description)


def bars(
    rows: Sequence[tuple[str, float]],
    *,
    name: str,
    description: str,
    colors: Sequence[str] = (),
) -> Markup:
    """Draw horizontal bars with their labels and numbers.

    Args:
        rows: Labels and values, from above.
        name: As for `chart_svg`.
        description: As for `chart_svg`.
        colors: One a row; the first of `SERIES` without.

    Returns:
        The chart.
    """

    def draw(axes: Axes) -> None:
        places, values = range(len(rows)), [value for _, value in rows]
        drawn = axes.barh(places, values, height=0.72, color=list(colors) or SERIES[0])
        axes.bar_label(drawn, [f"{value:,}" for value in values], padding=3, color=INK)
        axes.set_yticks(places, [_shortened(label) for label, _ in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.2 * max(values, default=0) or 1)
        axes.set_xticks([])
        _without_frame(axes)

    height = 0.2 + 0.26 * max(len(rows), 1)
    return chart_svg(draw, name=name, description=description, height=height)


def heat_map(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    name: str,
    description: str,
    color: str = SERIES[0],
) -> Markup:
    """Draw a table of numbers as squares, the stronger the larger the number.

    Args:
        values: Row by row.
        rows: Names of the rows.
        columns: Names of the columns.
        name: As for `chart_svg`.
        description: As for `chart_svg`.
        color: The color of the squares.

    Returns:
        The chart.
    """

    def draw(axes: Axes) -> None:
        most = max((max(row, default=0) for row in values), default=0) or 1
        _draw_squares(axes, [[0.35] * len(columns)] * len(rows), GRID, 0)
        shares = [[value / most for value in row] for row in values]
        _draw_squares(axes, shares, color, 0.08)
        axes.set_xlim(-0.6, len(columns) - 0.4)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        step = -(-len(columns) // 8) or 1
        axes.set_xticks(range(0, len(columns), step), columns[::step])
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0)
        _without_frame(axes)

    height = 0.6 + 0.21 * len(rows)
    return chart_svg(draw, name=name, description=description, height=height)


def _draw_legend(axes: Axes, titles: Sequence[str], colors: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    # Columns that are not there have no color to take over.
    handles = [Patch(color=color) for _, color in zip(titles, colors, strict=False)]
    axes.legend(
        handles, titles, ncols=len(titles), loc="lower left", bbox_to_anchor=(0, 1)
    )


def _draw_squares(
    axes: Axes, strengths: Sequence[Sequence[float]], color: str, least: float
) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    squares, colors = [], []
    for y, row in enumerate(strengths):
        for x, strength in enumerate(row):
            if strength:
                squares.append(Rectangle((x - 0.46, y - 0.45), 0.92, 0.9))
                # What is there is seen, however little it is.
                colors.append(to_rgba(color, round(max(least, strength), 3)))
    axes.add_collection(PatchCollection(squares, facecolors=colors, edgecolors="none"))


def _without_frame(axes: Axes) -> None:
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)


def _draw_mark(axes: Axes, place: float, text: str) -> None:
    axes.axvline(place, color=ALERT, linewidth=1.2, linestyle=(0, (4, 2)))
    low, high = axes.get_xlim()
    is_left = place < (low + high) / 2
    axes.annotate(
        text,
        (place, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4 if is_left else -4, -2),
        textcoords="offset points",
        ha="left" if is_left else "right",
        va="top",
        color=ALERT,
        fontsize=9,
    )


def _count_axis(axes: Axes, most: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_ylim(0, 1.12 * most or 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _shortened(label: str, most: int = 24) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _in_page_style(svg: str) -> str:
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return _INNER_STYLE.sub("", _FONT_FAMILY.sub("", svg))


def _with_own_ids(svg: str, name: str) -> str:
    # Ids must be unique on a page, and most of matplotlib's are for nobody.
    used = set(_USED_ID.findall(svg))
    svg = _ID.sub(
        lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg
    )
    svg = svg.replace("xlink:href=", "href=")
    return _USED_ID.sub(
        lambda found: f"{found[0][: -len(found[1])]}{name}-{found[1]}", svg
    )

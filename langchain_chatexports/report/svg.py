"""Charts as inline SVG: columns, bars, heat maps, and what matplotlib draws.

Colors are in `templates/style.css`. Charts name its variables, so that one chart fits
light, dark and print:

```python
def draw(axes: Axes) -> None:
    axes.errorbar(scores, rows, xerr=errors, color=SERIES[1], fmt="o")


markup = chart_svg(draw, name="scores", description="Seven scores, 0.83 to 0.97")
```

The same data results in the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Unusual colors that stand for the style sheet's variables.
INK, MUTED, GRID, PAPER = "#010203", "#010204", "#010205", "#010206"
"""Colors of text and axes; of labels; of grid lines; of the background."""

SERIES = ("#010211", "#010212", "#010213", "#010214")
"""Colors of data."""

ALERT = "#010220"
"""The color of limits and warnings."""

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
_MAX_LABEL = 24
_VIEW_BOX = re.compile(r'viewBox="[^"]*"')
_FONT_FAMILY = re.compile(r" ?font-family: [^;\"]*;?")
_INNER_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_ID = re.compile(r'\sid="([^"]*)"')
_USED_ID = re.compile(r'(?:href="#|url\(#)([^")]+)')


def chart_svg(
    draw: Callable[[Axes], None], *, name: str, description: str, height: float = 2.4
) -> Markup:
    """Return a chart as inline SVG that fits a card of the page, and a phone."""
    require_extra()
    import matplotlib as mpl
    from markupsafe import Markup, escape
    from matplotlib.figure import Figure

    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The page's fonts show glyphs that matplotlib's font, used to measure, lacks.
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
    """Check that pages and charts can be made, before something long begins."""
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
    max_labels: int = 12,
    at_edges: bool = False,
    mark: tuple[float, str] | None = None,
    colors: Sequence[str] = SERIES,
) -> Markup:
    """Return columns, one for each label; several series are stacked."""

    def draw(axes: Axes) -> None:
        places = range(len(labels))
        below = [0.0] * len(labels)
        for (title, values), color in zip(series, colors, strict=False):
            axes.bar(places, values, bottom=below, width=0.86, color=color, label=title)
            below = [low + value for low, value in zip(below, values, strict=True)]
        step = -(-len(labels) // max_labels) or 1
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
    colors: Sequence[str] = SERIES[:1],
) -> Markup:
    """Return horizontal bars with their labels and values; colors are cycled."""

    def draw(axes: Axes) -> None:
        places, values = range(len(rows)), [value for _, value in rows]
        drawn = axes.barh(places, values, height=0.72, color=list(colors))
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
    """Return a table of numbers as squares, stronger in color for larger numbers."""

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

    # A chart without columns has no handles of its own.
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
                # Small numbers stay visible.
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


def _shortened(label: str) -> str:
    if len(label) <= _MAX_LABEL:
        return label
    return f"{label[: _MAX_LABEL - 1]}…"


def _in_page_style(svg: str) -> str:
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return _INNER_STYLE.sub("", _FONT_FAMILY.sub("", svg))


def _with_own_ids(svg: str, name: str) -> str:
    # Ids must be unique on a page; most of matplotlib's are not used.
    used = set(_USED_ID.findall(svg))
    svg = _ID.sub(
        lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg
    )
    svg = svg.replace("xlink:href=", "href=")
    return _USED_ID.sub(
        lambda found: f"{found[0][: -len(found[1])]}{name}-{found[1]}", svg
    )

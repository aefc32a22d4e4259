"""The charts of a report, each with its caption and its table.

Colors are in `templates/style.css`, shapes in `svg.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.card_reasons import short_reason
from langchain_chatexports.report.distributions import place_in_bins
from langchain_chatexports.report.figures import (
    Bin,
    Distribution,
    ExampleFigures,
    ExportReport,
    PauseFigures,
    RedactionFigures,
    TimeFigures,
    TimePoint,
)
from langchain_chatexports.report.formatting import (
    duration,
    number_range,
    short_range,
    time_label,
    time_range,
)
from langchain_chatexports.report.svg import MUTED, SERIES, bars, columns, heat_map

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MAX_PEOPLE = 12
# The first two colors are the AI's and the others'.
_ALL = SERIES[2]


class Section(NamedTuple):
    """A chart with its title, its caption and its table."""

    title: str
    svg: Markup
    caption: str
    headers: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]


class _Sides(NamedTuple):
    """Names of the two sides in legends and captions."""

    ai: str
    others: str
    has_ai: bool


def time_charts(report: ExportReport) -> list[Section]:
    """Return the charts of when messages were sent."""
    time, sides = report.time, _sides(report)
    labels = time_label(time.unit, time.points)
    over_time = Section(
        "Over time",
        columns(
            labels,
            _two(sides, time.points),
            name="time",
            description=f"Messages by {time.unit}",
            ylabel=f"messages a {time.unit}",
            max_labels=5,
        ),
        f"Messages by {time.unit}. Days with a message: {time.active_days:,}.",
        (time.unit, f"#{sides.ai}", f"#{sides.others}"),
        [(str(point.start), point.ai, point.others) for point in time.points],
    )
    return [
        over_time,
        _of_the_week(report),
        _by("By hour", "hour", [str(hour) for hour in range(24)], time.by_hour, time),
        _by("By weekday", "weekday", _WEEKDAYS, time.by_weekday, time),
    ]


def _of_the_week(report: ExportReport) -> Section:
    time = report.time
    hours = [str(hour) for hour in range(24)]
    return Section(
        "Week",
        heat_map(
            time.by_weekday_and_hour,
            _WEEKDAYS,
            hours,
            name="week",
            description="Messages by weekday and hour",
            color=_ALL,
        ),
        f"The stronger the color, the more messages. Time zone: {time.zone}.",
        ("", *(f"#{hour}" for hour in hours)),
        [
            (name, *row)
            for name, row in zip(_WEEKDAYS, time.by_weekday_and_hour, strict=True)
        ],
    )


def _by(
    title: str,
    unit: str,
    labels: Sequence[str],
    counts: Sequence[int],
    time: TimeFigures,
) -> Section:
    svg = columns(
        labels,
        [("messages", counts)],
        name=unit,
        description=f"Messages by {unit}",
        ylabel="messages",
        colors=(_ALL,),
    )
    rows = list(zip(labels, counts, strict=True))
    return Section(title, svg, f"Time zone: {time.zone}.", (unit, "#messages"), rows)


def people_chart(report: ExportReport) -> Section:
    """Return the chart of who wrote how much."""
    listed = list(report.people[:_MAX_PEOPLE])
    rest = report.people[_MAX_PEOPLE:]
    rows = [(person.name, person.messages) for person in listed]
    colors = [SERIES[0] if person.is_ai else SERIES[1] for person in listed]
    if rest:
        others = sum(person.messages for person in rest)
        rows.append((f"{plural(len(rest), 'other')}", others))
        colors.append(MUTED)
    caption = "Messages kept. The person that the model learns has its own color."
    return Section(
        "Who writes",
        bars(rows, name="people", description="Messages by person", colors=colors),
        caption if any(p.is_ai for p in report.people) else "Messages kept.",
        ("person", "#messages", "#characters", "#characters a message"),
        [
            (
                person.name,
                person.messages,
                person.characters,
                f"{person.characters / person.messages:.1f}",
            )
            for person in report.people[: 4 * _MAX_PEOPLE]
        ],
    )


def habit_charts(report: ExportReport) -> list[Section]:
    """Return the charts of lengths, reply times, runs and pauses."""
    sides = _sides(report)
    return [
        _spread(
            "Length of messages",
            report.lengths,
            sides,
            name="lengths",
            unit="characters",
            label=lambda entry: f"{entry.least:,}",
            in_words=lambda number: f"{number:,.0f}",
        ),
        _spread(
            "Time to reply",
            report.replies,
            sides,
            name="replies",
            unit="time since somebody else's last message, within a conversation",
            label=lambda entry: duration(entry.least),
            in_words=duration,
            in_range=time_range,
        ),
        _spread(
            "Messages in a row",
            report.runs,
            sides,
            name="runs",
            unit="messages that one person sends in a row",
            label=short_range,
            in_words=lambda number: f"{number:,.0f}",
            at_edges=False,
        ),
        _pause_chart(report.pauses, sides),
    ]


def _spread(
    title: str,
    figures: Distribution,
    sides: _Sides,
    *,
    name: str,
    unit: str,
    label: Callable[[Bin], str],
    in_words: Callable[[float], str],
    in_range: Callable[[Bin], str] = number_range,
    at_edges: bool = True,
) -> Section:
    middle = [
        f"{who} {in_words(values.median)} (90th percentile {in_words(values.p90)})"
        for who, values in ((sides.ai, figures.ai), (sides.others, figures.others))
        if values.median is not None and values.p90 is not None
    ]
    return Section(
        title,
        _bin_columns(figures.bins, sides, label, name, title, at_edges=at_edges),
        f"Unit: {unit}. Median: {'; '.join(middle) or 'none'}.",
        *_bin_table(figures.bins, sides, in_range),
    )


def _pause_chart(pauses: PauseFigures, sides: _Sides) -> Section:
    gap = pauses.median_gap
    mark = None
    if gap is not None:
        mark = (place_in_bins(pauses.bins, gap), f"cut after {duration(gap)}")
    return Section(
        "Pauses",
        _bin_columns(
            pauses.bins,
            sides,
            lambda entry: duration(entry.least),
            "pauses",
            "Pauses between messages, and where threads are cut",
            mark=mark,
        ),
        _pause_caption(pauses),
        *_bin_table(pauses.bins, sides, time_range),
    )


def _bin_columns(
    bins: Sequence[Bin],
    sides: _Sides,
    label: Callable[[Bin], str],
    name: str,
    description: str,
    *,
    at_edges: bool = True,
    mark: tuple[float, str] | None = None,
) -> Markup:
    return columns(
        [label(entry) for entry in bins],
        _two(sides, bins),
        name=name,
        description=description,
        xlabel="from" if at_edges else "",
        max_labels=8,
        at_edges=at_edges,
        mark=mark,
    )


def _pause_caption(pauses: PauseFigures) -> str:
    shortest, longest = pauses.shortest_gap, pauses.longest_gap
    if not pauses.pauses:
        return "There are no pauses between known times, so no thread is cut."
    if shortest is None or longest is None:
        return "Threads are not cut."
    after = duration(shortest)
    if duration(longest) != after:
        after = f"{after} to {duration(longest)} (by thread)"
    return (
        f"A pause longer than {after} begins a new conversation: "
        f"{plural(pauses.boundaries, 'cut')}, "
        f"{plural(pauses.conversations, 'conversation')}."
    )


def learned_charts(report: ExportReport) -> list[Section]:
    """Return the charts of examples and their parts, if there are any."""
    charts = []
    if report.examples is not None:
        charts.append(_token_chart(report.examples))
    if report.split:
        charts.append(_split_chart(report))
    return charts


def _token_chart(examples: ExampleFigures) -> Section:
    bins = list(examples.bins)
    # Bins up to the limit, even if all examples are far below it.
    while (end := bins[-1].below) is not None and end <= examples.token_limit:
        bins.append(Bin(least=end, below=2 * end, ai=0, others=0))
    limit = f"limit {examples.token_limit:,}"
    svg = columns(
        [f"{entry.least:,}" for entry in bins],
        [("examples", [entry.ai for entry in bins])],
        name="tokens",
        description="Tokens of an example, and the limit",
        xlabel="tokens, from",
        ylabel="examples",
        max_labels=8,
        at_edges=True,
        mark=(place_in_bins(bins, examples.token_limit), limit),
        colors=(_ALL,),
    )
    how = "at most, by bytes" if examples.counted_by == "bytes" else examples.counted_by
    over = f"{examples.over_limit:,} of {examples.examples:,}"
    return Section(
        "Tokens of an example",
        svg,
        f"Counted: {how}. Over the limit, and cut off there: {over}. "
        f"Total: {examples.total_tokens:,} tokens.",
        ("tokens", "#examples"),
        [(number_range(entry), entry.ai) for entry in examples.bins],
    )


def _split_chart(report: ExportReport) -> Section:
    rows = [(part.name, part.examples) for part in report.split]
    return Section(
        "Train, validation and test",
        bars(rows, name="split", description="Examples by part", colors=(_ALL,)),
        "Whole conversations, the newest for the test. Repeated texts are still in "
        "validation and test.",
        ("part", "#examples", "#conversations"),
        [(part.name, part.examples, part.conversations) for part in report.split],
    )


def skipped_chart(report: ExportReport) -> Section:
    """Return the chart of messages kept, and skipped by reason."""
    export = report.stages[0]
    rows = [("kept", export.kept)]
    rows += [(short_reason(name), count) for name, count in export.skipped.items()]
    return Section(
        "Kept and skipped",
        bars(
            rows,
            name="kept",
            description="Messages kept and skipped",
            colors=[_ALL, *[MUTED] * len(rows)],
        ),
        f"{export.found:,} found = {export.kept:,} kept + "
        f"{export.found - export.kept:,} skipped.",
        ("", "#messages"),
        rows,
    )


def redaction_chart(figures: RedactionFigures) -> Section:
    """Return the chart of what redaction finds in texts, by kind."""
    kinds = sorted(figures.before.items(), key=lambda item: (-item[1], item[0]))
    after = sum(figures.after.values())
    return Section(
        "Private data in messages",
        bars(kinds, name="private", description="Private data by kind", colors=(_ALL,)),
        f"{figures.changed:,} of {plural(figures.texts, 'message')} would be changed. "
        f"Found: {sum(figures.before.values()):,}; found again after redaction: "
        f"{after:,}. The rules miss some: read a sample.",
        ("kind", "#before", "#after"),
        [(kind, count, figures.after.get(kind, 0)) for kind, count in kinds],
    )


def _sides(report: ExportReport) -> _Sides:
    ai = [person.name for person in report.people if person.is_ai]
    name = ai[0] if len(ai) == 1 else "AI"
    return _Sides(name, "others", has_ai=bool(ai))


def _two(
    sides: _Sides, entries: Sequence[Bin] | Sequence[TimePoint]
) -> list[tuple[str, list[int]]]:
    others = [entry.others for entry in entries]
    if not sides.has_ai:
        return [("messages", others)]
    return [(sides.ai, [entry.ai for entry in entries]), (sides.others, others)]


def _bin_table(
    bins: Sequence[Bin], sides: _Sides, in_range: Callable[[Bin], str]
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    return (
        ("", f"#{sides.ai}", f"#{sides.others}"),
        [(in_range(entry), entry.ai, entry.others) for entry in bins],
    )

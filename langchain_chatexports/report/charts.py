"""The charts of a report, each with its sentence and its table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.report.figures import Bin
from langchain_chatexports.report.formatting import (
    duration,
    number_range,
    plural,
    reason,
    time_label,
    time_range,
)
from langchain_chatexports.report.svg import MUTED, SERIES, bars, columns, heat_map

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

    from langchain_chatexports.report.figures import (
        Distribution,
        ExampleFigures,
        ExportReport,
        PauseFigures,
        RedactionFigures,
        TimeFigures,
    )

__all__ = [
    "Section",
    "habit_charts",
    "learned_charts",
    "people_chart",
    "redaction_chart",
    "skipped_chart",
    "time_charts",
]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MAX_PEOPLE = 12
# Of everybody together, where the first two colors are the voice's and the others'.
_ALL = SERIES[2]


class Section(NamedTuple):
    """A chart with what stands around it."""

    title: str
    svg: Markup
    caption: str
    headers: tuple[str, ...]
    rows: list[tuple[object, ...]]


class _Voices(NamedTuple):
    """What to call the two sides in legends and captions."""

    ai: str
    others: str
    has_ai: bool


def time_charts(report: ExportReport) -> list[Section]:
    """Draw when messages were sent."""
    time, voices = report.time, _voices(report)
    labels = time_label(time.unit, time.points)
    over_time = Section(
        "Over time",
        columns(
            labels,
            _two(voices, [p.ai for p in time.points], [p.others for p in time.points]),
            name="time",
            description=f"Messages by {time.unit}",
            ylabel=f"messages a {time.unit}",
            most_labels=5,
        ),
        f"Messages by {time.unit}. Days with a message: {time.active_days:,}.",
        (time.unit, f"#{voices.ai}", f"#{voices.others}"),
        [(str(p.start), f"{p.ai:,}", f"{p.others:,}") for p in time.points],
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
        f"Weekday and hour; the stronger the more. Time zone: {time.zone}.",
        ("", *(f"#{hour}" for hour in hours)),
        [
            (name, *(f"{count:,}" for count in row))
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
    rows: list[tuple[object, ...]] = [
        (label, f"{count:,}") for label, count in zip(labels, counts, strict=True)
    ]
    return Section(title, svg, f"Time zone: {time.zone}.", (unit, "#messages"), rows)


def people_chart(report: ExportReport) -> Section:
    """Draw who wrote how much."""
    listed = list(report.people[:_MAX_PEOPLE])
    rest = report.people[_MAX_PEOPLE:]
    rows = [(person.name, person.messages) for person in listed]
    colors = [SERIES[0] if person.is_ai else SERIES[1] for person in listed]
    if rest:
        others = sum(person.messages for person in rest)
        rows.append((f"{plural(len(rest), 'other')}", others))
        colors.append(MUTED)
    caption = "Messages kept. The voice to learn has a color of its own."
    return Section(
        "Who writes",
        bars(rows, name="people", description="Messages by person", colors=colors),
        caption if any(p.is_ai for p in report.people) else "Messages kept.",
        ("person", "#messages", "#characters", "#characters a message"),
        [
            (
                person.name,
                f"{person.messages:,}",
                f"{person.characters:,}",
                f"{person.characters / person.messages:.1f}",
            )
            for person in report.people[: 4 * _MAX_PEOPLE]
        ],
    )


def habit_charts(report: ExportReport) -> list[Section]:
    """Draw lengths, reply times, runs and pauses."""
    voices = _voices(report)
    return [
        _spread(
            "Length of messages",
            report.lengths,
            voices,
            name="lengths",
            unit="characters",
            label=lambda entry: f"{entry.least:,}",
            in_words=lambda number: f"{number:,.0f}",
        ),
        _spread(
            "Time to reply",
            report.replies,
            voices,
            name="replies",
            unit="time from the last message of somebody else, within a conversation",
            label=lambda entry: duration(entry.least),
            in_words=duration,
            in_range=time_range,
        ),
        _spread(
            "Messages in a row",
            report.runs,
            voices,
            name="runs",
            unit="messages that one person sends without an answer",
            label=_short_range,
            in_words=lambda number: f"{number:,.0f}",
            at_edges=False,
        ),
        _pause_chart(report.pauses, voices),
    ]


def _spread(
    title: str,
    figures: Distribution,
    voices: _Voices,
    *,
    name: str,
    unit: str,
    label: Callable[[Bin], str],
    in_words: Callable[[float], str],
    in_range: Callable[[Bin], str] = number_range,
    at_edges: bool = True,
) -> Section:
    svg = columns(
        [label(entry) for entry in figures.bins],
        _two(voices, [b.ai for b in figures.bins], [b.others for b in figures.bins]),
        name=name,
        description=title,
        xlabel="from … on" if at_edges else "",
        most_labels=8,
        at_edges=at_edges,
    )
    middle = [
        f"{who} {in_words(values.median)} (nine of ten at most {in_words(values.p90)})"
        for who, values in ((voices.ai, figures.ai), (voices.others, figures.others))
        if values.median is not None and values.p90 is not None
    ]
    caption = f"Unit: {unit}. Median: {'; '.join(middle) or 'none'}."
    return Section(title, svg, caption, *_bin_table(figures.bins, voices, in_range))


def _pause_chart(pauses: PauseFigures, voices: _Voices) -> Section:
    gap = pauses.median_gap
    mark = None
    if gap is not None:
        mark = (_place(pauses.bins, gap), f"cut after {duration(gap)}")
    svg = columns(
        [duration(entry.least) for entry in pauses.bins],
        _two(voices, [b.ai for b in pauses.bins], [b.others for b in pauses.bins]),
        name="pauses",
        description="Pauses between messages, and where threads are cut",
        xlabel="from … on",
        most_labels=8,
        at_edges=True,
        mark=mark,
    )
    return Section(
        "Pauses",
        svg,
        _pause_caption(pauses),
        *_bin_table(pauses.bins, voices, time_range),
    )


def _pause_caption(pauses: PauseFigures) -> str:
    shortest, longest = pauses.shortest_gap, pauses.longest_gap
    if shortest is None or longest is None:
        return "There is no pause between known times, so no thread is cut."
    after = duration(shortest)
    if duration(longest) != after:
        after = f"{after} to {duration(longest)} (by thread)"
    return (
        f"A pause longer than {after} begins a new conversation: "
        f"{plural(pauses.boundaries, 'cut')}, "
        f"{plural(pauses.conversations, 'conversation')}."
    )


def learned_charts(report: ExportReport) -> list[Section]:
    """Draw examples and their parts; nothing where there are none."""
    charts = []
    if report.examples is not None:
        charts.append(_token_chart(report.examples))
    if report.split:
        charts.append(_split_chart(report))
    return charts


def _token_chart(examples: ExampleFigures) -> Section:
    bins = list(examples.bins)
    # The limit is shown also where nothing comes near it.
    while (end := bins[-1].below) is not None and end <= examples.token_limit:
        bins.append(Bin(least=end, below=2 * end, ai=0, others=0))
    limit = f"limit {examples.token_limit:,}"
    svg = columns(
        [f"{entry.least:,}" for entry in bins],
        [("examples", [entry.ai for entry in bins])],
        name="tokens",
        description="Tokens of an example, and the limit",
        xlabel="tokens, from … on",
        ylabel="examples",
        most_labels=8,
        at_edges=True,
        mark=(_place(bins, examples.token_limit), limit),
        colors=(_ALL,),
    )
    how = "at most, by bytes" if examples.counted_by == "bytes" else examples.counted_by
    over = f"{examples.over_limit:,} of {examples.examples:,}"
    return Section(
        "Tokens of an example",
        svg,
        f"Counted: {how}. Over the limit: {over}; what is over it is cut off. "
        f"Together {examples.total_tokens:,} tokens.",
        ("tokens", "#examples"),
        [(number_range(b), f"{b.ai:,}") for b in examples.bins],
    )


def _split_chart(report: ExportReport) -> Section:
    rows = [(part.name, part.examples) for part in report.split]
    return Section(
        "Train, validation and test",
        bars(
            rows,
            name="split",
            description="Examples by part",
            colors=[_ALL] * len(rows),
        ),
        "Whole conversations, the newest for the test; before repeated texts are left "
        "out of validation and test.",
        ("part", "#examples", "#conversations"),
        [(p.name, f"{p.examples:,}", f"{p.conversations:,}") for p in report.split],
    )


def skipped_chart(report: ExportReport) -> Section:
    """Draw what of the export is kept, and what is left out and why."""
    export = report.stages[0]
    rows = [("kept", export.given)]
    rows += [(reason(name), count) for name, count in export.left_out.items()]
    return Section(
        "Kept and left out",
        bars(
            rows,
            name="kept",
            description="Messages kept and left out",
            colors=[_ALL, *([MUTED] * (len(rows) - 1))],
        ),
        f"{export.taken:,} found = {export.given:,} kept + "
        f"{export.taken - export.given:,} left out.",
        ("", "#messages"),
        [(name, f"{count:,}") for name, count in rows],
    )


def redaction_chart(figures: RedactionFigures) -> Section:
    """Draw what redaction finds in texts, by kind."""
    kinds = sorted(figures.before.items(), key=lambda item: (-item[1], item[0]))
    after = sum(figures.after.values())
    return Section(
        "Private places in texts",
        bars(
            kinds,
            name="private",
            description="Private places by kind",
            colors=[_ALL] * len(kinds),
        ),
        f"{figures.changed:,} of {plural(figures.texts, 'message')} would be changed. "
        f"Found before: {sum(figures.before.values()):,}; found again in what is made "
        f"of them: {after:,}. Rules miss some: read a sample.",
        ("kind", "#before", "#after"),
        [(k, f"{n:,}", f"{figures.after.get(k, 0):,}") for k, n in kinds],
    )


def _voices(report: ExportReport) -> _Voices:
    ai = [person.name for person in report.people if person.is_ai]
    name = ai[0] if len(ai) == 1 else "AI"
    return _Voices(name, "others", has_ai=bool(ai))


def _two(
    voices: _Voices, ai: list[int], others: list[int]
) -> list[tuple[str, list[int]]]:
    if not voices.has_ai:
        return [("messages", others)]
    return [(voices.ai, ai), (voices.others, others)]


def _bin_table(
    bins: Sequence[Bin], voices: _Voices, in_range: Callable[[Bin], str]
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    return (
        ("", f"#{voices.ai}", f"#{voices.others}"),
        [(in_range(entry), f"{entry.ai:,}", f"{entry.others:,}") for entry in bins],
    )


def _short_range(entry: Bin) -> str:
    if entry.below is None:
        return f"{entry.least}+"
    last = entry.below - 1
    return str(entry.least) if last == entry.least else f"{entry.least}-{last}"


def _place(bins: Sequence[Bin], number: float) -> float:
    """Return a number's place on an axis of bins, logarithmic between edges."""
    for index, entry in enumerate(bins):
        if entry.below is None or number < entry.below:
            if number <= entry.least:
                return index - 0.5
            end = entry.below or 2 * entry.least
            share = math.log(number / max(1, entry.least)) / math.log(
                end / max(1, entry.least)
            )
            return index - 0.5 + min(share, 1.0)
    return len(bins) - 0.5

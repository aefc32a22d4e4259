"""The HTML page of a report, with counts and no message text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from langchain_chatexports._files import write_whole
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.datasets.card import short_reason
from langchain_chatexports.report.figures import (
    Bin,
    ExportReport,
    PauseFigures,
    Sides,
    SourceFigures,
    StageFigures,
    TimePoint,
    TimeUnit,
)
from langchain_chatexports.report.html import render_page
from langchain_chatexports.report.svg import Bar, bars, columns

if TYPE_CHECKING:
    from markupsafe import Markup

_CHOSEN_LATER = "You choose the person in the next step."
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MAX_PEOPLE = 12
_DURATIONS = ((7 * 86_400, "wk"), (86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_Row: TypeAlias = tuple[object, ...]


class Section(NamedTuple):
    """A chart with its title, its caption and its table."""

    title: str
    svg: Markup
    caption: str
    headers: tuple[str, ...]
    rows: Sequence[_Row]


def write_report(report: ExportReport, path: str | Path) -> None:
    """Write a report as an HTML file that only its owner can read.

    Args:
        report: The figures.
        path: The file to write or replace, completely or not at all.

    Raises:
        ChatExportError: If it cannot be written there.
        MissingExtraError: If the extra `cli` is not installed.
    """
    write_whole(path, render_report(report).encode("utf-8", "replace"))


def render_report(report: ExportReport, *, with_examples: bool = True) -> str:
    """Render a report as a self-contained HTML page.

    Args:
        report: The figures.
        with_examples: Show the AI and the examples. `chatexports open` hides them,
            since they are chosen afterwards.

    Returns:
        The page; the same figures give the same page.

    Raises:
        MissingExtraError: If the extra `cli` is not installed.
    """
    return render_page(
        "report.html",
        report=report,
        lead=_lead(report),
        facts=_facts(report, with_examples=with_examples),
        sources=[_source(source) for source in report.sources],
        ai_note=_ai_note(report) if with_examples else _CHOSEN_LATER,
        with_examples=with_examples,
        times=[*_times(report)],
        people=[_people_chart(report), _silences(report.pauses)],
        habit_headers=(
            *("median, and 90th percentile", f"#{_ai_name(report) or 'owner'}"),
            *("#90 %", "#others", "#90 %"),
        ),
        habits=_habits(report),
        stages=[_stage(stage) for stage in report.stages],
    )


def duration(seconds: float) -> str:
    """Return a duration in a suitable unit: `45 s`, `37 min`, `1.5 h`."""
    for size, unit in _DURATIONS:
        if seconds >= size:
            number = seconds / size
            digits = 1 if number < 10 and round(number, 1) % 1 else 0  # noqa: PLR2004 - two digits are enough
            return f"{number:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def _lead(report: ExportReport) -> str:
    if not report.messages:
        return "There are no messages."
    time = report.time
    people = plural(len(report.people), "person", "people")
    written = f"{plural(report.messages, 'message')} by {people}"
    if time.first is None:
        return f"{written}, without times."
    return (
        f"{written}, {_day(time.first)} to {_day(time.last)}. Time zone: {time.zone}."
    )


def _facts(report: ExportReport, *, with_examples: bool) -> list[tuple[str, str]]:
    threads = sum(source.threads for source in report.sources)
    facts = [
        (report.messages, "messages"),
        (len(report.people), "people"),
        (threads, "threads"),
        (report.pauses.conversations, "conversations"),
        (report.time.active_days, "days with a message"),
    ]
    if with_examples:
        examples = report.examples.examples if report.examples else 0
        facts.append((examples, "training examples"))
    return [(f"{number:,}", what) for number, what in facts]


def _source(source: SourceFigures) -> _Row:
    return (
        source.name,
        PLATFORM_NAMES.get(source.platform, source.platform.replace("_", " ")),
        source.owner or "not known",
        _day(source.first),
        _day(source.last),
        source.threads,
        source.found,
        source.kept,
    )


def _stage(stage: StageFigures) -> _Row:
    name = stage.name if stage.unit == "messages" else f"{stage.name}: {stage.unit}"
    added, skipped = _reasons(stage.added), _reasons(stage.skipped)
    return name, stage.found, stage.kept, added, skipped


def _ai_note(report: ExportReport) -> str:
    names = [person.name for person in report.people if person.is_ai]
    if not names:
        return "There is no AI: no owner was found, or no person has that name."
    why = " (the export's owner)" if report.ai_is_owner else ""
    return f"The model learns from {', '.join(names)}{why}."


def _times(report: ExportReport) -> Iterator[Section]:
    time = report.time
    ai = _ai_name(report)
    series = [("others" if ai else "messages", [point.others for point in time.points])]
    if ai:
        series.insert(0, (ai, [point.ai for point in time.points]))
    yield Section(
        "Over time",
        columns(
            _time_labels(time.unit, time.points),
            series,
            description=f"Messages by {time.unit}",
        ),
        f"Messages by {time.unit}. Days with a message: {time.active_days:,}.",
        (time.unit, f"#{ai or 'owner'}", "#others"),
        [(str(point.start), point.ai, point.others) for point in time.points],
    )
    hours = [str(hour) for hour in range(24)]
    for unit, labels, counts in (
        ("weekday", _WEEKDAYS, time.by_weekday),
        ("hour", hours, time.by_hour),
    ):
        yield Section(
            f"By {unit}",
            columns(labels, [("messages", counts)], description=f"Messages by {unit}"),
            f"Time zone: {time.zone}.",
            (unit, "#messages"),
            list(zip(labels, counts, strict=True)),
        )


def _people_chart(report: ExportReport) -> Section:
    shown = report.people[:_MAX_PEOPLE]
    rows = [
        Bar(
            person.name,
            person.messages,
            f"{person.messages:,}",
            series=1 if person.is_ai else 2,
        )
        for person in shown
    ]
    if rest := report.people[_MAX_PEOPLE:]:
        others = sum(person.messages for person in rest)
        rows.append(Bar(plural(len(rest), "other"), others, f"{others:,}", series=0))
    caption = "Messages kept. The person whose voice is learned has another color."
    return Section(
        "Who writes",
        bars(rows, description="Messages by person"),
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


def _silences(pauses: PauseFigures) -> Section:
    return Section(
        "Silences",
        columns(
            [duration(entry.least) for entry in pauses.bins],
            [("pauses", [entry.count for entry in pauses.bins])],
            description="Pauses between messages, by their length",
        ),
        _pause_caption(pauses),
        ("", "#pauses"),
        [(_time_range(entry), entry.count) for entry in pauses.bins],
    )


def _pause_caption(pauses: PauseFigures) -> str:
    shortest, longest = pauses.shortest_gap, pauses.longest_gap
    if not pauses.pauses:
        return "There are no pauses between known times, so no thread is split."
    if shortest is None or longest is None:
        return "Threads are not split."
    after = duration(shortest)
    if duration(longest) != after:
        after = f"{after} to {duration(longest)} (by thread)"
    return (
        f"Pauses from this length on. After a pause longer than {after} a new "
        f"conversation begins: {plural(pauses.boundaries, 'split')}, "
        f"{plural(pauses.conversations, 'conversation')}."
    )


def _habits(report: ExportReport) -> list[_Row]:
    """Return the median and 90th percentile of message length, replies and runs."""

    def cells(sides: Sides, *, in_time: bool = False) -> _Row:
        numbers = (
            number
            for values in (sides.ai, sides.others)
            for number in (values.median, values.p90)
        )
        return tuple(
            "–" if number is None else duration(number) if in_time else f"{number:,}"  # noqa: RUF001 - a dash
            for number in numbers
        )

    return [
        ("characters of a message", *cells(report.lengths)),
        ("time to reply, within a conversation", *cells(report.replies, in_time=True)),
        ("messages in a row", *cells(report.runs)),
    ]


def _ai_name(report: ExportReport) -> str:
    names = [person.name for person in report.people if person.is_ai]
    return names[0] if len(names) == 1 else "person" if names else ""


def _day(moment: datetime | None) -> str:
    return "not known" if moment is None else f"{moment:%Y-%m-%d}"


def _time_range(entry: Bin) -> str:
    if entry.below is None:
        return f"{duration(entry.least)} and more"
    return f"{duration(entry.least)} to {duration(entry.below)}"


def _time_labels(unit: TimeUnit, points: Sequence[TimePoint]) -> list[str]:
    years = {point.start.year for point in points}
    in_days = "{:%m-%d}" if len(years) == 1 else "{:%Y-%m-%d}"
    form = {"month": "{:%Y-%m}", "year": "{:%Y}"}.get(unit, in_days)
    return [form.format(point.start) for point in points]


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count:,} {short_reason(name)}" for name, count in counts.items()
    )

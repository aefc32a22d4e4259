"""The HTML page of a report, with counts and no message text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from langchain_chatexports._files import write_whole
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.report.figures import (
    Bin,
    ExportReport,
    PauseFigures,
    SourceFigures,
    TimePoint,
    TimeUnit,
)
from langchain_chatexports.report.html import render_page
from langchain_chatexports.report.numbers import duration, number
from langchain_chatexports.report.svg import Bar, bars, columns
from langchain_chatexports.report.times import LOCAL

if TYPE_CHECKING:
    from markupsafe import Markup

_MAX_PEOPLE = 12
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
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


def render_report(report: ExportReport) -> str:
    """Render a report as a self-contained HTML page.

    Args:
        report: The figures.

    Returns:
        The page; the same figures give the same page.

    Raises:
        MissingExtraError: If the extra `cli` is not installed.
    """
    return render_page(
        "report.html",
        report=report,
        lead=_lead(report),
        facts=_facts(report),
        sources=[_source(source) for source in report.sources],
        ai_note=_ai_note(report),
        times=[*_times(report)],
        people=[_people_chart(report), _silences(report.pauses)],
    )


def _lead(report: ExportReport) -> str:
    if not report.messages:
        return "There are no messages."
    time = report.time
    people = plural(len(report.people), "person", "people")
    written = f"{plural(report.messages, 'message')} by {people}"
    if time.first is None or time.last is None:
        return f"{written}, without times."
    return f"{written}, {_day(time.first)} to {_day(time.last)}. {_zone(report)}"


def _zone(report: ExportReport) -> str:
    if report.time.zone == LOCAL:
        return "Times are in this machine's time zone."
    return f"Time zone: {report.time.zone}."


def _facts(report: ExportReport) -> list[tuple[str, str]]:
    facts = [
        (report.messages, "messages"),
        (len(report.people), "people"),
        (sum(source.chats for source in report.sources), "chats"),
        (report.pauses.conversations, "conversations"),
        (report.time.active_days, "days with a message"),
        (report.examples.examples if report.examples else 0, "training examples"),
    ]
    return [(number(count), what) for count, what in facts]


def _source(source: SourceFigures) -> _Row:
    return (
        source.name,
        _app(source.platform),
        source.owner or "not known",
        _day(source.first),
        _day(source.last),
        source.chats,
        source.found,
        source.kept,
    )


def _app(platform: str) -> str:
    name = PLATFORM_NAMES.get(platform, platform.replace("_", " "))
    return "A table" if platform == "table" else name


def _ai_note(report: ExportReport) -> str:
    names = [person.name for person in report.people if person.is_ai]
    if not names:
        return "There is no AI: no owner was found, or no person has that name."
    why = " (the export's owner)" if report.ai_is_owner else ""
    return f"The model learns from {', '.join(names)}{why}."


def _times(report: ExportReport) -> Iterator[Section]:
    time = report.time
    ai = _ai_name(report)
    others = [point.others for point in time.points]
    series = [("others" if ai else "messages", others)]
    if ai:
        series.insert(0, (ai, [point.ai for point in time.points]))
    title = _by_unit(time.unit)
    days = f"Days with a message: {number(time.active_days)}."
    yield Section(
        "Over time",
        columns(_time_labels(time.unit, time.points), series, description=title),
        f"{title}. {days}",
        ("from", f"#{ai or 'owner'}", "#others"),
        [(str(point.start), point.ai, point.others) for point in time.points],
    )
    yield _of_week_or_day(report, "By weekday", _WEEKDAYS, time.by_weekday)
    hours = [str(hour) for hour in range(24)]
    yield _of_week_or_day(report, "By hour", hours, time.by_hour)


def _of_week_or_day(
    report: ExportReport, title: str, labels: Sequence[str], counts: Sequence[int]
) -> Section:
    return Section(
        title,
        columns(labels, [("messages", counts)], description=title),
        _zone(report),
        ("", "#messages"),
        list(zip(labels, counts, strict=True)),
    )


def _by_unit(unit: TimeUnit) -> str:
    titles = {
        "day": "Messages by day",
        "week": "Messages by week",
        "month": "Messages by month",
        "year": "Messages by year",
    }
    return titles[unit]


def _people_chart(report: ExportReport) -> Section:
    shown = report.people[:_MAX_PEOPLE]
    rows = [
        Bar(
            person.name,
            person.messages,
            number(person.messages),
            series=1 if person.is_ai else 2,
        )
        for person in shown
    ]
    if rest := report.people[_MAX_PEOPLE:]:
        others = sum(person.messages for person in rest)
        title = plural(len(rest), "other")
        rows.append(Bar(title, others, number(others), series=0))
    caption = "Messages kept."
    if any(person.is_ai for person in report.people):
        colored = (
            "The export's owner has another color."
            if report.ai_is_owner
            else "The person whose voice is learned has another color."
        )
        caption = f"{caption} {colored}"
    return Section(
        "Who writes",
        bars(rows, description="Messages by person"),
        caption,
        (
            "person",
            "#messages",
            "#characters",
            "#characters a message",
        ),
        [
            (
                person.name,
                person.messages,
                person.characters,
                number(person.characters / person.messages, 1),
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
        return "There are no pauses between known times, so no chat is split."
    if shortest is None or longest is None:
        return "Chats are not split."
    after = duration(shortest)
    if duration(longest) != after:
        after = f"{after} to {duration(longest)} (by chat)"
    conversations = plural(pauses.conversations, "conversation")
    return (
        f"Pauses from this length on. After a pause longer than {after} a new "
        f"conversation begins: {conversations}."
    )


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

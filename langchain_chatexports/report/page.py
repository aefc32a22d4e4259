"""The HTML page of a report, without message text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from langchain_chatexports._files import write_atomic
from langchain_chatexports._terminal import plural
from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.report.figures import (
    DialogueFigures,
    ExportReport,
    SourceFigures,
    TimePoint,
    TimeUnit,
)
from langchain_chatexports.report.html import render_page
from langchain_chatexports.report.numbers import duration, number
from langchain_chatexports.report.svg import Bar, draw_bars, draw_columns
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
        path: The file to write or replace atomically.

    Raises:
        ChatExportError: If it cannot be written there.
        MissingExtraError: If the extra `cli` is not installed.
    """
    write_atomic(path, render_report(report).encode("utf-8", "replace"))


def render_report(report: ExportReport) -> str:
    """Render a report as a self-contained HTML page.

    Args:
        report: The figures.

    Returns:
        The page, which is deterministic.

    Raises:
        MissingExtraError: If the extra `cli` is not installed.
    """
    return render_page(
        "report.html",
        report=report,
        lead=_lead(report),
        totals=_totals(report),
        sources=[_source_row(source) for source in report.sources],
        ai_note=_ai_note(report),
        habits=" ".join(describe_habits(report)),
        times=[*_time_sections(report)],
        people=_people_section(report),
        dialogues=_describe_dialogues(report.dialogues),
    )


def _lead(report: ExportReport) -> str:
    if not report.messages:
        return "No messages."
    time = report.time
    people = plural(len(report.people), "person", "people")
    messages = f"{plural(report.messages, 'message')} by {people}"
    if time.first is None or time.last is None:
        return f"{messages}, no timestamps."
    days = f"{_format_day(time.first)} to {_format_day(time.last)}"
    return f"{messages}, {days}. {_zone(report)}"


def _zone(report: ExportReport) -> str:
    if report.time.zone == LOCAL:
        return "Times are in this machine's time zone."
    return f"Time zone: {report.time.zone}."


def describe_habits(report: ExportReport) -> list[Sentence]:
    """Return how the person answers as sentences, with what they rest on."""
    hours = report.time.ai_by_hour
    names = (p.name for p in report.people if p.is_ai)
    person = next(names, Sentence("The person"))
    sentences = []
    for habit in report.habits:
        values = {
            "person": person,
            "share": f"{habit.answers / habit.occasions:.0%}",
            "count": habit.occasions,
        }
        sentences.append(
            Sentence(
                "{person} answers {share} of what others write in groups ({count} "
                "times).",
                **values,
            )
            if habit.is_group
            else Sentence(
                "{person} answers {share} of what others write in chats of two "
                "({count} times).",
                **values,
            )
        )
        if habit.median_delay is not None:
            sentences.append(
                Sentence(
                    "The median delay is {delay}, the mean answer {messages} "
                    "messages long (answers: {count}).",
                    delay=duration(habit.median_delay),
                    messages=round(habit.messages_per_answer or 0, 1),
                    count=habit.answers,
                )
            )
    if sentences and any(hours):
        hour = hours.index(max(hours))
        sentences.append(
            Sentence(
                "{person} writes most from {start} to {end} o'clock (messages: "
                "{count}).",
                person=person,
                start=hour,
                end=hour + 1,
                count=sum(hours),
            )
        )
    return sentences


def _totals(report: ExportReport) -> list[tuple[str, str]]:
    totals = [
        (report.messages, "messages"),
        (len(report.people), "people"),
        (sum(source.chats for source in report.sources), "chats"),
        (report.dialogues.count, "dialogues"),
        (report.time.active_days, "days with a message"),
        (report.examples.examples if report.examples else 0, "training examples"),
    ]
    return [(number(count), label) for count, label in totals]


def _source_row(source: SourceFigures) -> _Row:
    return (
        source.name,
        _app_name(source.platform),
        source.owner or "unknown",
        _format_day(source.first),
        _format_day(source.last),
        source.chats,
        source.found,
        source.kept,
    )


def _app_name(platform: str) -> str:
    name = PLATFORM_NAMES.get(platform, platform.replace("_", " "))
    return "A table" if platform == "table" else name


def _ai_note(report: ExportReport) -> str:
    names = [person.name for person in report.people if person.is_ai]
    if not names:
        return "No training examples: the owner is unknown, or no person has this name."
    note = " (the export's owner)" if report.ai_is_owner else ""
    return f"The model learns from {', '.join(names)}{note}."


def _time_sections(report: ExportReport) -> Iterator[Section]:
    time = report.time
    ai = _ai_name(report)
    others = [point.others for point in time.points]
    series = [("others" if ai else "messages", others)]
    if ai:
        series.insert(0, (ai, [point.ai for point in time.points]))
    title = _chart_title(time.unit)
    days = f"Days with a message: {number(time.active_days)}."
    yield Section(
        "Over time",
        draw_columns(_time_labels(time.unit, time.points), series, description=title),
        f"{title}. {days}",
        ("from", f"#{ai or 'owner'}", "#others"),
        [(str(point.start), point.ai, point.others) for point in time.points],
    )
    yield _count_section(report, "By weekday", _WEEKDAYS, time.by_weekday)
    hours = [str(hour) for hour in range(24)]
    yield _count_section(report, "By hour", hours, time.by_hour)


def _count_section(
    report: ExportReport, title: str, labels: Sequence[str], counts: Sequence[int]
) -> Section:
    return Section(
        title,
        draw_columns(labels, [("messages", counts)], description=title),
        _zone(report),
        ("", "#messages"),
        list(zip(labels, counts, strict=True)),
    )


def _chart_title(unit: TimeUnit) -> str:
    titles = {
        "day": "Messages by day",
        "week": "Messages by week",
        "month": "Messages by month",
        "year": "Messages by year",
    }
    return titles[unit]


def _people_section(report: ExportReport) -> Section:
    largest = report.people[:_MAX_PEOPLE]
    rows = [
        Bar(
            person.name,
            person.messages,
            number(person.messages),
            series=1 if person.is_ai else 2,
        )
        for person in largest
    ]
    if remaining := report.people[_MAX_PEOPLE:]:
        others = sum(person.messages for person in remaining)
        title = plural(len(remaining), "other")
        rows.append(Bar(title, others, number(others), series=0))
    caption = "Messages kept."
    if any(person.is_ai for person in report.people):
        ai = "export's owner" if report.ai_is_owner else "person to imitate"
        caption = f"{caption} The {ai} is shown in a different color."
    return Section(
        "Messages by person",
        draw_bars(rows, description="Messages by person"),
        caption,
        (
            "person",
            "#messages",
            "#characters",
            "#characters per message",
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


def _describe_dialogues(figures: DialogueFigures) -> str:
    shortest, longest = figures.shortest_gap, figures.longest_gap
    if shortest is None or longest is None:
        return "Chats are not split into dialogues."
    after = duration(shortest)
    if duration(longest) != after:
        after = f"{after} to {duration(longest)} (by chat)"
    dialogues = plural(figures.count, "dialogue")
    return f"A pause longer than {after} separates dialogues: {dialogues}."


def _ai_name(report: ExportReport) -> str:
    names = [person.name for person in report.people if person.is_ai]
    return names[0] if len(names) == 1 else "person" if names else ""


def _format_day(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment:%Y-%m-%d}"


def _time_labels(unit: TimeUnit, points: Sequence[TimePoint]) -> list[str]:
    years = {point.start.year for point in points}
    day_format = "{:%m-%d}" if len(years) == 1 else "{:%Y-%m-%d}"
    label_format = {"month": "{:%Y-%m}", "year": "{:%Y}"}.get(unit, day_format)
    return [label_format.format(point.start) for point in points]

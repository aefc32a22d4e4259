"""The page of a report: one HTML file with counts and no message text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.datasets.card_reasons import short_reason
from langchain_chatexports.report.charts import (
    habit_charts,
    learned_charts,
    people_chart,
    redaction_chart,
    skipped_chart,
    time_charts,
)
from langchain_chatexports.report.figures import ExportReport, SourceFigures
from langchain_chatexports.report.formatting import day
from langchain_chatexports.report.html import render_page

_CHOSEN_LATER = "You choose the person in the next step."


def write_report(report: ExportReport, path: str | Path) -> None:
    """Write a report as one HTML file that only its owner can read.

    Args:
        report: The figures.
        path: The file to write or replace, whole or not at all.

    Raises:
        ChatExportError: If it cannot be written there.
        MissingExtraError: If the extra `report` is not installed.
    """
    write_whole(path, render_report(report).encode("utf-8", "replace"))


def render_report(report: ExportReport, *, with_examples: bool = True) -> str:
    """Return a report as one HTML page, which loads nothing from elsewhere.

    Args:
        report: The figures.
        with_examples: Show who the AI is, and the examples; not where they are chosen
            afterwards, as in `chatexports open`.

    Returns:
        The page, the same for the same figures.

    Raises:
        MissingExtraError: If the extra `report` is not installed.
    """
    return render_page(
        "report.html",
        report=report,
        lead=_lead(report),
        facts=_facts(report, with_examples=with_examples),
        sources=[_source(source) for source in report.sources],
        ai_note=_ai_note(report) if with_examples else _CHOSEN_LATER,
        with_examples=with_examples,
        times=time_charts(report),
        people=people_chart(report),
        skipped=skipped_chart(report),
        habits=habit_charts(report),
        learned=learned_charts(report),
        stages=[
            (
                stage.name
                if stage.unit == "messages"
                else f"{stage.name}: {stage.unit}",
                stage.found,
                stage.kept,
                _reasons(stage.added),
                _reasons(stage.skipped),
            )
            for stage in report.stages
        ],
        redaction=report.redaction and redaction_chart(report.redaction),
    )


def _lead(report: ExportReport) -> str:
    if not report.messages:
        return "There are no messages."
    time = report.time
    written = f"{plural(report.messages, 'message')} by {_people(report)}"
    if time.first is None:
        return f"{written}; their times are not known."
    return f"{written}, {day(time.first)} to {day(time.last)}. Time zone: {time.zone}."


def _people(report: ExportReport) -> str:
    return plural(len(report.people), "person", "people")


def _facts(report: ExportReport, *, with_examples: bool) -> list[tuple[str, str]]:
    threads = sum(source.threads for source in report.sources)
    examples = report.examples.examples if report.examples else 0
    return [
        (f"{report.messages:,}", "messages"),
        (f"{len(report.people):,}", "people"),
        (f"{threads:,}", "threads"),
        (f"{report.pauses.conversations:,}", "conversations"),
        (f"{report.time.active_days:,}", "days with a message"),
        *([(f"{examples:,}", "training examples")] if with_examples else []),
    ]


def _source(source: SourceFigures) -> tuple[object, ...]:
    return (
        source.name,
        PLATFORM_NAMES.get(source.platform, source.platform.replace("_", " ")),
        source.owner or "not known",
        day(source.first),
        day(source.last),
        source.threads,
        source.found,
        source.kept,
    )


def _ai_note(report: ExportReport) -> str:
    names = [person.name for person in report.people if person.is_ai]
    if not names:
        return "Nobody is the AI: no owner was found, or nobody has that name."
    why = " (the export's owner)" if report.ai_is_owner else ""
    return f"The model learns from {', '.join(names)}{why}."


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count:,} {short_reason(name)}" for name, count in counts.items()
    )

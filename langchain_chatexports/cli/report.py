"""`chatexports report`: a web page with statistics about an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from langchain_chatexports._files import write_atomic
from langchain_chatexports._translation import Sentence, ngettext
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
)
from langchain_chatexports.cli._console import (
    print_json,
    print_line,
    say,
    show_progress,
)
from langchain_chatexports.cli._options import (
    Ai,
    AsJson,
    Force,
    Paths,
    SourceOptions,
    check_output,
    command,
    flag,
    option,
    read_exports,
    resolve_paths,
)
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.report import ExportReport, build_report, render_report
from langchain_chatexports.report.html import check_extra
from langchain_chatexports.report.page import describe_habits
from langchain_chatexports.workflows.chat_filter import index_names


@command
def report(
    paths: Paths = None,
    *,
    output: Annotated[
        Path | None,
        option(
            "FILE",
            "The HTML file to write. Default: report.html; with --json, none.",
            "-o",
            "--output",
        ),
    ] = None,
    ai: Ai = None,
    chats: SourceOptions,
    anonymous: Annotated[
        bool, flag("--anonymous", "Omit the names of people and files.")
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a web page about an export: people, times, style.

    The page is one HTML file, which loads and sends nothing. It contains statistics and
    the names of people (unless --anonymous), but no message text.

    For example:
        chatexports report chat.db --ai Tortoise
        chatexports report chat.db --anonymous -o anonymous.html
    """
    check_extra()
    paths = resolve_paths(paths)
    target = output or (None if as_json else Path("report.html"))
    if target is not None:
        check_output(target, paths, force=force)
    statistics = read_exports(
        paths,
        chats,
        lambda exports, readings, ai_names: _build_report(
            exports, readings, ai_names, anonymous
        ),
        ai or (),
    )
    if target is not None:
        write_atomic(target, render_report(statistics).encode("utf-8", "replace"))
    if as_json:
        print_json(statistics.model_dump(mode="json"))
        return
    _print_report(statistics)
    say("Wrote {path}. Open it in a browser.", path=target)


def _build_report(
    exports: Sequence[Export],
    readings: Sequence[Reading],
    ai: Sequence[str],
    anonymous: bool,
) -> ExportReport:
    messages_read = 0

    def update_count(messages: int) -> None:
        nonlocal messages_read
        messages_read = messages

    total = estimate_message_count(exports)
    with show_progress("messages", lambda: messages_read, total):
        statistics = build_report(
            [export.loader for export in exports],
            ai=ai,
            time_zone="local",
            anonymous=anonymous,
            on_messages=update_count,
            readings=readings,
        )
    if (
        ai
        and statistics.messages
        and not any(person.is_ai for person in statistics.people)
    ):
        msg: str = Sentence("No person in these exports matches --ai.")
        senders = {}
        if not anonymous:
            senders = {p.name: p.messages for p in statistics.people}
            known_names = index_names(readings, senders)
            msg = known_names.problem(ai, "person in these exports", "--ai")
        raise SenderNotFoundError(msg, senders)
    return statistics


def _print_report(statistics: ExportReport) -> None:
    examples = statistics.examples.examples if statistics.examples else 0
    people, dialogues = len(statistics.people), statistics.dialogues.count
    counts = (
        ngettext("{count} message", "{count} messages", statistics.messages),
        ngettext("{count} person", "{count} people", people),
        ngettext("{count} dialogue", "{count} dialogues", dialogues),
        ngettext("{count} example", "{count} examples", examples),
    )
    print_line(", ".join(counts))
    for sentence in describe_habits(statistics):
        print_line(sentence.translated())
    if statistics.messages and not examples:
        say("To count examples, choose the person with --ai NAME.")

"""`chatexports report`: a web page with figures about an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from langchain_chatexports._files import write_whole
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
)
from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.cli._console import print_json, print_line, show_progress
from langchain_chatexports.cli._options import (
    Ai,
    AsJson,
    Force,
    Paths,
    SourceOptions,
    check_output,
    command,
    default_export,
    flag,
    option,
    read_exports,
    unused_path,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.report import ExportReport, build_report, render_report
from langchain_chatexports.report.html import require_extra


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
        bool, flag("--anonymous", "Leave out names of people and files.")
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a web page about an export: people, times, style.

    The page is one HTML file for your browser, which loads nothing and sends nothing.
    It has counts and names of people, but no text of any message, and with --anonymous
    no names.

    For example:
        chatexports report chat.db --ai Tortoise
        chatexports report chat.db --anonymous -o anonymous.html
    """
    require_extra()
    paths = default_export(paths)
    target = output or (None if as_json else unused_path("report.html", paths))
    if target is not None:
        check_output(target, paths, force=force)
    figures = read_exports(
        paths,
        chats,
        lambda exports, chosen, names: _figures(exports, chosen, names, anonymous),
        ai or (),
    )
    if target is not None:
        write_whole(target, render_report(figures).encode("utf-8", "replace"))
    if as_json:
        print_json(figures.model_dump(mode="json"))
        return
    _print_report(figures)
    print_line(f"Written: {target}. Open it in a browser.")


def _figures(
    exports: Sequence[Export],
    chats: ChatChoice,
    ai: Sequence[str],
    anonymous: bool,
) -> ExportReport:
    done = 0

    def count(messages: int) -> None:
        nonlocal done
        done = messages

    total = estimate_message_count(exports)
    with show_progress("messages", lambda: done, total):
        figures = build_report(
            [export.loader for export in exports],
            ai=ai,
            time_zone="local",
            anonymous=anonymous,
            on_messages=count,
        )
    chats.check_names(exports)
    if ai and figures.messages and not any(person.is_ai for person in figures.people):
        senders = {p.name: p.messages for p in figures.people} if not anonymous else {}
        msg = "Nobody in these exports has the name given with --ai."
        raise SenderNotFoundError(msg + did_you_mean(ai, senders), senders)
    return figures


def _print_report(figures: ExportReport) -> None:
    examples = figures.examples.examples if figures.examples else 0
    people = plural(len(figures.people), "person", "people")
    conversations = plural(figures.pauses.conversations, "conversation")
    print_line(
        f"{plural(figures.messages, 'message')} by {people}, {conversations}, "
        f"{plural(examples, 'example')}"
    )
    if figures.messages and not examples:
        print_line("Name the speaker with --ai NAME to count the examples.")

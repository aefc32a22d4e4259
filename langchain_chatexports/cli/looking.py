"""`chatexports inspect` and `chatexports report`: what is in an export."""

# No postponed annotations here: typer reads them at run time.
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_chatexports.cli.console import (
    Meter,
    print_json,
    say,
    shell_words,
    show,
    watching,
)
from langchain_chatexports.cli.options import Ai, AsJson, Contacts, Paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.chat_loaders.ledger import ExportSummary
    from langchain_chatexports.cli.exports import Export
    from langchain_chatexports.report import ExportReport

__all__ = ["inspect", "report"]

_NO_MESSAGE = "There is no message to learn from."


def inspect(
    paths: Paths = None, *, contacts: Contacts = None, as_json: AsJson = False
) -> None:
    """Say what is in an export: whose it is, who talks, what is left out and why.

    It reads all of the export, some 100,000 messages a second, writes nothing, and ends
    with the command that makes examples of it.
    """
    from langchain_chatexports.cli.exports import open_exports, own_messages_or

    paths = own_messages_or(paths)
    exports = open_exports(paths, contacts=contacts)
    summaries = [_summary(export) for export in exports]
    if as_json:
        pairs = zip(exports, summaries, strict=True)
        print_json(
            [
                {"path": str(export.path), "format": export.format, **summary.to_dict()}
                for export, summary in pairs
            ]
        )
        return
    for export, summary in zip(exports, summaries, strict=True):
        show(export)
        show(summary)
        show()
    _say_next(paths, contacts, summaries)


def report(
    paths: Paths = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The HTML file to write.",
            show_default="report.html; with --json none",
        ),
    ] = None,
    ai: Ai = None,
    contacts: Contacts = None,
    anonymous: Annotated[
        bool,
        typer.Option("--anonymous", help="Leave out names of people and files."),
    ] = False,
    time_zone: Annotated[
        str,
        typer.Option(
            metavar="ZONE",
            help="The time zone of hours and days, such as Europe/Berlin; local for "
            "this machine's.",
        ),
    ] = "UTC",
    no_redaction: Annotated[
        bool,
        typer.Option(
            "--no-redaction",
            help="Do not count what redaction would replace, for which the export is "
            "read twice.",
        ),
    ] = False,
    token_limit: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Tokens after which an example is cut off; OpenAI's is 65536.",
        ),
    ] = 1024,
    as_json: AsJson = False,
) -> None:
    """Show an export on one page, in numbers: when, who, how, and what is learned.

    The page is one HTML file for your browser, which loads nothing and sends nothing.
    It holds counts and names of people, and no text of any message; with --anonymous
    no names either.
    """
    from langchain_chatexports._files import write_whole
    from langchain_chatexports.cli.exports import (
        open_exports,
        own_messages_or,
        refuse_to_overwrite,
    )
    from langchain_chatexports.report import render_report

    paths = own_messages_or(paths)
    target = output or (None if as_json else Path("report.html"))
    if target is not None:
        refuse_to_overwrite(target, paths)
    exports = open_exports(paths, contacts=contacts)
    figures = _figures(
        exports,
        ai=ai or [],
        anonymous=anonymous,
        time_zone=time_zone,
        redaction=not no_redaction,
        token_limit=token_limit,
    )
    if target is not None:
        write_whole(target, render_report(figures).encode("utf-8", "replace"))
    if as_json:
        print_json(figures.model_dump(mode="json"))
        return
    _say_report(figures)
    say(f"Written: {target}. Open it in a browser.")


def _summary(export: "Export") -> "ExportSummary":
    from langchain_chatexports.cli.totals import about_messages
    from langchain_chatexports.steps.pipe import counted_pass

    counted = counted_pass(export.loader)
    total = about_messages([export])
    with watching(Meter("messages", lambda: counted.messages_read, total)):
        for session in counted:
            del session
    return counted.summary()


def _say_next(
    paths: "Sequence[Path]",
    contacts: Path | None,
    summaries: "Sequence[ExportSummary]",
) -> None:
    if not any(summary.kept for summary in summaries):
        say(_NO_MESSAGE)
        return
    command: list[object] = ["chatexports", "prepare", *paths]
    if contacts is not None:
        command += ["--contacts", contacts]
    voices = [
        summary.owner if summary.owner in summary.senders else None
        for summary in summaries
    ]
    if None in voices:
        # The owners that are known stay; for the others, whoever wrote most.
        for voice, summary in zip(voices, summaries, strict=True):
            name = voice or next(iter(summary.senders), None)
            if name is not None and name not in command:
                command += ["--ai", name]
        say("Whose voice shall the model learn? Name one of the senders with --ai.")
    else:
        owners = ", ".join(dict.fromkeys(map(str, voices)))
        say(f"The model learns the voice of {owners}; of somebody else with --ai.")
    say(f"Next: {shell_words([*command, '-o', 'examples.jsonl'])}")


def _figures(
    exports: "Sequence[Export]",
    *,
    ai: "Sequence[str]",
    anonymous: bool,
    time_zone: str,
    redaction: bool,
    token_limit: int,
) -> "ExportReport":
    from langchain_chatexports.cli.people import did_you_mean
    from langchain_chatexports.cli.totals import about_messages
    from langchain_chatexports.exceptions import SenderNotFoundError
    from langchain_chatexports.report import build_report
    from langchain_chatexports.report.svg import require_extra
    from langchain_chatexports.report.times import find_time_zone

    require_extra()
    try:
        find_time_zone(time_zone)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    done = 0

    def listen(messages: int) -> None:
        nonlocal done
        done = messages

    total = about_messages(exports)
    passes = 2 if redaction else 1
    with watching(Meter("messages", lambda: done, total and passes * total)):
        figures = build_report(
            [export.loader for export in exports],
            ai=ai,
            time_zone=time_zone,
            anonymous=anonymous,
            redaction=redaction,
            token_limit=token_limit,
            on_messages=listen,
        )
    if ai and figures.messages and not any(person.is_ai for person in figures.people):
        senders = {p.name: p.messages for p in figures.people} if not anonymous else {}
        msg = "Nobody in these exports has the name given with --ai."
        raise SenderNotFoundError(msg + did_you_mean(ai, senders), senders)
    return figures


def _say_report(figures: "ExportReport") -> None:
    from langchain_chatexports.report.formatting import plural

    examples = figures.examples.examples if figures.examples else 0
    people = plural(len(figures.people), "person", "people")
    counts = (
        f"{plural(figures.messages, 'message')} by {people}",
        plural(figures.pauses.conversations, "conversation"),
        plural(examples, "example"),
    )
    say(", ".join(counts))
    if not figures.messages:
        say(_NO_MESSAGE)
    elif not examples:
        say("Nothing would be learned: name who speaks as the AI with --ai NAME.")

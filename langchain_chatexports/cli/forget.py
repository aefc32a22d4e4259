"""`chatexports forget`: take somebody out of a set, and list what was trained on it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import print_json, say
from langchain_chatexports.cli._options import AsJson, DataDir, command
from langchain_chatexports.exceptions import (
    ExportFormatError,
    FineTuningError,
    MissingExtraError,
    SenderNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from langchain_chatexports.datasets import ForgetReport
    from langchain_chatexports.finetuning.orders import JobUse

__all__ = ["forget"]

_OPENAI_URL = "https://api.openai.com/v1"


@command
def forget(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            help="A set that prepare has written, with its trace beside it.",
            show_default=False,
        ),
    ],
    *,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name or handle of somebody to take out; may be given several times.",
            show_default=False,
        ),
    ] = None,
    conversation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Id of a conversation to take out; may be given several times.",
            show_default=False,
        ),
    ] = None,
    mentions: Annotated[
        bool,
        typer.Option("--mentions", help="Also take out texts that mention the name."),
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The key file, for a set in which names were replaced: people and "
            "conversations are named as in the export.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Look for fine-tuning jobs on this server too; its key is read from "
            "OPENAI_API_KEY.",
            show_default=False,
        ),
    ] = None,
    openai: Annotated[
        bool, typer.Option("--openai", help="Look for fine-tuning jobs at OpenAI too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a person or a conversation out of a set, and list the jobs that used it.

    For example:
        chatexports forget set --person Hare
        chatexports forget set --person Hare --mentions
    """
    from langchain_chatexports.datasets import forget as forget_in_set

    people, conversations = person or [], conversation or []
    if not people and not conversations:
        msg = "Say what to forget: --person NAME or --conversation ID."
        raise typer.BadParameter(msg)
    if key is None:
        _refuse_if_redacted(path)
    else:
        people, conversations = _stand_ins(key, people, conversations)
    asked = [*people, *conversations]
    typed = dict(zip(asked, [*(person or ()), *(conversation or ())], strict=True))
    try:
        report = forget_in_set(
            path,
            people=people,
            conversations=conversations,
            mentions=mentions,
            strict=True,
        )
    except SenderNotFoundError as error:
        if key is None:
            raise
        named = {name: typed[name] for name in people}
        raise _with_names(error, named, key, path) from None
    before = tuple(typed[name] for name in report.forgotten_before)
    report = replace(report, forgotten_before=before)
    jobs = _local_jobs(report.hashes, data_dir)
    for url in (base_url, _OPENAI_URL if openai else None):
        jobs += _remote_jobs(report.hashes, url) if url else []
    if as_json:
        print_json({**report.to_dict(), "jobs": [job.to_dict() for job in jobs]})
        return
    _say_report(report, jobs)


def _refuse_if_redacted(path: Path) -> None:
    from langchain_chatexports.datasets.formats.trace_file import read_header

    if read_header(path).facts.get("redacted"):
        # Otherwise the report would say that the set has nothing of the person.
        msg = (
            f"The names in {path} were replaced, so nobody can be found by name. Name "
            "the key file of the redaction: --key FILE."
        )
        raise ExportFormatError(msg)


def _stand_ins(
    key_file: Path, people: Sequence[str], conversations: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return people and conversations as a redacted set names them."""
    from langchain_chatexports.redaction.key_file import read_key_file
    from langchain_chatexports.redaction.redactor import Redactor
    from langchain_chatexports.steps import Redact

    key = read_key_file(key_file).key
    return (
        [Redact(key=key, names=(name,)).pseudonym(name) for name in people],
        [Redactor(key).identifier(found) for found in conversations],
    )


def _with_names(
    error: SenderNotFoundError, named: Mapping[str, str], key_file: Path, path: Path
) -> SenderNotFoundError:
    """Return the error with the export's names in place of the stand-ins."""
    from langchain_chatexports.chat_loaders.suggestions import did_you_mean
    from langchain_chatexports.redaction.key_file import read_key_file
    from langchain_chatexports.redaction.undo import restore

    originals = read_key_file(key_file).stand_ins
    senders = {restore(name, originals): n for name, n in error.senders.items()}
    known = {name.casefold() for name in error.senders}
    unknown = [name for found, name in named.items() if found.casefold() not in known]
    msg = (
        f"Nobody in {path} is called {' or '.join(map(repr, unknown))}, so nothing was "
        f"taken out.{did_you_mean(unknown, senders)}"
    )
    return SenderNotFoundError(msg, senders)


def _say_report(report: ForgetReport, jobs: Sequence[JobUse]) -> None:
    say(
        f"{report.path}: {report.removed:,} of {plural(report.rows, 'row')} taken out, "
        f"{report.rows_left:,} left"
    )
    if report.forgotten_before:
        say(f"Taken out earlier: {', '.join(report.forgotten_before)}")
    if report.mentions:
        mention = "row mentions" if report.mentions == 1 else "rows mention"
        say(f"{report.mentions:,} {mention} the name: --mentions takes out those, too")
    if not jobs:
        say("No known fine-tuning job has used the set.")
        return
    say("Fine-tuning jobs that used it, and whose models still know what was in it:")
    for job in jobs:
        say(f"  {job.id} ({job.status}): {job.tuned_model or 'no model'}")
    say("Delete these models, and train again on the set as it is now.")


def _local_jobs(hashes: Collection[str], data_dir: Path | None) -> list[JobUse]:
    from langchain_chatexports.finetuning.orders import jobs_that_used
    from langchain_chatexports.local_server import default_data_dir
    from langchain_chatexports.local_server.storage.data_directory import DataDirectory
    from langchain_chatexports.local_server.storage.files import FileStore
    from langchain_chatexports.local_server.storage.jobs import JobStore

    try:
        data = DataDirectory(data_dir if data_dir is not None else default_data_dir())
    except MissingExtraError:
        return []  # Nothing can be trained here without the extra.
    if not data.jobs.is_dir() or not data.files.is_dir():
        return []
    files = {file["id"]: file["filename"] for file in FileStore(data).newest_first()}
    return jobs_that_used(hashes, JobStore(data).newest_first(), files)


def _remote_jobs(hashes: Collection[str], url: str) -> list[JobUse]:
    import openai

    from langchain_chatexports.finetuning.orders import find_jobs

    with ExitStack() as stack:
        try:
            client = stack.enter_context(openai.OpenAI(base_url=url))
            return find_jobs(client, hashes)
        except openai.OpenAIError as error:
            msg = (
                f"The set is rewritten, but {url} could not be asked for its jobs "
                f"({type(error).__name__}). Check OPENAI_API_KEY and the address, and "
                "run the command again."
            )
            raise FineTuningError(msg) from error

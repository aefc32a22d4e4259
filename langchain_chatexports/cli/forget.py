"""`chatexports forget`: take somebody out of sets and search indexes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import print_json, say
from langchain_chatexports.cli._options import AsJson, DataDir, command
from langchain_chatexports.cli._search_index import IndexDir, index_folder
from langchain_chatexports.exceptions import FineTuningError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from langchain_chatexports.datasets.removal import ForgetReport
    from langchain_chatexports.finetuning.training_file import JobUse

__all__ = ["forget"]

_OPENAI_URL = "https://api.openai.com/v1"


@command
def forget(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="SET",
            help="A set that prepare has written, with its trace beside it. Without "
            "it, search indexes are deleted only.",
            show_default=False,
        ),
    ] = None,
    *,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name or handle of somebody to take out; may be given several times. "
            "Without a set: the name that search shows.",
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
    index_dir: IndexDir = None,
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

    Search indexes are copies of exports: those that have the person or conversation are
    deleted. The exports stay as they are, so a later search finds what they have;
    leave somebody out of it with --exclude.

    For example:
        chatexports forget set --person Hare
        chatexports forget set --person Hare --mentions
        chatexports forget --person Hare
    """
    from langchain_chatexports.datasets import removal
    from langchain_chatexports.local_server import jobs_that_used_set
    from langchain_chatexports.retrieval.index_files import delete_indexes_with

    people, conversations = person or [], conversation or []
    if not people and not conversations:
        msg = "Say what to forget: --person NAME or --conversation ID."
        raise typer.BadParameter(msg)
    folder = index_folder(index_dir)
    if path is None:
        deleted = delete_indexes_with(folder, people, conversations)
        if as_json:
            print_json(_indexes_as_json(deleted))
        _say_indexes(deleted)
        return
    report = removal.forget(
        path,
        people=people,
        conversations=conversations,
        mentions=mentions,
        key=key,
    )
    jobs = jobs_that_used_set(report.hashes, data_dir)
    for url in (base_url, _OPENAI_URL if openai else None):
        jobs += _remote_jobs(report.hashes, url) if url else []
    # Names in a set need not be in an index.
    deleted = delete_indexes_with(folder, people, conversations, strict=False)
    if as_json:
        listed = {"jobs": [job.to_dict() for job in jobs], **_indexes_as_json(deleted)}
        print_json({**report.to_dict(), **listed})
        return
    _say_report(report, jobs)
    if deleted:
        _say_indexes(deleted)


def _say_indexes(deleted: Sequence[Path]) -> None:
    count = plural(len(deleted), "search index", "search indexes")
    say(f"Deleted: {count}. A search makes it anew from what its export has.")


def _indexes_as_json(deleted: Sequence[Path]) -> dict[str, Any]:
    return {"deleted_indexes": [str(path) for path in deleted]}


def _say_report(report: ForgetReport, jobs: Sequence[JobUse]) -> None:
    say(str(report))
    if report.not_found:
        names = ", ".join(report.not_found)
        say(f"Not in this set, or taken out earlier: {names}")
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


def _remote_jobs(hashes: Collection[str], url: str) -> list[JobUse]:
    import openai

    from langchain_chatexports.finetuning.training_file import find_jobs

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

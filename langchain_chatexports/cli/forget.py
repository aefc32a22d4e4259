"""`chatexports forget`: take somebody out of sets and search indexes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import print_json, say
from langchain_chatexports.cli._options import (
    AsJson,
    BaseUrl,
    DataDir,
    IndexDir,
    command,
)

if TYPE_CHECKING:
    from langchain_chatexports.datasets.removal import ForgetReport
    from langchain_chatexports.finetuning.training_file import JobUse


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
    base_url: BaseUrl = None,
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
    from langchain_chatexports.workflows import forget as forget_names
    from langchain_chatexports.workflows.train_elsewhere import OPENAI_URL

    if not person and not conversation:
        msg = "Say what to forget: --person NAME or --conversation ID."
        raise typer.BadParameter(msg)
    urls = (base_url, OPENAI_URL if openai else None)
    done = forget_names(
        path,
        people=person or [],
        conversations=conversation or [],
        mentions=mentions,
        key=key,
        data_dir=data_dir,
        index_dir=index_dir,
        base_urls=[url for url in urls if url],
    )
    if as_json:
        values: dict[str, Any] = {}
        if done.report:
            jobs = [job.to_dict() for job in done.jobs]
            values = {**done.report.to_dict(), "jobs": jobs}
        values["deleted_indexes"] = [str(index) for index in done.indexes]
        print_json(values)
        return
    if done.report:
        _say_report(done.report, done.jobs)
    if done.indexes or not done.report:
        count = plural(len(done.indexes), "search index", "search indexes")
        say(f"Deleted: {count}. The next search of an export builds a new one.")


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

"""`chatexports forget`: remove a person from sets and search indexes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import (
    command_line,
    confirmed,
    print_line,
    stdin_is_terminal,
)
from langchain_chatexports.cli._options import (
    DataDir,
    IndexDir,
    check,
    command,
    flag,
    option,
)
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.workflows import delete_known
from langchain_chatexports.workflows import forget as forget_names
from langchain_chatexports.workflows.models import NOT_DELETED
from langchain_chatexports.workflows.removal import KnownBy

_REASONS = {
    "voice": "learned this voice",
    "set": "was trained on the set",
    "text": "its examples name them",
}


@command
def forget(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="SET",
            help="A set that prepare has written, with its trace beside it. Without "
            "it, search indexes are deleted only.",
        ),
    ] = None,
    *,
    person: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Name or handle of a person to remove; may be repeated. Without a set: "
            "the name that search shows.",
        ),
    ] = None,
    conversation: Annotated[
        list[str] | None,
        option("ID", "Id of a conversation to remove; may be repeated."),
    ] = None,
    data_dir: DataDir = None,
    index_dir: IndexDir = None,
    yes: Annotated[
        bool, flag("--yes", "Also delete the models and examples that know them.")
    ] = False,
) -> None:
    """Remove a person or a conversation from a set.

    Search indexes with the person or conversation are deleted. Models, trainings and
    examples on this machine that know them are listed, and deleted if you agree.
    Exports are not changed: leave the person out of a later search with --exclude.

    For example:
        chatexports forget set --person Hare
        chatexports forget --person Hare
    """
    is_nobody = not person and not conversation
    check((is_nobody, "Name what to forget: --person NAME or --conversation ID."))
    done = forget_names(
        path,
        people=person or [],
        conversations=conversation or [],
        data_dir=data_dir,
        index_dir=index_dir,
    )
    if done.report:
        print_line(str(done.report))
        if done.report.not_found:
            names = ", ".join(done.report.not_found)
            print_line(f"Not in this set, or removed earlier: {names}")
    if done.indexes or not done.report:
        count = plural(len(done.indexes), "search index", "search indexes")
        print_line(f"Deleted: {count}. The next search of an export builds a new one.")
    _delete_known(done.known_by, data_dir, agreed=yes)


def _delete_known(
    known_by: Sequence[KnownBy], data_dir: Path | None, *, agreed: bool
) -> None:
    if not known_by:
        print_line("No model, training or uploaded examples on this machine know them.")
        return
    print_line("Still known on this machine by:")
    for one in known_by:
        print_line(f"  {one.id} ({one.title or one.kind}): {_REASONS[one.reason]}")
    if not agreed and not stdin_is_terminal():
        deletion = f"{command_line('models', '--delete')} NAME"
        print_line(f"Delete these, too, with --yes, or with: {deletion}")
        return
    if not agreed:
        print_line(NOT_DELETED)
    question = "Delete these, with their trainings and examples?"
    if confirmed(question, agreed=agreed, refusal=LocalServerError(question)):
        for one in delete_known(known_by, data_dir):
            print_line(f"Deleted {one.id}")
        print_line("Train again on what is left.")

"""`chatexports forget`: remove a person from sets and search indexes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports._translation import _
from langchain_chatexports.cli._console import (
    command_line,
    print_line,
    say,
    say_count,
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
from langchain_chatexports.cli._training import confirm_deletion
from langchain_chatexports.local_server import Workspace
from langchain_chatexports.workflows import delete_remaining
from langchain_chatexports.workflows import forget as forget_names
from langchain_chatexports.workflows.removal import RemainingCopy


@command
def forget(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="SET",
            help="A set from prepare, with its trace next to it. Default: only delete "
            "search indexes.",
        ),
    ] = None,
    *,
    person: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Name or handle of a person to remove; repeatable. Without a set: the name "
            "shown by search.",
        ),
    ] = None,
    conversation: Annotated[
        list[str] | None,
        option("ID", "Id of a conversation to remove; repeatable."),
    ] = None,
    data_dir: DataDir = None,
    index_dir: IndexDir = None,
    yes: Annotated[bool, flag("--yes", "Also delete the models and examples.")] = False,
) -> None:
    """Remove a person or a conversation from a set.

    Search indexes that contain them are deleted. Models, jobs and examples of the
    person on this machine are listed, and deleted if you agree. Exports are not
    changed: use --exclude in later searches.

    For example:
        chatexports forget set --person Hare
        chatexports forget --person Hare
    """
    is_empty = not person and not conversation
    check((is_empty, _("Add --person NAME or --conversation ID.")))
    # Without the extra, there may be no default directory.
    workspace = None if data_dir is None else Workspace(data_dir)
    result = forget_names(
        path,
        people=person or [],
        conversations=conversation or [],
        workspace=workspace,
        index_dir=index_dir,
    )
    if result.report:
        print_line(str(result.report))
        if result.report.not_found:
            names = ", ".join(result.report.not_found)
            say("Not in this set, or already removed: {names}", names=names)
    if result.indexes:
        say_count(
            "Deleted: {count} search index. Indexes are rebuilt by the next search.",
            "Deleted: {count} search indexes. Indexes are rebuilt by the next search.",
            len(result.indexes),
        )
    if result.corrections:
        say_count(
            "Deleted: {count} correction.",
            "Deleted: {count} corrections.",
            result.corrections,
        )
    _delete_remaining(result.remaining, workspace, yes=yes)


def _delete_remaining(
    remaining: Sequence[RemainingCopy], workspace: Workspace | None, *, yes: bool
) -> None:
    if not remaining:
        say("No models, jobs or examples on this machine contain them.")
        return
    reasons = {
        "person": _("imitates this person"),
        "set": _("was trained on this set"),
        "text": _("its examples contain the name"),
    }
    say("Still on this machine:")
    for copy in remaining:
        print_line(f"  {copy.id} ({copy.title or copy.kind}): {reasons[copy.reason]}")
    if not yes and not stdin_is_terminal():
        deletion = f"{command_line('models', '--delete')} NAME"
        say("To delete these, add --yes, or run: {command}", command=deletion)
        return
    question = _("Delete these, with their jobs and examples?")
    if confirm_deletion(question, yes=yes):
        for copy in delete_remaining(remaining, workspace):
            say("Deleted {name}", name=copy.id)
        say("To replace a model, train again on the remaining examples.")

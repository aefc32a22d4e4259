"""`chatexports models`: list and delete what the local server keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from langchain_chatexports.cli._console import (
    command_line,
    confirmed,
    print_json,
    say,
)
from langchain_chatexports.cli._options import AsJson, DataDir, command
from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.local_server import KeptData

__all__ = ["models"]


@command
def models(
    *,
    delete: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Delete a model with its checkpoints, and the examples that only it "
            "used; may be given several times.",
            show_default=False,
        ),
    ] = None,
    delete_everything: Annotated[
        bool,
        typer.Option(
            "--delete-everything", help="Delete all models, jobs and uploaded examples."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the tuned models of this machine, or delete what the local server keeps.

    For example:
        chatexports models
        chatexports models --delete NAME
    """
    if delete_everything:
        _delete_everything(data_dir, agreed=yes)
    elif delete:
        _delete(delete, data_dir, agreed=yes)
    if as_json or not (delete or delete_everything):
        _print_models(data_dir, as_json=as_json)


def _print_models(data_dir: Path | None, *, as_json: bool) -> None:
    from langchain_chatexports.local_server import count_kept, list_models

    kept = count_kept(data_dir)
    found = list_models(data_dir)
    if as_json:
        listed = [
            {
                "model": model.name,
                "base": model.base_model,
                "created_at": model.created_at.isoformat(),
                "path": str(model.path),
            }
            for model in found
        ]
        print_json({"models": listed, "jobs": kept.jobs, "files": kept.files})
        return
    for model in found:
        typer.echo(f"{model.name}  {model.created_at:%Y-%m-%d %H:%M} UTC")
    say(_counted(kept))
    say(
        f"Talk to one: {command_line('chat', 'NAME')}"
        if found
        else f"Train one: {command_line('finetune', 'PATH', '--ai', 'NAME')}"
    )


def _counted(kept: KeptData) -> str:
    counts = (
        (kept.models, "model", "models"),
        (kept.jobs, "job", "jobs"),
        (kept.files, "file of examples", "files of examples"),
    )
    return ", ".join(f"{n:,} {one if n == 1 else many}" for n, one, many in counts)


def _delete(names: Sequence[str], data_dir: Path | None, *, agreed: bool) -> None:
    from langchain_chatexports.local_server import delete_model

    question = f"Delete {', '.join(names)}, and the examples that only it used?"
    if not confirmed(question, agreed=agreed, refusal=_not_agreed()):
        say("Nothing was deleted.")
        return
    for name in names:
        delete_model(name, data_dir=data_dir)
        say(f"Deleted {name}")


def _not_agreed() -> LocalServerError:
    return LocalServerError("Nothing was deleted: add --yes to agree to it.")


def _delete_everything(data_dir: Path | None, *, agreed: bool) -> None:
    from langchain_chatexports import local_server

    kept = local_server.count_kept(data_dir)
    where = data_dir or local_server.default_data_dir()
    say(f"{where}: {_counted(kept)}")
    if not confirmed("Delete all of it?", agreed=agreed, refusal=_not_agreed()):
        say("Nothing was deleted.")
        return
    local_server.delete_everything(data_dir)
    say("Deleted.")

"""`chatexports models`: list and delete what the local server keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from langchain_chatexports._terminal import printable
from langchain_chatexports.cli._console import (
    command_line,
    confirmed,
    print_json,
    say,
)
from langchain_chatexports.cli._options import AsJson, DataDir, command
from langchain_chatexports.cli.finetune import chat_command
from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.local_server import KeptData, TunedModel

__all__ = ["models"]

_WIDTH = 80
_MAX_NAME_LENGTH = 36


@command
def models(
    *,
    delete: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Delete a model with its checkpoints, and the examples that only it "
            "used; its name, or the beginning of its suffix or id; may be given "
            "several times.",
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
                "person": model.person,
                "source": model.source,
                "base": model.base_model,
                "size_bytes": model.size_bytes,
                "created_at": model.created_at.isoformat(),
                "path": str(model.path),
            }
            for model in found
        ]
        print_json({"models": listed, "jobs": kept.jobs, "files": kept.files})
        return
    _print_table(found)
    say(_counted(kept))
    say(
        f"Talk to one: {chat_command(found[0].short_name, data_dir=data_dir)}"
        if found
        else f"Train one: {command_line('finetune', 'PATH', '--ai', 'NAME')}"
    )


def _print_table(found: Sequence[TunedModel]) -> None:
    if not found:
        return
    names = [_name_to_type(model) for model in found]
    width = max(map(len, names))
    typer.echo(f"{'model':{width}}  {'date':10}  {'size':>8}  base")
    for name, model in zip(names, found, strict=True):
        size = f"{model.size_bytes / 1e6:,.1f} MB"
        row = f"{name:{width}}  {model.created_at:%Y-%m-%d}  {size:>8}  "
        typer.echo(_fitted(row + model.base_model))
        source = f"from {model.source}" if model.source else None
        if told := ", ".join(filter(None, (model.person, source))):
            typer.echo(_fitted(f"    {told}"))


def _name_to_type(model: TunedModel) -> str:
    name = model.short_name
    return name if len(name) <= _MAX_NAME_LENGTH else name.rpartition(":")[2]


def _fitted(line: str) -> str:
    text = Text(printable(line))
    text.truncate(_WIDTH, overflow="ellipsis")
    return text.plain


def _counted(kept: KeptData) -> str:
    counts = (
        (kept.models, "model", "models"),
        (kept.jobs, "job", "jobs"),
        (kept.files, "file of examples", "files of examples"),
    )
    return ", ".join(f"{n:,} {one if n == 1 else many}" for n, one, many in counts)


def _delete(names: Sequence[str], data_dir: Path | None, *, agreed: bool) -> None:
    from langchain_chatexports.local_server import delete_model, find_model

    found = list(dict.fromkeys(find_model(name, data_dir).name for name in names))
    question = f"Delete {', '.join(found)}, and the examples that only it used?"
    if not confirmed(question, agreed=agreed, refusal=_not_agreed()):
        say("Nothing was deleted.")
        return
    for name in found:
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

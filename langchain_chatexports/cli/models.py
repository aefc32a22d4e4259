"""`chatexports models`: list, cancel and delete what the local server keeps."""

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
from langchain_chatexports.cli._jobs import progress_of
from langchain_chatexports.cli._options import AsJson, DataDir, command
from langchain_chatexports.cli.finetune import chat_command
from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.local_server import TunedModel

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
            help="Delete a model or a job with its checkpoints, and the examples that "
            "only it used: a job's id, a model's name, or the beginning of its suffix "
            "or id; or uploaded examples, by their id; may be given several times.",
            show_default=False,
        ),
    ] = None,
    rename: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="NAME LABEL",
            help="Call a model something else on this machine; an empty label removes "
            "it. Its name in requests stays.",
            show_default=False,
        ),
    ] = None,
    cancel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JOB",
            help="Cancel a job, which deletes its checkpoints; may be given several "
            "times.",
            show_default=False,
        ),
    ] = None,
    delete_everything: Annotated[
        bool,
        typer.Option(
            "--delete-everything", help="Delete all models, jobs and uploaded examples."
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete or cancel without asking.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List models and unfinished jobs of this machine; rename, cancel, delete them.

    For example:
        chatexports models
        chatexports models --rename NAME "Hare in 2023"
        chatexports models --delete NAME
        chatexports models --cancel JOB
    """
    if delete_everything:
        _delete_everything(data_dir, agreed=yes)
    elif delete or cancel:
        _change(cancel or [], delete or [], data_dir, agreed=yes)
    if rename:
        _rename(*rename, data_dir)
    if as_json or not (cancel or delete or delete_everything or rename):
        _print_models(data_dir, as_json=as_json)


def _print_models(data_dir: Path | None, *, as_json: bool) -> None:
    from langchain_chatexports.local_server import (
        count_kept,
        list_jobs,
        list_models,
        list_sets,
    )

    kept = count_kept(data_dir)
    found = list_models(data_dir)
    with_model = {model.job_id for model in found}
    jobs = [
        job
        for job in list_jobs(data_dir)
        if job.id not in with_model and job.status != "succeeded"
    ]
    sets = list_sets(data_dir)
    if as_json:
        listed = [
            {
                "model": model.name,
                "label": model.label,
                "person": model.person,
                "source": model.source,
                "base": model.base_model,
                "size_bytes": model.size_bytes,
                "created_at": model.created_at.isoformat(),
                "path": str(model.path),
            }
            for model in found
        ]
        print_json(
            {
                "models": listed,
                "jobs": kept.jobs,
                "files": kept.files,
                "jobs_without_model": [
                    {
                        "job": job.id,
                        "status": job.status,
                        "step": job.step,
                        "total_steps": job.total_steps,
                        "base": job.base_model,
                        "created_at": job.created_at.isoformat(),
                    }
                    for job in jobs
                ],
                "sets": [
                    {
                        "file": one.id,
                        "size_bytes": one.size_bytes,
                        "created_at": one.created_at.isoformat(),
                        "jobs": list(one.job_ids),
                    }
                    for one in sets
                ],
            }
        )
        return
    _print_table(found)
    for job in jobs:
        typer.echo(
            f"{job.id}  {job.status:9}  {job.created_at:%Y-%m-%d %H:%M} UTC  "
            f"{progress_of(job)}"
        )
    for unused in (one for one in sets if not one.job_ids):
        typer.echo(
            f"{unused.id}  examples   {unused.created_at:%Y-%m-%d %H:%M} UTC  "
            f"{unused.size_bytes / 1e6:,.1f} MB"
        )
    say(str(kept))
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
        label = model.label and f"“{model.label}”"
        if told := ", ".join(filter(None, (label, model.person, source))):
            typer.echo(_fitted(f"    {told}"))


def _name_to_type(model: TunedModel) -> str:
    name = model.short_name
    return name if len(name) <= _MAX_NAME_LENGTH else name.rpartition(":")[2]


def _fitted(line: str) -> str:
    text = Text(printable(line))
    text.truncate(_WIDTH, overflow="ellipsis")
    return text.plain


def _rename(name: str, label: str, data_dir: Path | None) -> None:
    from langchain_chatexports.local_server import find_model, rename_model

    model = find_model(name, data_dir).name
    rename_model(model, label, data_dir=data_dir)
    say(f"{model}: {'label removed' if not label.strip() else 'renamed'}")


def _change(
    cancel: Sequence[str], delete: Sequence[str], data_dir: Path | None, *, agreed: bool
) -> None:
    from langchain_chatexports.local_server import (
        NOT_DELETED,
        cancel_job,
        delete_kept,
    )

    # All of them, before the first one is changed.
    cancel = [_job_named(name, data_dir) for name in cancel]
    delete = list(dict.fromkeys(_kept_name(name, data_dir) for name in delete))
    questions = []
    if cancel:
        questions.append(f"Cancel {', '.join(cancel)}, and delete the checkpoints?")
    if delete:
        names, only = ", ".join(delete), "only it" if len(delete) == 1 else "only they"
        questions.append(f"Delete {names}, and the examples that {only} used?")
    if delete and not agreed:
        say(NOT_DELETED)
    if not confirmed(" ".join(questions), agreed=agreed, refusal=_not_agreed()):
        say("Nothing was changed.")
        return
    for name in cancel:
        cancel_job(name, data_dir=data_dir)
        say(f"Cancelled {name}")
    for name in delete:
        delete_kept(name, data_dir=data_dir)
        say(f"Deleted {name}")


def _kept_name(name: str, data_dir: Path | None) -> str:
    from langchain_chatexports.local_server import find_model, list_models, list_sets

    if name in {one.id for one in list_sets(data_dir)}:
        return name
    # A job that made a model stands for the model.
    has_model = name in {model.job_id for model in list_models(data_dir)}
    if name.startswith("ftjob-") and not has_model:
        return _job_named(name, data_dir)
    return find_model(name, data_dir).name


def _job_named(name: str, data_dir: Path | None) -> str:
    from langchain_chatexports.local_server import list_jobs

    if name in {job.id for job in list_jobs(data_dir)}:
        return name
    msg = f"There is no job {name}. The jobs of this machine: chatexports models"
    raise LocalServerError(msg)


def _not_agreed() -> LocalServerError:
    return LocalServerError("Nothing was changed: add --yes to agree to it.")


def _delete_everything(data_dir: Path | None, *, agreed: bool) -> None:
    from langchain_chatexports import local_server

    kept = local_server.count_kept(data_dir)
    where = data_dir or local_server.default_data_dir()
    say(f"{where}: {kept}")
    if not agreed:
        say(local_server.NOT_DELETED)
    if not confirmed("Delete all of it?", agreed=agreed, refusal=_not_agreed()):
        say("Nothing was deleted.")
        return
    local_server.delete_everything(data_dir)
    say("Deleted.")

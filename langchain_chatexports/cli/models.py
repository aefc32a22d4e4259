"""`chatexports models`: list, rename and delete models, jobs and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import (
    command_line,
    confirmed,
    print_json,
    print_line,
    show_rows,
)
from langchain_chatexports.cli._options import (
    AsJson,
    DataDir,
    IndexDir,
    command,
    flag,
    option,
)
from langchain_chatexports.cli._training import chat_command
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.workflows import models as workflow
from langchain_chatexports.workflows.models import LocalData, TunedModel
from langchain_chatexports.workflows.train import progress_of

_MAX_NAME_LENGTH = 36


@command
def models(
    *,
    delete: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Delete a model, a job or examples, and files only it used; may be "
            "repeated.",
        ),
    ] = None,
    rename: Annotated[
        tuple[str, str] | None,
        option("NAME LABEL", "Label a model, or remove the label if it is empty."),
    ] = None,
    delete_everything: Annotated[
        bool,
        flag(
            "--delete-everything",
            "Delete all models, jobs, examples and search indexes.",
        ),
    ] = False,
    yes: Annotated[bool, flag("--yes", "Delete without asking.")] = False,
    data_dir: DataDir = None,
    index_dir: IndexDir = None,
    as_json: AsJson = False,
) -> None:
    """List models, jobs and examples; rename or delete them.

    For example:
        chatexports models
        chatexports models --rename NAME "Hare in 2023"
        chatexports models --delete NAME
    """
    if delete_everything:
        _delete_everything(data_dir, index_dir, agreed=yes)
    elif delete:
        _delete(delete, data_dir, agreed=yes)
    if rename:
        name, label = rename
        model = workflow.find_tuned(name, data_dir).name
        workflow.rename(model, label, data_dir=data_dir)
        print_line(f"{model}: {'renamed' if label.strip() else 'label removed'}")
    if as_json:
        _print_json(workflow.kept(data_dir, index_dir))
    elif not (delete or delete_everything or rename):
        _show(workflow.kept(data_dir, index_dir), data_dir)


def _print_json(data: LocalData) -> None:
    print_json(
        {
            "models": [
                {**asdict(model), "size_bytes": model.size_bytes}
                for model in data.models
            ],
            "jobs": [*map(asdict, data.jobs)],
            "sets": [*map(asdict, data.sets)],
            "indexes": [
                {"path": path, "size_bytes": path.stat().st_size}
                for path in data.indexes
            ],
            "bases": [base._asdict() for base in data.bases],
            "size_bytes": data.size_bytes,
            "cache_bytes": data.cache_bytes,
        }
    )


def _show(data: LocalData, data_dir: Path | None) -> None:
    rows = [("model", "date", "size", "base")]
    rows += [
        (
            _name_to_type(model),
            f"{model.created_at:%Y-%m-%d}",
            _megabytes(model.size_bytes),
            model.base_model,
        )
        for model in data.models
    ]
    rows += [
        (job.id, f"{job.created_at:%Y-%m-%d}", job.status, progress_of(job))
        for job in data.jobs_without_model
        if job.status != "succeeded"
    ]
    rows += [
        (one.id, f"{one.created_at:%Y-%m-%d}", _megabytes(one.size_bytes), "examples")
        for one in data.unused_sets
    ]
    rows += [
        (path.name, "", _megabytes(path.stat().st_size), "search index")
        for path in data.indexes
    ]
    rows += [
        (base.id, "", _megabytes(base.size_bytes), "downloaded base")
        for base in data.bases
    ]
    if data.cache_bytes:
        rows.append(("converted bases", "", _megabytes(data.cache_bytes), "cache"))
    if len(rows) > 1:
        show_rows(rows, map(_description, data.models))
    print_line(data)
    print_line(
        f"Talk to one: {chat_command(data.models[0].short_name, data_dir=data_dir)}"
        if data.models
        else f"Train one: {command_line('finetune', 'PATH', '--ai', 'NAME')}"
    )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


def _name_to_type(model: TunedModel) -> str:
    name = model.short_name
    return name if len(name) <= _MAX_NAME_LENGTH else name.rpartition(":")[2]


def _description(model: TunedModel) -> str:
    label = f"“{model.label}”" if model.label else None
    source = f"from {model.source}" if model.source else None
    return ", ".join(filter(None, (label, model.person, source)))


def _delete(names: Sequence[str], data_dir: Path | None, *, agreed: bool) -> None:
    # Resolve all names before the first deletion.
    found = dict.fromkeys(workflow.name_to_delete(name, data_dir) for name in names)
    only = "only it" if len(found) == 1 else "only they"
    question = f"Delete {', '.join(found)}, and the examples that {only} used?"
    if not agreed:
        print_line(workflow.NOT_DELETED)
    if not confirmed(question, agreed=agreed, refusal=_not_agreed()):
        print_line("Nothing was deleted.")
        return
    for name in found:
        workflow.delete(name, data_dir=data_dir)
        print_line(f"Deleted {name}")


def _not_agreed() -> LocalServerError:
    return LocalServerError("Nothing was deleted: add --yes to agree.")


def _delete_everything(
    data_dir: Path | None, index_dir: Path | None, *, agreed: bool
) -> None:
    data = workflow.kept(data_dir, index_dir)
    print_line(f"{data.data_dir}: {data}")
    if data.bases:
        size = sum(base.size_bytes for base in data.bases)
        print_line(
            f"{plural(len(data.bases), 'downloaded base')}, {_megabytes(size)}, stay."
        )
    if not agreed:
        print_line(workflow.NOT_DELETED)
    if not confirmed("Delete all of it?", agreed=agreed, refusal=_not_agreed()):
        print_line("Nothing was deleted.")
        return
    workflow.delete_everything(data_dir, index_dir)
    print_line("Deleted.")

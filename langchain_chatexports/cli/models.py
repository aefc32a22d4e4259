"""`chatexports models`: list, rename and delete models, jobs and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import (
    command_line,
    confirm,
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
from langchain_chatexports.workflows.train import format_progress

_MAX_NAME_LENGTH = 36


@command
def models(
    *,
    delete: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Delete a model, job or examples, and files that nothing else uses; "
            "repeatable.",
        ),
    ] = None,
    rename: Annotated[
        tuple[str, str] | None,
        option("NAME LABEL", "Set a model's label; an empty LABEL clears it."),
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
        _delete_everything(data_dir, index_dir, yes=yes)
    elif delete:
        _delete(delete, data_dir, yes=yes)
    if rename:
        name, label = rename
        model = workflow.find_tuned_model(name, data_dir).name
        workflow.rename(model, label, data_dir=data_dir)
        print_line(f"{model}: {'renamed' if label.strip() else 'label cleared'}")
    if as_json:
        _print_json(workflow.list_data(data_dir, index_dir))
    elif not (delete or delete_everything or rename):
        _show(workflow.list_data(data_dir, index_dir), data_dir)


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
            _shorten_name(model),
            f"{model.created_at:%Y-%m-%d}",
            _format_megabytes(model.size_bytes),
            model.base_model,
        )
        for model in data.models
    ]
    rows += [
        (job.id, f"{job.created_at:%Y-%m-%d}", job.status, format_progress(job))
        for job in data.jobs_without_model
        if job.status != "succeeded"
    ]
    rows += [
        (
            file.id,
            f"{file.created_at:%Y-%m-%d}",
            _format_megabytes(file.size_bytes),
            "examples",
        )
        for file in data.unused_sets
    ]
    rows += [
        (path.name, "", _format_megabytes(path.stat().st_size), "search index")
        for path in data.indexes
    ]
    rows += [
        (base.id, "", _format_megabytes(base.size_bytes), "downloaded base")
        for base in data.bases
    ]
    if data.cache_bytes:
        rows.append(
            ("converted bases", "", _format_megabytes(data.cache_bytes), "cache")
        )
    if len(rows) > 1:
        show_rows(rows, map(_describe, data.models))
    print_line(data)
    if data.models:
        command = chat_command(data.models[0].short_name, data_dir=data_dir)
        print_line(f"To talk to the newest model: {command}")
    else:
        command = command_line("finetune", "PATH", "--ai", "NAME")
        print_line(f"To train a model: {command}")


def _format_megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


def _shorten_name(model: TunedModel) -> str:
    name = model.short_name
    return name if len(name) <= _MAX_NAME_LENGTH else name.rpartition(":")[2]


def _describe(model: TunedModel) -> str:
    label = f"“{model.label}”" if model.label else None
    source = f"from {model.source}" if model.source else None
    return ", ".join(filter(None, (label, model.person, source)))


def _delete(names: Sequence[str], data_dir: Path | None, *, yes: bool) -> None:
    # Resolve all names before the first deletion.
    full_names = dict.fromkeys(workflow.resolve_name(name, data_dir) for name in names)
    question = f"Delete {', '.join(full_names)}, and examples that no other job uses?"
    if not yes:
        print_line(workflow.NOT_DELETED)
    if not confirm(question, yes=yes, refusal=_create_refusal()):
        print_line("Nothing was deleted.")
        return
    for name in full_names:
        workflow.delete(name, data_dir=data_dir)
        print_line(f"Deleted {name}")


def _create_refusal() -> LocalServerError:
    return LocalServerError("Nothing was deleted. Add --yes to agree.")


def _delete_everything(
    data_dir: Path | None, index_dir: Path | None, *, yes: bool
) -> None:
    data = workflow.list_data(data_dir, index_dir)
    print_line(f"{data.data_dir}: {data}")
    if data.bases:
        size = sum(base.size_bytes for base in data.bases)
        print_line(
            f"{plural(len(data.bases), 'downloaded base')} will not be deleted: "
            f"{_format_megabytes(size)}"
        )
    if not yes:
        print_line(workflow.NOT_DELETED)
    if not confirm("Delete everything?", yes=yes, refusal=_create_refusal()):
        print_line("Nothing was deleted.")
        return
    workflow.delete_everything(data_dir, index_dir)
    print_line("Deleted.")

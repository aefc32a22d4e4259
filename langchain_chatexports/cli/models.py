"""`chatexports models`: list, rename and delete models, jobs and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from langchain_chatexports._translation import _, ngettext, number
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    print_line,
    say,
    say_count,
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
from langchain_chatexports.cli._training import (
    chat_command,
    confirm_deletion,
    megabytes,
    print_wait,
    state_name,
)
from langchain_chatexports.local_server import Model, State, Workspace
from langchain_chatexports.workflows import models as workflow
from langchain_chatexports.workflows.models import LocalData
from langchain_chatexports.workflows.train import format_progress

_MAX_NAME_LENGTH = 36
_SHOWN = (State.QUEUED, State.RUNNING, State.PAUSED, State.FAILED, State.CANCELLED)


@command
def models(
    *,
    delete: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Delete a model, job or example file, and whatever only it used; "
            "repeatable.",
        ),
    ] = None,
    pause: Annotated[
        list[str] | None, option("JOB", "Pause a job; repeatable.")
    ] = None,
    resume: Annotated[
        list[str] | None, option("JOB", "Resume a paused or failed job; repeatable.")
    ] = None,
    cancel: Annotated[
        list[str] | None,
        option("JOB", "Cancel a job and delete its saves; repeatable."),
    ] = None,
    rename: Annotated[
        tuple[str, str] | None,
        option("NAME LABEL", "Set a model's label; an empty LABEL clears it."),
    ] = None,
    strength: Annotated[
        tuple[str, float] | None,
        option(
            "NAME X",
            "Set how much of its training a model uses: 0 is the base, 1 all. Less "
            "can make more sense, and is less like the person.",
        ),
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

    Jobs run while a program does that: finetune, serve or open.

    For example:
        chatexports models
        chatexports models --rename NAME "Hare in 2023"
        chatexports models --delete NAME
    """
    workspace = Workspace(data_dir)
    if rename:
        _rename(workspace, *rename)
    if strength:
        _set_strength(workspace, *strength)
    for change, jobs in (
        (workspace.jobs.pause, pause),
        (workspace.jobs.resume, resume),
        (workspace.jobs.cancel, cancel),
    ):
        for job in map(change, jobs or ()):
            print_line(f"{job.id}: {state_name(job.state)}")
    has_changed = rename or strength or pause or resume or cancel
    if delete_everything:
        _delete_everything(workspace, index_dir, yes=yes)
    elif delete:
        _delete(delete, workspace, yes=yes)
    if resume:
        print_wait(workspace.snapshot())
    if as_json:
        _print_json(workflow.list_data(workspace, index_dir))
    elif not (delete or delete_everything or has_changed):
        _show(workflow.list_data(workspace, index_dir), workspace)


def _rename(workspace: Workspace, name: str, label: str) -> None:
    model = workspace.models.match(name)[0].name
    workspace.models.rename(model, label)
    print_line(
        _("{model}: renamed", model=model)
        if label.strip()
        else _("{model}: label cleared", model=model)
    )


def _set_strength(workspace: Workspace, name: str, strength: float) -> None:
    model = workspace.models.match(name)[0].name
    workspace.models.set_strength(model, strength)
    say("{model}: strength {strength}", model=model, strength=number(strength))


def _print_json(data: LocalData) -> None:
    print_json(
        {
            "models": [
                {
                    **asdict(model),
                    "size_bytes": model.size_bytes,
                    "corrections": data.corrections.get(model.name, 0),
                }
                for model in data.models
            ],
            "jobs": [*map(asdict, data.snapshot.jobs)],
            "files": [*map(asdict, data.snapshot.files)],
            "has_queue": data.snapshot.has_queue,
            "corrections": data.corrections.get("", 0),
        }
    )


def _show(data: LocalData, workspace: Workspace) -> None:
    rows = [(_("model"), _("date"), _("size"), _("base"))]
    rows += [
        (
            _shorten_name(model),
            _day(model.created_at),
            megabytes(model.size_bytes),
            model.base_model,
        )
        for model in data.models
    ]
    rows += [
        (job.id, _day(job.created_at), state_name(job.state), format_progress(job))
        for job in data.jobs_without_model
        if job.state in _SHOWN
    ]
    rows += [
        (
            file.id,
            _day(file.created_at),
            megabytes(file.size_bytes),
            _("examples"),
        )
        for file in data.unused_files
    ]
    if len(rows) > 1:
        counts = data.corrections
        notes = (_describe(m, counts.get(m.name, 0)) for m in data.models)
        show_rows(rows, notes)
    print_line(data)
    print_wait(data.snapshot)
    if data.models:
        command = chat_command(data.models[0].short_name, workspace=workspace)
        say("To talk to the newest model: {command}", command=command)
    else:
        command = command_line("finetune", "PATH", "--ai", "NAME")
        say("To train a model: {command}", command=command)


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _shorten_name(model: Model) -> str:
    name = model.short_name
    return name if len(name) <= _MAX_NAME_LENGTH else name.rpartition(":")[2]


def _describe(model: Model, corrections: int) -> str:
    label = f"“{model.label}”" if model.label else None
    source = _("from {source}", source=model.source) if model.source else None
    corrected = None
    if corrections:
        corrected = ngettext("{count} correction", "{count} corrections", corrections)
    return ", ".join(filter(None, (label, model.person, source, corrected)))


def _delete(names: Sequence[str], workspace: Workspace, *, yes: bool) -> None:
    # Resolve all names before the first deletion.
    full_names = dict.fromkeys(workflow.resolve_name(workspace, name) for name in names)
    question = _(
        "Delete {names}, and examples that no other job uses?",
        names=", ".join(full_names),
    )
    if not confirm_deletion(question, yes=yes):
        return
    for name in full_names:
        workspace.delete(name)
        say("Deleted {name}", name=name)


def _delete_everything(
    workspace: Workspace, index_dir: Path | None, *, yes: bool
) -> None:
    data = workflow.list_data(workspace, index_dir)
    print_line(f"{data.data_dir}: {data}")
    if data.bases:
        size = sum(base.size_bytes or 0 for base in data.bases)
        say_count(
            "{count} downloaded base will not be deleted: {size}",
            "{count} downloaded bases will not be deleted: {size}",
            len(data.bases),
            size=megabytes(size),
        )
    if not confirm_deletion(_("Delete everything?"), yes=yes):
        return
    workflow.delete_everything(workspace, index_dir)
    say("Deleted.")

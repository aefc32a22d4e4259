"""What this program has stored on this machine: list and delete it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports._translation import _, ngettext, number
from langchain_chatexports.local_server import (
    Base,
    ExampleFile,
    Job,
    Model,
    Snapshot,
    Workspace,
    list_cache_folders,
    list_downloaded_bases,
)
from langchain_chatexports.retrieval import index_files
from langchain_chatexports.workflows.corrections import (
    count_corrections,
    delete_person_corrections,
    person_corrections,
)
from langchain_chatexports.workflows.saved_talks import delete_person_talks

MAX_LABEL_LENGTH = 100


def not_deleted() -> str:
    """Return a note on data that is not deleted, for the confirmation of a deletion."""
    return _(
        "Not deleted: your exports; copies elsewhere, such as exported models, saved "
        "talks and datasets, and backups; downloaded base models; uploads to other "
        "servers."
    )


@dataclass(frozen=True)
class LocalData:
    """The models, jobs, examples, indexes and bases on this machine, newest first."""

    snapshot: Snapshot
    """The models, jobs and files of examples."""

    indexes: list[Path]
    """Search indexes, which contain message text."""

    bases: list[Base]
    """Base models from the hub, shared with other programs."""

    data_dir: Path
    corrections: dict[str, int]
    """The number of corrections of each model by its name, and of people without a
    model by the empty one."""

    @property
    def size_bytes(self) -> int:
        """The size of models, examples and indexes."""
        return sum(
            (
                *(model.size_bytes for model in self.models),
                *(file.size_bytes for file in self.snapshot.files),
                *(path.stat().st_size for path in self.indexes),
            )
        )

    @property
    def cache_bytes(self) -> int:
        """The size of the cache of converted base models."""
        paths = (path for folder in list_cache_folders() for path in folder.rglob("*"))
        return sum(path.stat().st_size for path in paths if path.is_file())

    @property
    def models(self) -> tuple[Model, ...]:
        """The tuned models."""
        return self.snapshot.models

    @property
    def jobs_without_model(self) -> list[Job]:
        """The jobs that have no model."""
        finished_ids = {model.job_id for model in self.models}
        return [job for job in self.snapshot.jobs if job.id not in finished_ids]

    @property
    def unused_files(self) -> list[ExampleFile]:
        """The files of examples that no job used."""
        files = self.snapshot.files
        return [file for file in files if not self.snapshot.jobs_of(file)]

    def __str__(self) -> str:
        """Return the counts and the size as text."""
        jobs, files = len(self.snapshot.jobs), len(self.snapshot.files)
        parts = [
            ngettext("{count} model", "{count} models", len(self.models)),
            ngettext("{count} job", "{count} jobs", jobs),
            ngettext("{count} file of examples", "{count} files of examples", files),
            ngettext(
                "{count} search index", "{count} search indexes", len(self.indexes)
            ),
        ]
        if count := sum(self.corrections.values()):
            parts.append(ngettext("{count} correction", "{count} corrections", count))
        return f"{', '.join(parts)}: {number(self.size_bytes / 1e6, 1)} MB"


def list_data(
    workspace: Workspace | None = None, index_dir: Path | None = None
) -> LocalData:
    """Return all models, jobs, examples, search indexes and bases on this machine."""
    workspace = workspace or Workspace()
    snapshot = workspace.snapshot()
    corrections = {model.name: count_corrections(model) for model in snapshot.models}
    corrections[""] = sum(map(len, person_corrections(index_dir).values()))
    return LocalData(
        snapshot,
        index_files.index_files(index_dir),
        list_downloaded_bases(),
        workspace.data_dir,
        {name: count for name, count in corrections.items() if count},
    )


def resolve_name(workspace: Workspace, name: str) -> str:
    """Return the full name of the model, job or examples to delete."""
    if name in {file.id for file in workspace.files.list()}:
        return name
    if name.startswith("ftjob-"):
        # The id of a finished job refers to its model.
        models = {model.job_id: model.name for model in workspace.models.list()}
        return models.get(name) or workspace.jobs.get(name).id
    return workspace.models.find(name).name


def delete_everything(
    workspace: Workspace | None = None, index_dir: Path | None = None
) -> LocalData:
    """Delete all models, jobs, examples, indexes, talks, corrections and cached bases.

    Returns:
        The deleted data.
    """
    workspace = workspace or Workspace()
    deleted = list_data(workspace, index_dir)
    workspace.delete_everything()
    index_files.delete_indexes(index_dir)
    delete_person_talks(index_dir)
    delete_person_corrections(index_dir)
    for folder in list_cache_folders():
        # On Windows, files that a process uses cannot be deleted.
        shutil.rmtree(folder, ignore_errors=True)
    return deleted

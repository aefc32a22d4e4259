"""Deletion without a server: a tuned model, a job, or everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_chatexports._terminal import plural
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    read_json,
    remove_folder,
)
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import (
    FINISHED,
    JobStore,
    require_job,
    require_no_trainer,
)
from langchain_chatexports.local_server.storage.locks import (
    BRIEF_WAIT_SECONDS,
    only_server,
)
from langchain_chatexports.local_server.storage.models import list_models

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = [
    "KeptData",
    "count_kept",
    "delete_everything",
    "delete_job",
    "delete_model",
    "delete_set",
    "delete_uploads_of_jobs",
    "delete_uploads_of_model",
]


@dataclass(frozen=True)
class KeptData:
    """The number of files, jobs and models in a data directory."""

    files: int
    """Uploaded files, which contain the training examples."""

    jobs: int
    models: int

    def __str__(self) -> str:
        """Return it in words."""
        return ", ".join(
            (
                plural(self.models, "model"),
                plural(self.jobs, "job"),
                plural(self.files, "file of examples", "files of examples"),
            )
        )


def count_kept(data_dir: str | Path | None = None) -> KeptData:
    """Count what a data directory contains; nothing is changed.

    Args:
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If it is not a local server's directory.
    """
    data = _directory(data_dir)
    if data.is_empty:
        return KeptData(0, 0, 0)
    data.require_own()
    entries = data.entries()
    return KeptData(
        files=sum(read_json(entry / "meta.json") is not None for entry in entries),
        jobs=sum(read_json(entry / "job.json") is not None for entry in entries),
        models=len(list_models(data.root)),
    )


def delete_model(name: str, *, data_dir: str | Path | None = None) -> None:
    """Delete a tuned model with its checkpoints, and the uploads that only it used.

    Args:
        name: The model's name, `ft:…`.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If there is no such model, or a server uses the directory.
    """
    data = _directory(data_dir)
    kept = {model.name: model.path for model in list_models(data.root)}
    if name not in kept:
        msg = f"There is no tuned model {name}. Models: {', '.join(kept) or 'none'}."
        raise LocalServerError(msg)
    data.require_own()
    with only_server(data, timeout=BRIEF_WAIT_SECONDS):
        data.prepare()  # Folders of it can be missing.
        delete_uploads_of_model(name, data, FileStore(data), JobStore(data))
        remove_folder(kept[name])


def delete_job(job_id: str, *, data_dir: str | Path | None = None) -> None:
    """Delete a job with its events and saves, and the uploads that only it used.

    Args:
        job_id: The job's id, `ftjob-…`.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If there is no such job, its model is kept, or a server or a
            trainer uses the directory.
    """
    data = _directory(data_dir)
    data.require_own()
    with only_server(data, timeout=BRIEF_WAIT_SECONDS):
        data.prepare()  # Folders of it can be missing.
        jobs = JobStore(data)
        require_job(job_id, jobs)
        for model in list_models(data.root):
            if model.job_id == job_id:
                msg = f"Job {job_id} made the model {model.name}: delete that."
                raise LocalServerError(msg)
        require_no_trainer(data, [job_id])
        delete_uploads_of_jobs({job_id}, data, FileStore(data), jobs)
        jobs.delete(job_id)


def delete_set(set_id: str, *, data_dir: str | Path | None = None) -> None:
    """Delete uploaded examples.

    Args:
        set_id: The id of the uploaded file, `file-…`.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If it is not a local server's directory, or a server uses it.
    """
    data = _directory(data_dir)
    data.require_own()
    with only_server(data, timeout=BRIEF_WAIT_SECONDS):
        data.prepare()  # Folders of it can be missing.
        FileStore(data).delete(set_id)


def delete_uploads_of_model(
    name: str, data: DataDirectory, files: FileStore, jobs: JobStore
) -> None:
    """Delete the uploads of a tuned model's job that nothing else uses.

    An upload is used by jobs that are not finished, and by those whose model is kept.
    Called before the model is deleted, so that after an error it can be repeated.

    Args:
        name: The model's name.
        data: The data directory.
        files: Its uploads.
        jobs: Its jobs.
    """
    models = list_models(data.root)
    own_jobs = {model.job_id for model in models if model.name == name}
    delete_uploads_of_jobs(own_jobs, data, files, jobs)


def delete_uploads_of_jobs(
    own_jobs: Collection[str], data: DataDirectory, files: FileStore, jobs: JobStore
) -> None:
    """Delete the uploads of jobs that nothing else uses.

    Args:
        own_jobs: The ids of the jobs, whose models do not count as uses.
        data: The data directory.
        files: Its uploads.
        jobs: Its jobs.
    """
    kept_jobs = {model.job_id for model in list_models(data.root)}
    own: set[str | None] = set()
    shared: set[str | None] = set()
    for job in jobs.newest_first():
        uploads = {job.get("training_file"), job.get("validation_file")}
        if job["id"] in own_jobs:
            own |= uploads
        elif job["id"] in kept_jobs or job["status"] not in FINISHED:
            shared |= uploads
    for file_id in own - shared - {None}:
        files.delete(str(file_id))


def delete_everything(data_dir: str | Path | None = None) -> KeptData:
    """Delete all uploaded files, jobs and models of a data directory.

    The empty folders stay, and so do the base models in the caches and any files that
    are not the server's.

    Args:
        data_dir: The directory; the default one if `None`.

    Returns:
        How much was deleted.

    Raises:
        LocalServerError: If it is not a local server's directory, or a server or a
            trainer uses it.
    """
    data = _directory(data_dir)
    deleted = count_kept(data.root)
    if data.is_empty:
        return deleted
    with only_server(data, timeout=BRIEF_WAIT_SECONDS):
        entries = data.entries()
        require_no_trainer(data, [entry.name for entry in entries])
        for entry in entries:
            remove_folder(entry)
    return deleted


def _directory(data_dir: str | Path | None) -> DataDirectory:
    return DataDirectory(data_dir)

"""Deletion of this program's data: a model, a job, uploaded examples, everything.

Only files with our own records are deleted. This works on a full disk, and while a
server runs, which then stops serving a deleted model and training a deleted job.
"""

from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import (
    FILE_ID,
    DataDirectory,
    remove_folder,
)
from langchain_chatexports.local_server.storage.files import FileStore, uploads_of
from langchain_chatexports.local_server.storage.jobs import (
    UNFINISHED,
    JobEndedError,
    JobStore,
)
from langchain_chatexports.local_server.storage.models import list_models

NOT_DELETED = (
    "Not deleted: your exports; copies elsewhere, such as models that you exported, "
    "talks and sets that you saved, and backups; downloaded base models; what was "
    "uploaded to other servers."
)
"""Data that no deletion here includes; printed before a deletion is confirmed."""


@dataclass(frozen=True)
class DataCounts:
    """The number of uploaded files, jobs and models in a data directory."""

    files: int
    jobs: int
    models: int


def count_data(data_dir: str | Path | None = None) -> DataCounts:
    """Count what a data directory contains; nothing is changed."""
    data = DataDirectory(data_dir)
    if data.is_empty:
        return DataCounts(0, 0, 0)
    data.require_own()
    return DataCounts(
        files=len(FileStore(data).newest_first()),
        jobs=len(JobStore(data).newest_first()),
        models=len(list_models(data.root)),
    )


def delete_kept(name: str, *, data_dir: str | Path | None = None) -> None:
    """Delete a model with its job, a job, or uploaded examples that no job used.

    Uploads that only the model or the job used are deleted, too. A job has the names of
    its person and of the source, so it is deleted with its model.

    Args:
        name: The model's name, the job's id, or the id of the uploaded file.
        data_dir: The data directory; the default one if `None`.

    Raises:
        LocalServerError: If the name does not exist, or a model or job needs the data.
    """
    data = DataDirectory(data_dir)
    data.require_own()
    jobs = JobStore(data)
    if FILE_ID.fullmatch(name):
        _delete_file(name, data)
        return
    for model in list_models(data.root):
        if model.name == name:
            # If this fails, the model stays listed and can be deleted later.
            _delete_uploads(model.job_id, data)
            remove_folder(model.path)
            if jobs.get(model.job_id) is not None:
                jobs.delete(model.job_id)
            return
        if model.job_id == name:
            msg = f"Job {name} made the model {model.name}: delete that."
            raise JobEndedError(msg)
    job = jobs.get(name)
    if job is None:
        msg = f"There is no model or job {name}. See: chatexports models"
        raise JobEndedError(msg)
    # On a full disk these may free the space for the job's new status.
    _delete_uploads(name, data)
    if job["status"] in {"queued", "running"}:
        jobs.stop(name, "cancelled")
    jobs.wait_for_trainer(name)
    jobs.delete(name)


def delete_everything(data_dir: str | Path | None = None) -> DataCounts:
    """Delete all uploaded files, jobs and models of a data directory.

    Empty folders, base models in the caches, and other files are not deleted.
    """
    data = DataDirectory(data_dir)
    deleted = count_data(data.root)
    if data.is_empty:
        return deleted
    with data.locked(timeout=1.0):
        files, jobs = FileStore(data), JobStore(data)
        for model in list_models(data.root):
            remove_folder(model.path)
        for file in files.newest_first():
            files.delete(file["id"])
        for job in jobs.newest_first():
            jobs.wait_for_trainer(job["id"])
            jobs.delete(job["id"])
        files.delete_incomplete()
        data.page.unlink(missing_ok=True)
    return deleted


def _delete_file(file_id: str, data: DataDirectory) -> None:
    files = FileStore(data)
    if files.get(file_id) is None:
        msg = f"There are no examples {file_id}. See: chatexports models --json"
        raise LocalServerError(msg)
    for job in JobStore(data).newest_first():
        if file_id in uploads_of(job):
            msg = f"Job {job['id']} used {file_id}: delete that."
            raise LocalServerError(msg)
    files.delete(file_id)


def _delete_uploads(job_id: str, data: DataDirectory) -> None:
    """Delete the uploads of a job that no other unfinished job and no model uses."""
    with_model = {model.job_id for model in list_models(data.root)}
    own: set[str] = set()
    shared: set[str] = set()
    for job in JobStore(data).newest_first():
        if job["id"] == job_id:
            own = uploads_of(job)
        elif job["id"] in with_model or job["status"] in UNFINISHED:
            shared |= uploads_of(job)
    for file_id in own - shared:
        FileStore(data).delete(file_id)

"""Deletion of models, jobs and uploaded examples.

Only files with records in the database are deleted. This works on a full disk and
with a running server, which stops serving a deleted model or training a deleted job.
"""

from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import (
    FILE_ID,
    DataDirectory,
    remove_folder,
)
from langchain_chatexports.local_server.storage.files import (
    FileStore,
    uploaded_file_ids,
)
from langchain_chatexports.local_server.storage.jobs import (
    UNFINISHED,
    JobNotActiveError,
    JobStore,
)
from langchain_chatexports.local_server.storage.models import list_models

NOT_DELETED = (
    "Not deleted: your exports; copies elsewhere, such as exported models, saved "
    "talks and datasets, and backups; downloaded base models; uploads to other "
    "servers."
)
"""A note on data that is not deleted, for the confirmation of a deletion."""


@dataclass(frozen=True)
class DataCounts:
    """The number of uploaded files, jobs and models in a data directory."""

    files: int
    jobs: int
    models: int


def count_data(data_dir: str | Path | None = None) -> DataCounts:
    """Count the data in a data directory."""
    data = DataDirectory(data_dir)
    if data.is_empty:
        return DataCounts(0, 0, 0)
    data.require_valid()
    return DataCounts(
        files=len(FileStore(data).list_all()),
        jobs=len(JobStore(data).list_all()),
        models=len(list_models(data.root)),
    )


def delete_data(name: str, *, data_dir: str | Path | None = None) -> None:
    """Delete a model and its job, an unfinished job, or unused examples.

    Uploads used only by this job are also deleted. A job is deleted with its model,
    because it contains the names of the person and the source.

    Args:
        name: The model's name, the job's id, or the id of the uploaded file.
        data_dir: The data directory; the default one if `None`.

    Raises:
        LocalServerError: If the name does not exist, or a model or job needs the data.
    """
    data = DataDirectory(data_dir)
    data.require_valid()
    jobs = JobStore(data)
    if FILE_ID.fullmatch(name):
        _delete_file(name, data)
        return
    for model in list_models(data.root):
        if model.name == name:
            # If this fails, the model is still listed and can be deleted again.
            _delete_uploads(model.job_id, data)
            remove_folder(model.path)
            if jobs.get(model.job_id) is not None:
                jobs.delete(model.job_id)
            return
        if model.job_id == name:
            msg = (
                f"Job {name} created the model {model.name}. Delete the model instead."
            )
            raise JobNotActiveError(msg)
    job = jobs.get(name)
    if job is None:
        msg = f"No model or job named {name}. List them: chatexports models"
        raise JobNotActiveError(msg)
    # On a full disk, this frees space for the job's new status.
    _delete_uploads(name, data)
    if job["status"] in {"queued", "running"}:
        jobs.stop(name, "cancelled")
    jobs.wait_for_trainer(name)
    jobs.delete(name)


def delete_everything(data_dir: str | Path | None = None) -> DataCounts:
    """Delete all uploads, jobs and models of a data directory, and nothing else."""
    data = DataDirectory(data_dir)
    deleted = count_data(data.root)
    if data.is_empty:
        return deleted
    with data.locked(timeout=1.0):
        files, jobs = FileStore(data), JobStore(data)
        for model in list_models(data.root):
            remove_folder(model.path)
        for file in files.list_all():
            files.delete(file["id"])
        for job in jobs.list_all():
            jobs.wait_for_trainer(job["id"])
            jobs.delete(job["id"])
        files.delete_incomplete()
        data.page.unlink(missing_ok=True)
    return deleted


def _delete_file(file_id: str, data: DataDirectory) -> None:
    files = FileStore(data)
    if files.get(file_id) is None:
        msg = f"No examples with id {file_id}. List them: chatexports models --json"
        raise LocalServerError(msg)
    for job in JobStore(data).list_all():
        if file_id in uploaded_file_ids(job):
            msg = f"Job {job['id']} used {file_id}. Delete the job instead."
            raise LocalServerError(msg)
    files.delete(file_id)


def _delete_uploads(job_id: str, data: DataDirectory) -> None:
    """Delete a job's uploads, unless another unfinished job or model uses them."""
    jobs_with_model = {model.job_id for model in list_models(data.root)}
    job_files: set[str] = set()
    shared_files: set[str] = set()
    for job in JobStore(data).list_all():
        if job["id"] == job_id:
            job_files = uploaded_file_ids(job)
        elif job["id"] in jobs_with_model or job["status"] in UNFINISHED:
            shared_files |= uploaded_file_ids(job)
    for file_id in job_files - shared_files:
        FileStore(data).delete(file_id)

"""Jobs are canceled, and data is deleted, through the server that runs if one does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.client import client_of, refusals_explained
from langchain_chatexports.local_server.storage.data_directory import (
    FILE_ID,
    DataDirectory,
)
from langchain_chatexports.local_server.storage.deletion import (
    delete_job,
    delete_model,
    delete_set,
)
from langchain_chatexports.local_server.storage.jobs import cancel_job, list_jobs
from langchain_chatexports.local_server.storage.models import list_models
from langchain_chatexports.local_server.storage.running import (
    find_running_server,
    leave_server,
    use_server,
)
from langchain_chatexports.local_server.storage.uses import list_sets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai import OpenAI

__all__ = [
    "NOT_DELETED",
    "cancel_kept_job",
    "delete_kept",
    "request_deletion",
]

NOT_DELETED = (
    "Not deleted: your exports; copies elsewhere, such as models that you exported, "
    "talks and sets that you saved, and backups; downloaded base models; what was "
    "uploaded to other servers."
)
"""What no deletion here reaches, for people; said before they delete."""


def cancel_kept_job(job_id: str, *, data_dir: str | Path | None = None) -> None:
    """Cancel a job, through the server that runs on the data directory if one does.

    Args:
        job_id: The job.
        data_dir: The data directory; `None` for the default.

    Raises:
        LocalServerError: If it cannot be canceled.
    """
    with _client_of_running_server(data_dir) as client:
        if client is None:
            cancel_job(job_id, data_dir=data_dir)
        else:
            client.fine_tuning.jobs.cancel(job_id)


def delete_kept(name: str, *, data_dir: str | Path | None = None) -> None:
    """Delete a model with its job, a job, or uploaded examples that no job has used.

    Uploads that only the model or the job used are deleted with them. The server that
    runs there does it, if one does. A job holds its person's name and the source's, so
    it does not outlive its model.

    Args:
        name: The model's name, the job's id, or the id of the uploaded file.
        data_dir: The data directory; `None` for the default.

    Raises:
        LocalServerError: If it cannot be deleted.
    """
    if FILE_ID.fullmatch(name):
        _delete_unused_set(name, data_dir)
        return
    models = {model.name: model.job_id for model in list_models(data_dir)}
    job_id = models.get(name, name)
    with _client_of_running_server(data_dir) as client:
        if name in models:
            if client is None:
                delete_model(name, data_dir=data_dir)
            else:
                client.models.delete(name)
            if job_id not in {job.id for job in list_jobs(data_dir)}:
                return
        if client is None:
            delete_job(job_id, data_dir=data_dir)
        else:
            request_deletion(client, job_id)


def _delete_unused_set(set_id: str, data_dir: str | Path | None) -> None:
    found = [kept for kept in list_sets(data_dir) if kept.id == set_id]
    if not found:
        msg = f"There are no examples {set_id}. See: chatexports models --json"
        raise LocalServerError(msg)
    if found[0].job_ids:
        msg = f"Job {found[0].job_ids[0]} used {set_id}: delete that."
        raise LocalServerError(msg)
    with _client_of_running_server(data_dir) as client:
        if client is None:
            delete_set(set_id, data_dir=data_dir)
        else:
            client.files.delete(set_id)


def request_deletion(client: OpenAI, job_id: str) -> None:
    """Ask a local server to delete a job.

    Args:
        client: A client of the server.
        job_id: The job.
    """
    # OpenAI's client has no method for it.
    client.delete(f"/fine_tuning/jobs/{job_id}", cast_to=object)


@contextmanager
def _client_of_running_server(data_dir: str | Path | None) -> Iterator[OpenAI | None]:
    data = DataDirectory(data_dir)
    server = find_running_server(data.root)
    # The command that started it may end when its job does, and the server with it.
    lock = use_server(data, server) if server else None
    if server is None or lock is None:
        yield None
        return
    try:
        with client_of(server) as client, refusals_explained():
            yield client
    finally:
        leave_server(lock)

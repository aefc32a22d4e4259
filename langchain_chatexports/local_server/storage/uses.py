"""Which jobs and models use which uploaded examples."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.finetuning.training_file import JobUse, jobs_that_used
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.deletion import uploads_of
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.json_lines import read_examples
from langchain_chatexports.local_server.storage.models import TunedModel


@dataclass(frozen=True)
class KeptSet:
    """Uploaded examples on this machine."""

    id: str
    """The id of the uploaded file, `file-…`."""

    created_at: datetime
    """When they were uploaded, in UTC."""

    size_bytes: int
    job_ids: tuple[str, ...]
    """The jobs that were created with them, newest first."""


def list_sets(data_dir: str | Path | None = None) -> list[KeptSet]:
    """Return the uploaded examples of a data directory, newest first."""
    data = DataDirectory(data_dir)
    if not data.is_own:
        return []
    jobs = JobStore(data).newest_first()
    return [
        KeptSet(
            id=file["id"],
            created_at=datetime.fromtimestamp(file["created_at"], timezone.utc),
            size_bytes=file["bytes"],
            job_ids=tuple(job["id"] for job in jobs if file["id"] in uploads_of(job)),
        )
        for file in FileStore(data).newest_first()
    ]


def jobs_that_used_set(
    hashes: Collection[str], data_dir: str | Path | None = None
) -> list[JobUse]:
    """Return the jobs of a data directory that used a set of training examples."""
    try:
        data = DataDirectory(data_dir)
    except MissingExtraError:
        return []  # Nothing can be trained here without the extra.
    if not data.is_own:
        return []
    files = {file["id"]: file["filename"] for file in FileStore(data).newest_first()}
    return jobs_that_used(hashes, JobStore(data).newest_first(), files)


def training_examples(model: TunedModel) -> list[dict[str, Any]]:
    """Return the examples that a model was trained on; none if they were deleted."""
    data = DataDirectory(model.path.parent.parent)
    job = JobStore(data).get(model.job_id) if data.is_own else None
    files = FileStore(data)
    if job is None or files.get(job["training_file"]) is None:
        return []
    return list(read_examples(files.path(job["training_file"])))

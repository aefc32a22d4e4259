"""Uploaded examples: their content in `files`, their records in the database."""

import json
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, cast

from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.finetuning.training_file import JobUse, jobs_that_used
from langchain_chatexports.local_server.storage.data_directory import (
    FILE_ID,
    DataDirectory,
    new_id,
)
from langchain_chatexports.local_server.storage.database import reading, writing
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.models import TunedModel

_BLOCK_BYTES = 1 << 20
_MAX_NAME_LENGTH = 255


@dataclass(frozen=True)
class KeptSet:
    """Uploaded examples on this machine."""

    id: str
    created_at: datetime
    size_bytes: int
    job_ids: tuple[str, ...]
    """The jobs with these examples, newest first."""


class JsonLinesError(ValueError):
    """A file that is not JSON lines; the message has the line number."""


class FileStore:
    """The uploaded files of one data directory."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def create(self, stream: BinaryIO, *, filename: str) -> dict[str, Any]:
        """Store an upload if each of its lines is a JSON object."""
        file_id = new_id("file-")
        path = self.path(file_id)
        # The record is written first, so that no text is stored without one.
        with writing(self._data.database) as database:
            database.execute("INSERT INTO files (id) VALUES (?)", (file_id,))
        try:
            size = _write(stream, path)
            for _ in read_examples(path):
                pass
            record = {
                "id": file_id,
                "object": "file",
                "bytes": size,
                "created_at": int(time.time()),
                "filename": _plain_name(filename),
                "purpose": "fine-tune",
                "status": "processed",
                "status_details": None,
            }
            with writing(self._data.database) as database:
                database.execute(
                    "UPDATE files SET record = ? WHERE id = ?",
                    (json.dumps(record), file_id),
                )
        except BaseException:
            self.delete(file_id)
            raise
        return record

    def newest_first(self) -> list[dict[str, Any]]:
        """Return all files, newest first."""
        return self._select("ORDER BY number DESC")

    def get(self, file_id: str) -> dict[str, Any] | None:
        """Return a file, or `None` if it does not exist."""
        return next(iter(self._select("AND id = ?", file_id)), None)

    def path(self, file_id: str) -> Path:
        """Return the path of a file's content, which may not exist."""
        if not FILE_ID.fullmatch(file_id):
            msg = "not a file id"
            raise ValueError(msg)
        return self._data.files / f"{file_id}.jsonl"

    def delete(self, file_id: str) -> None:
        """Delete a file, if it exists."""
        # If this fails, the file stays listed and can be deleted later.
        self.path(file_id).unlink(missing_ok=True)
        with writing(self._data.database, only_deletes=True) as database:
            database.execute("DELETE FROM files WHERE id = ?", (file_id,))

    def delete_incomplete(self) -> None:
        """Delete the uploads that a killed server was receiving."""
        with reading(self._data.database) as database:
            query = "SELECT id FROM files WHERE record IS NULL"
            ids = database.execute(query).fetchall()
        for (file_id,) in ids:
            self.delete(file_id)

    def _select(self, clause: str, *values: Any) -> list[dict[str, Any]]:
        query = f"SELECT record FROM files WHERE record IS NOT NULL {clause}"
        with reading(self._data.database) as database:
            rows = database.execute(query, values).fetchall()
        return [json.loads(record) for (record,) in rows]


def read_examples(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read the JSON objects of a file, one per line; blank lines are skipped."""
    with Path(path).open("rb") as file:
        # Only line feeds end a line, because text can contain U+2028.
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                # Windows editors start a file with a byte order mark.
                value = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                msg = (
                    "Expected file to have JSONL format, where every line is a JSON "
                    f"dictionary. Line {number} is not a dictionary."
                )
                raise JsonLinesError(msg)
            yield value


def uploads_of(job: dict[str, Any]) -> set[str]:
    """Return the file ids of a job."""
    used = (job.get("training_file"), job.get("validation_file"))
    return {file_id for file_id in used if file_id}


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
        return []  # There is no training without the extra.
    if not data.is_own:
        return []
    files = {file["id"]: file["filename"] for file in FileStore(data).newest_first()}
    return jobs_that_used(hashes, JobStore(data).newest_first(), files)


def examples_of(
    uploaded: KeptSet, data_dir: str | Path | None = None
) -> Iterator[dict[str, Any]]:
    """Yield uploaded examples, unless they were deleted meanwhile."""
    with suppress(FileNotFoundError):
        yield from read_examples(FileStore(DataDirectory(data_dir)).path(uploaded.id))


def training_examples(model: TunedModel) -> list[TrainingExample]:
    """Return the training examples of a model; empty if they were deleted."""
    return _examples_of_job(model, "training_file")


def held_out_examples(model: TunedModel) -> list[TrainingExample]:
    """Return the held-out examples of a model; empty if they were deleted."""
    return _examples_of_job(model, "validation_file")


def _examples_of_job(model: TunedModel, key: str) -> list[TrainingExample]:
    data = DataDirectory(model.path.parent.parent)
    job = JobStore(data).get(model.job_id) if data.is_own else None
    files = FileStore(data)
    if job is None or not job[key] or files.get(job[key]) is None:
        return []
    rows = read_examples(files.path(job[key]))
    return [cast("TrainingExample", row) for row in rows]


def _write(stream: BinaryIO, path: Path) -> int:
    size = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        while block := stream.read(_BLOCK_BYTES):
            size += file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return size


def _plain_name(filename: str) -> str:
    plain = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "", filename)
    return re.split(r"[/\\]", plain)[-1][:_MAX_NAME_LENGTH] or "upload"

"""Uploaded examples, with content in `files` and records in the database."""

import json
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.finetuning.settings import DATA_KEY
from langchain_chatexports.finetuning.training_file import upload_filename
from langchain_chatexports.local_server.storage.data_directory import (
    FILE_ID,
    DataDirectory,
    new_id,
)
from langchain_chatexports.local_server.storage.database import connect, transaction
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.models import TunedModel

_BLOCK_BYTES = 1 << 20
_MAX_NAME_LENGTH = 255


@dataclass(frozen=True)
class ExampleFile:
    """An uploaded file of examples."""

    id: str
    created_at: datetime
    size_bytes: int
    job_ids: tuple[str, ...]
    """The jobs that use it, newest first."""


class JsonLinesError(ValueError):
    """A file is not in JSON Lines format; the message has the line number."""


class FileStore:
    """The uploaded files of a data directory."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def create(self, stream: BinaryIO, *, filename: str) -> dict[str, Any]:
        """Store an upload, and check that each line is a JSON object."""
        file_id = new_id("file-")
        path = self.path(file_id)
        # Insert the row first, so that no content is stored without one.
        with transaction(self._data.database) as database:
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
                "filename": _safe_filename(filename),
                "purpose": "fine-tune",
                "status": "processed",
                "status_details": None,
            }
            with transaction(self._data.database) as database:
                database.execute(
                    "UPDATE files SET record = ? WHERE id = ?",
                    (json.dumps(record), file_id),
                )
        except BaseException:
            self.delete(file_id)
            raise
        return record

    def list_all(self) -> list[dict[str, Any]]:
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
        # If this fails, the file is still listed and can be deleted again.
        self.path(file_id).unlink(missing_ok=True)
        with transaction(self._data.database, is_deletion=True) as database:
            database.execute("DELETE FROM files WHERE id = ?", (file_id,))

    def delete_incomplete(self) -> None:
        """Delete incomplete uploads left by a killed server."""
        with connect(self._data.database) as database:
            query = "SELECT id FROM files WHERE record IS NULL"
            ids = database.execute(query).fetchall()
        for (file_id,) in ids:
            self.delete(file_id)

    def _select(self, clause: str, *values: Any) -> list[dict[str, Any]]:
        query = f"SELECT record FROM files WHERE record IS NOT NULL {clause}"
        with connect(self._data.database) as database:
            rows = database.execute(query, values).fetchall()
        return [json.loads(record) for (record,) in rows]


def read_examples(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read the JSON objects of a file, one per line; blank lines are skipped."""
    with Path(path).open("rb") as file:
        # Split at line feeds only, because text can contain U+2028.
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                # Windows editors add a byte order mark.
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


def uploaded_file_ids(job: dict[str, Any]) -> set[str]:
    """Return the file ids of a job."""
    used = (job.get("training_file"), job.get("validation_file"))
    return {file_id for file_id in used if file_id}


def list_example_files(data_dir: str | Path | None = None) -> list[ExampleFile]:
    """Return the uploaded examples of a data directory, newest first."""
    data = DataDirectory(data_dir)
    if not data.is_valid:
        return []
    jobs = JobStore(data).list_all()
    return [
        ExampleFile(
            id=file["id"],
            created_at=datetime.fromtimestamp(file["created_at"], UTC),
            size_bytes=file["bytes"],
            job_ids=tuple(
                job["id"] for job in jobs if file["id"] in uploaded_file_ids(job)
            ),
        )
        for file in FileStore(data).list_all()
    ]


def find_job_ids(
    hashes: Collection[str], data_dir: str | Path | None = None
) -> set[str]:
    """Return the ids of the jobs that used examples with these hashes."""
    try:
        data = DataDirectory(data_dir)
    except MissingExtraError:
        return set()  # Training requires the extra.
    if not data.is_valid:
        return set()
    names = {upload_filename(digest) for digest in hashes}
    files = FileStore(data).list_all()
    file_ids = {file["id"] for file in files if file["filename"] in names}
    return {
        job["id"]
        for job in JobStore(data).list_all()
        if not file_ids.isdisjoint(uploaded_file_ids(job))
        or (job.get("metadata") or {}).get(DATA_KEY) in hashes
    }


def read_uploaded_examples(
    file: ExampleFile, data_dir: str | Path | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the examples in a file, or none if it was deleted concurrently."""
    with suppress(FileNotFoundError):
        yield from read_examples(FileStore(DataDirectory(data_dir)).path(file.id))


def training_examples(model: TunedModel) -> list[TrainingExample]:
    """Return a model's training examples; empty if they were deleted."""
    return _read_job_examples(model, "training_file")


def held_out_examples(model: TunedModel) -> list[TrainingExample]:
    """Return a model's held-out examples; empty if they were deleted."""
    return _read_job_examples(model, "validation_file")


def _read_job_examples(model: TunedModel, key: str) -> list[TrainingExample]:
    data = DataDirectory(model.path.parent.parent)
    job = JobStore(data).get(model.job_id) if data.is_valid else None
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


def _safe_filename(filename: str) -> str:
    printable = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "", filename)
    return re.split(r"[/\\]", printable)[-1][:_MAX_NAME_LENGTH] or "upload"

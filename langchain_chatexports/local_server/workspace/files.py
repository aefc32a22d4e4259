"""Examples, named by their content: the same ones are the same file."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from langchain_chatexports._parts import part_file
from langchain_chatexports.local_server.errors import NotFoundError, StateError
from langchain_chatexports.local_server.workspace.data_directory import (
    FILE_ID,
    HASH_DIGITS,
    DataDirectory,
    replace,
)
from langchain_chatexports.local_server.workspace.jobs import Jobs

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class ExampleFile:
    """A file of examples."""

    id: str
    created_at: float
    """The time of its last upload, in Unix seconds."""

    size_bytes: int

    @property
    def name(self) -> str:
        """The name under which a `ChatFineTuner` uploads this content."""
        return f"chatexports-{self.id.removeprefix('file-')}.jsonl"


class JsonLinesError(ValueError):
    """A file is not in JSON Lines format; the message has the line number."""


class Files:
    """The files of examples in a data directory."""

    def __init__(self, data: DataDirectory, jobs: Jobs) -> None:
        self._data = data
        self._jobs = jobs

    def create(self, content: bytes | BinaryIO) -> ExampleFile:
        """Store examples; each line must be a JSON object.

        Raises:
            JsonLinesError: If a line is not a JSON object.
            DiskFullError: If there is no space for them.
        """
        self._data.prepare()
        folder = self._data.folder("files")
        with self._data.storage_errors(), part_file(folder) as part:
            file_id = file_id_of(_write(content, part))
            for _ in read_examples(part):
                pass
            path = self._data.file_path(file_id)
            if path.exists():  # On Windows, a file that is read cannot be replaced.
                path.touch()
            else:
                replace(part, path)
        return self.get(file_id)

    def list(self) -> tuple[ExampleFile, ...]:
        """Return all files, newest first."""
        paths = self._data.folder("files").glob("file-*.jsonl")
        files = (_read_file(path) for path in paths if not path.is_symlink())
        newest_first = sorted(filter(None, files), key=lambda file: -file.created_at)
        return tuple(newest_first)

    def get(self, file_id: str) -> ExampleFile:
        """Return a file.

        Raises:
            NotFoundError: If it does not exist.
        """
        is_id = FILE_ID.fullmatch(file_id)
        file = _read_file(self._data.file_path(file_id)) if is_id else None
        if file is None:
            msg = f"No examples with the id {file_id!r}. List them: chatexports models"
            raise NotFoundError(msg)
        return file

    def read(self, file_id: str) -> Iterator[dict[str, Any]]:
        """Yield the examples of a file, none if it was deleted."""
        with suppress(FileNotFoundError):
            yield from read_examples(self._data.file_path(file_id))

    def delete(self, file_id: str) -> None:
        """Delete a file.

        Raises:
            NotFoundError: If it does not exist.
            StateError: If an unfinished job needs it.
        """
        self.get(file_id)
        if not self._jobs.delete_unused_files({file_id}, keeps_models=False):
            msg = f"A job needs {file_id}. Wait until it ends, or delete the job."
            raise StateError(msg)


def file_id_of(digest: str) -> str:
    """Return the id of a file with this SHA-256 hash."""
    return f"file-{digest[:HASH_DIGITS]}"


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


def _read_file(path: Path) -> ExampleFile | None:
    if not FILE_ID.fullmatch(path.stem):
        return None
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return ExampleFile(path.stem, status.st_mtime, status.st_size)


def _write(content: bytes | BinaryIO, path: Path) -> str:
    """Write a file and return its SHA-256 hash."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for block in _blocks(content):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _blocks(content: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    while block := content.read(_BLOCK_BYTES):
        yield block

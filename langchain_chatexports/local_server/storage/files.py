"""The files that clients upload: one folder each, gone when they are deleted."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from langchain_chatexports.local_server.storage.data_directory import (
    FILE_ID,
    DataDirectory,
    new_id,
    read_json,
    remove_folder,
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.training_files import read_examples

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILE_ID", "FileStore"]

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 20
_MAX_NAME_LENGTH = 255


class FileStore:
    """The uploaded files of one data directory."""

    def __init__(self, data: DataDirectory) -> None:
        """Read what is there."""
        self._data = data
        self._lock = threading.RLock()
        self._checking = threading.Lock()
        self._records: dict[str, dict[str, Any]] = {}
        for folder in data.files.iterdir():
            record = read_json(folder / "meta.json")
            if record is not None and FILE_ID.fullmatch(folder.name):
                self._records[folder.name] = record

    def create(
        self, stream: BinaryIO, *, filename: str, lifetime: int | None = None
    ) -> dict[str, Any]:
        """Keep an upload, if every line of it is a JSON object.

        Args:
            stream: The upload.
            filename: Its name, which is told back and used for nothing else.
            lifetime: Seconds until it is deleted; `None` for ever.

        Returns:
            OpenAI's file object.

        Raises:
            JsonLinesError: If it is no file of JSON lines.
        """
        file_id = new_id("file-")
        folder = self._data.new_folder(self._data.files, file_id)
        try:
            size = _write(stream, folder / "content.jsonl")
            # One after the other: a line takes many times its length when parsed.
            with self._checking:
                for _ in read_examples(folder / "content.jsonl"):
                    pass
            now = time.time_ns()
            seconds = now // 1_000_000_000
            record = {
                "id": file_id,
                "object": "file",
                "bytes": size,
                "created_at": seconds,
                "expires_at": None if lifetime is None else seconds + lifetime,
                "filename": _plain_name(filename),
                "purpose": "fine-tune",
                "status": "processed",
                "status_details": None,
                "order": now,
            }
            write_json(folder / "meta.json", record)
            with self._lock:
                replace(folder, self._data.files / file_id)
                self._records[file_id] = record
        except BaseException:
            remove_folder(folder)
            raise
        return _public(record)

    def newest_first(self) -> list[dict[str, Any]]:
        """Return all files, newest first."""
        self.delete_expired()
        with self._lock:
            records = sorted(
                self._records.values(), key=lambda record: -record["order"]
            )
        return [_public(record) for record in records]

    def get(self, file_id: str) -> dict[str, Any] | None:
        """Return a file, or `None`."""
        self.delete_expired()
        with self._lock:
            record = self._records.get(file_id)
        return None if record is None else _public(record)

    def path(self, file_id: str) -> Path:
        """Return the path of a file's content, whether it is there or not."""
        if not FILE_ID.fullmatch(file_id):
            msg = "not the id of a file"
            raise ValueError(msg)
        return self._data.files / file_id / "content.jsonl"

    def delete(self, file_id: str) -> bool:
        """Delete a file, and return whether it was there."""
        with self._lock:
            if file_id not in self._records:
                return False
            # What cannot be deleted stays listed, and can be deleted later.
            remove_folder(self._data.files / file_id)
            del self._records[file_id]
        return True

    def delete_expired(self) -> None:
        """Delete the files that have expired."""
        now = time.time()
        with self._lock:
            for file_id, record in list(self._records.items()):
                expires_at = record.get("expires_at")
                if expires_at is not None and expires_at <= now:
                    try:
                        self.delete(file_id)
                    except OSError:
                        # The next request tries again.
                        logger.debug("%s cannot be deleted yet", file_id)


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


def _public(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "order"}

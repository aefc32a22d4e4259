"""Uploaded files: one folder each, with the content and its metadata."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
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
from langchain_chatexports.local_server.storage.json_lines import read_examples

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILE_ID", "FileStore"]

_BLOCK_BYTES = 1 << 20
_MAX_NAME_LENGTH = 255


class FileStore:
    """The uploaded files of one data directory."""

    def __init__(self, data: DataDirectory) -> None:
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
        """Store an upload, if every line of it is a JSON object.

        Args:
            stream: The upload.
            filename: Its name, which is only returned to clients.
            lifetime: Seconds until it expires; `None` for never.

        Returns:
            OpenAI's file object.

        Raises:
            JsonLinesError: If a line is not a JSON object.
        """
        file_id = new_id("file-")
        folder = self._data.new_folder(self._data.files, file_id)
        try:
            size = _write(stream, folder / "content.jsonl")
            # One at a time: parsing a line takes many times its size in memory.
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
        """Return all files that have not expired, newest first."""
        with self._lock:
            records = sorted(self._records.values(), key=lambda r: -r["order"])
        return [_public(record) for record in records if not _is_expired(record)]

    def get(self, file_id: str) -> dict[str, Any] | None:
        """Return a file, or `None` if it does not exist or has expired."""
        with self._lock:
            record = self._records.get(file_id)
        return None if record is None or _is_expired(record) else _public(record)

    def path(self, file_id: str) -> Path:
        """Return the path of a file's content, which may not exist."""
        if not FILE_ID.fullmatch(file_id):
            msg = "not the id of a file"
            raise ValueError(msg)
        return self._data.files / file_id / "content.jsonl"

    def delete(self, file_id: str) -> bool:
        """Delete a file, and return whether it existed."""
        with self._lock:
            if file_id not in self._records:
                return False
            # If this fails, the file stays listed and can be deleted later.
            remove_folder(self._data.files / file_id)
            del self._records[file_id]
        return True

    def delete_expired(self) -> None:
        """Delete the files that have expired."""
        with self._lock:
            expired = [i for i, record in self._records.items() if _is_expired(record)]
            for file_id in expired:
                # The next call tries again.
                with suppress(OSError):
                    self.delete(file_id)


def _is_expired(record: dict[str, Any]) -> bool:
    expires_at = record.get("expires_at")
    return expires_at is not None and bool(expires_at <= time.time())


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

"""The events of a job, as JSON lines that server and trainer append."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Literal

from langchain_chatexports.local_server.storage.data_directory import new_id

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["EventLog"]


class EventLog:
    """The events of one job; several processes may append to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(
        self,
        message: str,
        *,
        level: Literal["info", "warn", "error"] = "info",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Add an event, of the type `metrics` if its data are those of a step."""
        event = {
            "object": "fine_tuning.job.event",
            "id": new_id("ftevent-"),
            "created_at": int(time.time()),
            "level": level,
            "message": message,
            "type": "metrics" if data and "step" in data else "message",
            "data": data or {},
        }
        line = json.dumps(event).encode("ascii") + b"\n"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, flags, 0o600)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            # A killed process can leave half a line.
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            file.seek(0, os.SEEK_END)
            file.write(line)

    def read(self) -> list[dict[str, Any]]:
        """Return all events, oldest first; damaged lines are skipped."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        events = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("id"), str):
                events.append(event)
        return events

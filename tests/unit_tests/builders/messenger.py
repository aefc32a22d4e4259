"""Messenger and Instagram exports: folders, zips, encrypted chats.

```python
export = Export()
chat = export.thread("ada_100200300", people=["Ada Byron", "Grace Hopper"])
chat.says("Grace Hopper", "Köszönöm! 😂", at=1_700_000_000_000)
path = export.to_zip(tmp_path / "facebook-grace.zip")
```
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FACEBOOK = "your_facebook_activity/messages"
INSTAGRAM = "your_instagram_activity/messages"
MAX_PER_FILE = 10_000


def mojibake(text: str) -> str:
    """Return a text as Meta's exporter writes it: each UTF-8 byte as one character."""
    return text.encode().decode("latin-1")


def encode_like_meta(value: Any) -> Any:
    """Return JSON with all texts as Meta's exporter writes them."""
    if isinstance(value, str):
        return mojibake(value)
    if isinstance(value, list):
        return [encode_like_meta(item) for item in value]
    if isinstance(value, dict):
        return {key: encode_like_meta(item) for key, item in value.items()}
    return value


def meta_json(value: Any) -> bytes:
    """Return the bytes that Meta's exporter writes."""
    return json.dumps(encode_like_meta(value), indent=2).encode("ascii")


def message(
    sender: str | None, text: str | None, at: int, **keys: Any
) -> dict[str, Any]:
    """Return a message record; keys that are `None` are omitted."""
    record = {"sender_name": sender, "timestamp_ms": at, "content": text}
    return {key: value for key, value in record.items() if value is not None} | keys


class Thread:
    """A thread folder with its numbered files, newest message first."""

    def __init__(
        self, folder: str, people: Iterable[str], keys: dict[str, Any]
    ) -> None:
        self.folder = folder
        self.people = list(people)
        self.keys = keys
        self.messages: list[dict[str, Any]] = []
        self.per_file = MAX_PER_FILE

    def says(
        self, sender: str | None, text: str | None, at: int, **keys: Any
    ) -> Thread:
        self.messages.append(message(sender, text, at, **keys))
        return self

    def document(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the content of a file with these messages, given oldest first."""
        people = [{"name": name} for name in self.people]
        content = {"participants": people, "messages": messages[::-1], **self.keys}
        return {key: value for key, value in content.items() if value is not None}

    def files(self) -> dict[str, bytes]:
        newest_first = self.messages[::-1]
        starts = range(0, max(len(newest_first), 1), self.per_file)
        return {
            f"{self.folder}/message_{number}.json": meta_json(
                self.document(newest_first[start : start + self.per_file][::-1])
            )
            for number, start in enumerate(starts, 1)
        }


class EncryptedChat:
    """A file of the secure storage: correct text, oldest first, different keys."""

    def __init__(self, path: str, people: Iterable[str]) -> None:
        self.path = path
        self.people = list(people)
        self.messages: list[dict[str, Any]] = []

    def says(self, sender: str, text: str, at: int, **keys: Any) -> EncryptedChat:
        record = {
            "isUnsent": False,
            "media": [],
            "reactions": [],
            "senderName": sender,
            "text": text,
            "timestamp": at,
            "type": "text",
        }
        self.messages.append(record | keys)
        return self

    def files(self) -> dict[str, bytes]:
        content = {
            "participants": self.people,
            "threadName": self.path.rpartition("/")[2].removesuffix(".json"),
            "messages": self.messages,
        }
        text = json.dumps(content, ensure_ascii=False, indent=2)
        return {self.path: text.encode("utf-8", "surrogatepass")}


class Export:
    """An export as a dictionary of files, written as a folder or a zip."""

    def __init__(self, root: str = FACEBOOK) -> None:
        self.root = root
        self.chats: list[Thread | EncryptedChat] = []
        self.other: dict[str, bytes] = {}

    def thread(
        self,
        folder: str,
        people: Iterable[str] = ("Ada Byron", "Grace Hopper"),
        *,
        section: str | None = "inbox",
        **keys: Any,
    ) -> Thread:
        """Add a thread; its first participant is the other person."""
        people = list(people)
        path = "/".join(filter(None, (self.root, section, folder)))
        defaults = {
            "title": people[0] if people else "",
            "is_still_participant": True,
            "thread_path": f"{section}/{folder}",
        }
        chat = Thread(path, people, defaults | keys)
        self.chats.append(chat)
        return chat

    def encrypted(self, path: str, people: Iterable[str]) -> EncryptedChat:
        chat = EncryptedChat(path, people)
        self.chats.append(chat)
        return chat

    def file(self, path: str, content: Any) -> Export:
        """Add any other file: bytes unchanged, other values as Meta's JSON."""
        is_raw = isinstance(content, bytes)
        self.other[path] = content if is_raw else meta_json(content)
        return self

    def files(self) -> dict[str, bytes]:
        files = dict(self.other)
        for chat in self.chats:
            files.update(chat.files())
        return files

    def to_folder(self, folder: Path) -> Path:
        for name, data in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def to_folder_and_zip(self, folder: Path) -> tuple[Path, Path]:
        """Write the export twice: as a folder, and as a zip next to it."""
        archive = folder.with_name(f"{folder.name}.zip")
        return self.to_folder(folder), self.to_zip(archive)

    def to_zip(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.files().items():
                archive.writestr(name, data)
        return path

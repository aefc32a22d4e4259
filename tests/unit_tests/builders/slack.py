"""Slack exports, as folders and zips.

```python
export = SlackExport()
ann = export.user("U1", "Ann")
general = export.channel("C1", "general")
general.says(ann, "Hello", day=1)
path = export.to_zip(tmp_path / "slack.zip")
```
"""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MAY = int(datetime(2024, 5, 1, 8, tzinfo=UTC).timestamp())
DAY = 86_400


def stamp(day: int = 1, second: int = 0, micro: int = 100) -> str:
    """Return a `ts` in May 2024."""
    return f"{MAY + (day - 1) * DAY + second}.{micro:06}"


class Folder:
    """The folder of a conversation, with a file per day."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.days: dict[str, list[Any]] = {}
        self._second = 0

    def add(self, record: Any, day: int = 1) -> Any:
        """Add any record to the file of a day."""
        self.days.setdefault(f"2024-05-{day:02}.json", []).append(record)
        return record

    def says(
        self, user: str | None, text: str | None, day: int = 1, **keys: Any
    ) -> dict[str, Any]:
        """Add a message, one second after the previous one, and return it."""
        self._second += 1
        record = {
            "type": "message",
            "user": user,
            "text": text,
            "ts": stamp(day, self._second),
            **keys,
        }
        kept = {key: value for key, value in record.items() if value is not None}
        self.add(kept, day)
        return kept


class SlackExport:
    """An export: lists, and a folder per conversation."""

    def __init__(self) -> None:
        self.lists: dict[str, Any] = {"users.json": [], "channels.json": []}
        self.folders: dict[str, Folder] = {}
        self.others: dict[str, str | bytes] = {}

    def user(self, user_id: str, name: str, **keys: Any) -> str:
        """Add a user with a display name, and return the id."""
        profile = {"display_name": name, **keys.pop("profile", {})}
        self.lists["users.json"].append(
            {"id": user_id, "name": name.lower(), "profile": profile, **keys}
        )
        return user_id

    def folder(self, name: str) -> Folder:
        """Return a folder, with or without an entry in a list."""
        return self.folders.setdefault(name, Folder(name))

    def channel(
        self, channel_id: str, name: str, kind: str = "channels", **keys: Any
    ) -> Folder:
        """Add a channel, or a group or mpim, and return its folder."""
        entries = self.lists.setdefault(f"{kind}.json", [])
        entries.append({"id": channel_id, "name": name, **keys})
        return self.folder(name)

    def direct(self, channel_id: str, *members: str, **keys: Any) -> Folder:
        """Add direct messages, and return their folder."""
        entry: dict[str, Any] = {"id": channel_id, **keys}
        if members:
            entry["members"] = list(members)
        self.lists.setdefault("dms.json", []).append(entry)
        return self.folder(channel_id)

    def files(self) -> dict[str, bytes]:
        texts: dict[str, str | bytes] = {
            name: json.dumps(value) for name, value in self.lists.items()
        }
        for folder in self.folders.values():
            for day, records in folder.days.items():
                texts[f"{folder.name}/{day}"] = json.dumps(records, indent=4)
        texts |= self.others
        return {
            name: text if isinstance(text, bytes) else text.encode()
            for name, text in texts.items()
        }

    def to_folder(self, path: Path) -> Path:
        """Write the folder that a zip unpacks to."""
        for name, data in self.files().items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return path

    def to_zip(self, path: Path, root: str = "", separator: str = "/") -> Path:
        """Write a zip; its files are not sorted."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(self.files().items(), reverse=True):
                archive.writestr((root + name).replace("/", separator), data)
        return path


def workspace() -> tuple[SlackExport, Folder]:
    """Return an export with Ann, Bo and a bot, and its channel #general."""
    export = SlackExport()
    export.user("U1", "Ann", profile={"email": "ann@example.org"}, real_name="Ann Ode")
    export.user("U2", "Bo")
    export.user("U9", "Build", is_bot=True)
    return export, export.channel("C1", "general")

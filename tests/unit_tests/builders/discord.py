"""Files as DiscordChatExporter writes them, and Discord's data package.

```python
channel = DiscordChannel("general")
channel.says(ANN, "Hello")
path = channel.write(tmp_path / "general.json")
```
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2024, 5, 1, 8, tzinfo=UTC)
_DISCORD_EPOCH_MS = 1_420_070_400_000


def author(author_id: str, name: str, **keys: Any) -> dict[str, Any]:
    """Return the author of a message."""
    return {"id": author_id, "name": name, "discriminator": "0000", **keys}


ANN = author("11", "ann.ode", nickname="Ann", isBot=False)
BO = author("22", "bo", nickname="Bo", isBot=False)
BOT = author("99", "Build", nickname="Build", isBot=True)


def snowflake(seconds: int) -> str:
    """Return the id of a message by its time in seconds after the start."""
    moment = int((START + timedelta(seconds=seconds)).timestamp() * 1000)
    return str((moment - _DISCORD_EPOCH_MS) << 22)


class DiscordChannel:
    """The file of a channel."""

    def __init__(
        self,
        name: str | None = "general",
        *,
        kind: str = "GuildTextChat",
        channel_id: str = "500",
        **keys: Any,
    ) -> None:
        is_direct = kind.startswith("Direct")
        self.about: dict[str, Any] = {
            "guild": {
                "id": "0" if is_direct else "1",
                "name": "Direct Messages" if is_direct else "Meadow",
                "iconUrl": "https://cdn.example.org/icon.png",
            },
            "channel": {
                "id": channel_id,
                "type": kind,
                "categoryId": "7",
                "category": "Private" if is_direct else "Talk",
                "name": name,
                "topic": 'On "messages": [and more]',
            },
            "dateRange": {"after": None, "before": None},
            "exportedAt": "2024-06-01T00:00:00+00:00",
            **keys,
        }
        self.messages: list[Any] = []

    def says(
        self, who: dict[str, Any] | None, text: str | None, **keys: Any
    ) -> dict[str, Any]:
        """Add a message, one minute after the previous one, and return it."""
        seconds = 60 * len(self.messages)
        moment = START + timedelta(seconds=seconds)
        message = {
            "id": snowflake(seconds),
            "type": "Default",
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "timestampEdited": None,
            "callEndedTimestamp": None,
            "isPinned": False,
            "content": text,
            "author": who,
            "attachments": [],
            "embeds": [],
            "stickers": [],
            "reactions": [],
            "mentions": [],
            **keys,
        }
        self.messages.append(message)
        return message

    def text(self, *, indent: int | None = 2, ascii_only: bool = False) -> str:
        count = len(self.messages)
        value = {**self.about, "messages": self.messages, "messageCount": count}
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    def write(self, path: Path, **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.text(**options).encode())
        return path


def write_package(
    folder: Path, *, is_csv: bool = False, messages: str = "Messages"
) -> Path:
    """Write Discord's own data package, with a message by the owner."""
    account = "Account" if messages[0].isupper() else "account"
    row = {"ID": snowflake(0), "Timestamp": "2024-05-01 08:00:00"}
    row |= {"Contents": "first", "Attachments": ""}
    text = f"{','.join(row)}\n{','.join(row.values())}\n"
    files = {
        f"{account}/user.json": json.dumps({"id": "11", "username": "ann.ode"}),
        f"{messages}/index.json": '{"500": "Direct Message with bo"}',
        f"{messages}/c500/channel.json": '{"id": "500", "type": "DM"}',
        f"{messages}/c500/messages.{'csv' if is_csv else 'json'}": (
            text if is_csv else json.dumps([row])
        ),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder

"""Ten talks of Tortoise and Hare, as DiscordChatExporter would save them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports.samples.folders import write_folder
from langchain_chatexports.samples.scenes import read_scenes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_discord"]

_ABOUT = """\
Ten invented talks in the form of files of DiscordChatExporter, as direct messages. The
package is affiliated neither with Discord nor with the authors of DiscordChatExporter.
"""
_AUTHORS = {
    "Tortoise": {"id": "100000000000000001", "name": "tortoise"},
    "Hare": {"id": "100000000000000002", "name": "hare"},
}
_BEGINS = datetime(2023, 8, 28, 0, 32, 3, tzinfo=timezone.utc)
_BETWEEN_TALKS = timedelta(days=3, seconds=5_400)
_BETWEEN_MESSAGES = timedelta(seconds=30)
_DISCORD_EPOCH_MS = 1_420_070_400_000


def write_discord(folder: str | Path = "discord") -> Path:
    """Write ten talks of Tortoise with Hare as direct messages on Discord.

    The file is the same, byte for byte, at each call and on each machine.

    Args:
        folder: Where to write it; missing folders are made. The files of an earlier
            sample in this folder are replaced, others in it are left alone.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If there is a file of this name, or a folder that is not
            empty and holds no sample. Nothing is overwritten then.
    """
    messages: list[dict[str, Any]] = []
    for number, lines in enumerate(read_scenes("tortoise_and_hare.txt").values()):
        for place, line in enumerate(lines):
            moment = _BEGINS + number * _BETWEEN_TALKS + place * _BETWEEN_MESSAGES
            milliseconds = int(moment.timestamp()) * 1000 - _DISCORD_EPOCH_MS
            author = {**_AUTHORS[line.speaker], "nickname": line.speaker}
            messages.append(
                {
                    "id": str(milliseconds << 22),
                    "type": "Default",
                    "timestamp": moment.isoformat(),
                    "timestampEdited": None,
                    "content": line.text,
                    "author": {**author, "isBot": False},
                    "attachments": [],
                    "embeds": [],
                    "reactions": [],
                    "mentions": [],
                }
            )
    content = {
        "guild": {"id": "0", "name": "Direct Messages", "iconUrl": ""},
        "channel": {
            "id": "100000000000000010",
            "type": "DirectTextChat",
            "categoryId": None,
            "category": None,
            "name": "Hare",
            "topic": None,
        },
        "dateRange": {"after": None, "before": None},
        "exportedAt": "2023-10-01T00:00:00+00:00",
        "messages": messages,
        "messageCount": len(messages),
    }
    name = "Direct Messages - Hare [100000000000000010].json"
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return write_folder(folder, _ABOUT, {name: f"{text}\n"})

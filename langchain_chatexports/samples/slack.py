"""Ten talks of Tortoise and Hare as the folder of a Slack export."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports.samples.folders import write_folder
from langchain_chatexports.samples.scenes import read_scenes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_slack"]

_ABOUT = """\
Ten invented talks in the layout of a Slack export: a channel each, and one of them as a
thread. The package is not affiliated with Slack.
"""
_USERS = {"Tortoise": "U0TORTOISE", "Hare": "U0HARE"}
_IN_A_THREAD = "Training"
_BEGINS = 1_693_182_723
_BETWEEN_TALKS = 3 * 86_400 + 5_400
_BETWEEN_MESSAGES = 30


def write_slack(folder: str | Path = "slack") -> Path:
    """Write ten talks of Tortoise and Hare as a Slack export.

    The files are the same, byte for byte, at each call and on each machine.

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
    channels: list[dict[str, Any]] = []
    days: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, (title, lines) in enumerate(
        read_scenes("tortoise_and_hare.txt").items()
    ):
        name = title.lower().replace(" ", "-")
        channels.append(
            {"id": f"C{number:09}", "name": name, "members": [*_USERS.values()]}
        )
        start = _BEGINS + number * _BETWEEN_TALKS
        root = f"{start}.000100"
        for place, line in enumerate(lines):
            seconds = start + place * _BETWEEN_MESSAGES
            message = {
                "type": "message",
                "user": _USERS[line.speaker],
                "text": _escaped(line.text),
                "ts": f"{seconds}.000100",
            }
            if title == _IN_A_THREAD:
                message["thread_ts"] = root
            day = datetime.fromtimestamp(seconds, timezone.utc).date()
            days[f"{name}/{day}.json"].append(message)
    users = [
        {
            "id": user,
            "name": name.lower(),
            "real_name": name,
            "profile": {"display_name": name, "real_name": name},
        }
        for name, user in _USERS.items()
    ]
    contents = {"users.json": users, "channels.json": channels, **days}
    files = {name: json.dumps(content, indent=4) for name, content in contents.items()}
    return write_folder(folder, _ABOUT, files)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

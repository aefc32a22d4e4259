"""Ten talks of Tortoise and Hare, as Telegram Desktop would export them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports.samples.folders import write_folder
from langchain_chatexports.samples.scenes import read_scenes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_telegram"]

_ABOUT = """\
Ten invented talks in the form of an export of Telegram Desktop, as a personal chat. The
package is not affiliated with Telegram.
"""
_IDS = {"Tortoise": 1001, "Hare": 1002}
_BEGINS = datetime(2023, 8, 28, 0, 32, 3, tzinfo=timezone.utc)
_BETWEEN_TALKS = timedelta(days=3, seconds=5_400)
_BETWEEN_MESSAGES = timedelta(seconds=30)


def write_telegram(folder: str | Path = "telegram") -> Path:
    """Write ten talks of Tortoise with Hare as a personal chat on Telegram.

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
            messages.append(
                {
                    "id": len(messages) + 1,
                    "type": "message",
                    "date": moment.replace(tzinfo=None).isoformat(),
                    "date_unixtime": str(int(moment.timestamp())),
                    "from": line.speaker,
                    "from_id": f"user{_IDS[line.speaker]}",
                    "text": line.text,
                    "text_entities": [{"type": "plain", "text": line.text}],
                }
            )
    content = {
        "name": "Hare",
        "type": "personal_chat",
        "id": _IDS["Hare"],
        "messages": messages,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return write_folder(folder, _ABOUT, {"result.json": text})

"""Nine Messenger threads of one owner, Harry Potter, as an export's folder."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_chatexports.samples.writing import SceneLine, read_scenes, write_folder

_OWNER = "Harry Potter"
_UTF8_BYTES = re.compile(r"[^\x00-\x7f]")


def write_messenger(folder: str | Path = "hogwarts") -> Path:
    """Write nine threads of one owner, Harry Potter, as a Messenger export.

    The files `<folder>/inbox/<thread>/messages_<Name>.json` are deterministic.

    Args:
        folder: A new or empty folder; an existing sample is not changed.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If it contains anything else. Nothing is written.
    """
    files = {}
    for heading, lines in read_scenes("hogwarts.txt").items():
        # As in real exports, members are in any order, thread names in any case, and
        # paths may end with a slash.
        friend, thread, file_name, first = heading.split(" | ")
        people = [_OWNER, friend] if first == "owner first" else [friend, _OWNER]
        content = _thread_json(friend, thread, people, lines)
        text = json.dumps(content, indent=2, ensure_ascii=False)
        name = f"inbox/{thread.rstrip('/')}/messages_{file_name}.json"
        files[name] = f"{_UTF8_BYTES.sub(_as_exported, text)}\n"
    return write_folder(folder, files)


def _thread_json(
    friend: str, thread: str, people: Sequence[str], lines: Sequence[SceneLine]
) -> dict[str, Any]:
    messages = []
    for line in lines:
        moment, speaker = line.speaker.split(" ")
        sender = friend if speaker == "Friend" else _OWNER
        messages.append(
            {
                "sender_name": sender,
                "timestamp_ms": int(moment),
                "content": line.text,
            }
        )
    return {
        "participants": [{"name": name} for name in people],
        "messages": messages,
        "title": friend,
        "is_still_participant": True,
        "thread_path": f"inbox/{thread}",
        "magic_words": [],
    }


def _as_exported(match: re.Match[str]) -> str:
    """Escape each UTF-8 byte as a character, like the exporter."""
    return "".join(f"\\u{byte:04x}" for byte in match[0].encode())

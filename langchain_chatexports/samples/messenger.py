"""Nine Messenger threads with one owner, Harry Potter, as an export folder."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_chatexports.samples.writing import SceneLine, read_scenes, write_folder

_OWNER = "Harry Potter"
_NON_ASCII = re.compile(r"[^\x00-\x7f]")


def write_messenger(folder: str | Path = "hogwarts") -> Path:
    """Write nine threads with one owner, Harry Potter, as a Messenger export.

    The files `<folder>/inbox/<thread>/messages_<Name>.json` are deterministic.

    Args:
        folder: A new or empty folder. An existing sample is left unchanged.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system denies access.
        ExportFormatError: If the folder contains anything else.
    """
    files = {}
    for heading, lines in read_scenes("hogwarts.txt").items():
        # As in real exports, members are unordered, thread names use any case, and
        # paths may end with a slash.
        friend, thread, file_name, order = heading.split(" | ")
        people = [_OWNER, friend] if order == "owner first" else [friend, _OWNER]
        content = _build_thread(friend, thread, people, lines)
        text = json.dumps(content, indent=2, ensure_ascii=False)
        name = f"inbox/{thread.rstrip('/')}/messages_{file_name}.json"
        files[name] = f"{_NON_ASCII.sub(_escape_bytes, text)}\n"
    return write_folder(folder, files)


def _build_thread(
    friend: str, thread: str, people: Sequence[str], lines: Sequence[SceneLine]
) -> dict[str, Any]:
    messages = []
    for line in lines:
        timestamp, speaker = line.speaker.split(" ")
        sender = friend if speaker == "Friend" else _OWNER
        messages.append(
            {
                "sender_name": sender,
                "timestamp_ms": int(timestamp),
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


def _escape_bytes(match: re.Match[str]) -> str:
    """Escape each UTF-8 byte as a character, as Meta's exporter does."""
    return "".join(f"\\u{byte:04x}" for byte in match[0].encode())

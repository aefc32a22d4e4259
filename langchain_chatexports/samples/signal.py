"""Ten talks of Tortoise and Hare, as Signal would export them."""

import json
from pathlib import Path
from typing import Any

from langchain_chatexports.samples.folders import write_folder
from langchain_chatexports.samples.scenes import read_scenes

_ABOUT = """\
Ten invented talks in the form of Signal's chat history as JSON. The package is not
affiliated with Signal.
"""
_RECIPIENTS = {"Tortoise": "1", "Hare": "2"}
_BEGINS_MS = 1_693_182_723_000
_BETWEEN_TALKS_MS = (3 * 86_400 + 5_400) * 1000
_BETWEEN_MESSAGES_MS = 30_000


def write_signal(folder: str | Path = "signal") -> Path:
    """Write ten talks of Tortoise with Hare as a chat on Signal.

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
    hare = {"aci": "AAAAAAAAAAAAAAAAAAAAAg==", "profileGivenName": "Hare"}
    frames: list[dict[str, Any]] = [
        {"version": "1", "backupTimeMs": "1696118400000"},
        {"account": {"username": "tortoise.01", "givenName": "Tortoise"}},
        {"recipient": {"id": _RECIPIENTS["Tortoise"], "self": {}}},
        {"recipient": {"id": _RECIPIENTS["Hare"], "contact": hare}},
        {"chat": {"id": "1", "recipientId": _RECIPIENTS["Hare"]}},
    ]
    for number, lines in enumerate(read_scenes("tortoise_and_hare.txt").values()):
        start = _BEGINS_MS + number * _BETWEEN_TALKS_MS
        for place, line in enumerate(lines):
            sent = str(start + place * _BETWEEN_MESSAGES_MS)
            is_own = line.speaker == "Tortoise"
            item = {
                "chatId": "1",
                "authorId": _RECIPIENTS[line.speaker],
                "dateSent": sent,
                "outgoing" if is_own else "incoming": {"dateReceived": sent},
                "standardMessage": {"text": {"body": line.text}},
            }
            frames.append({"chatItem": item})
    lines_of_json = (json.dumps(frame, ensure_ascii=False) for frame in frames)
    files = {"main.jsonl": "\n".join(lines_of_json) + "\n", "metadata.json": "{}\n"}
    return write_folder(folder, _ABOUT, files)

"""Ten talks of Tortoise and Hare as the chat that an Android phone exports."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from langchain_chatexports.samples.folders import write_folder
from langchain_chatexports.samples.scenes import read_scenes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_whatsapp"]

_ABOUT = """\
Ten invented talks in the layout of a WhatsApp export: Tortoise exported the chat with
Hare, on an Android phone whose clock is UTC. The package is not affiliated with
WhatsApp.
"""
_NOTICE = (
    "Messages and calls are end-to-end encrypted. Only people in this chat can read, "
    "listen to, or share them. Learn more"
)
_BEGINS = 1_693_182_723
_BETWEEN_TALKS = 3 * 86_400 + 5_400
_BETWEEN_MESSAGES = 30


def write_whatsapp(folder: str | Path = "whatsapp") -> Path:
    """Write ten talks of Tortoise and Hare as a WhatsApp export.

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
    lines = [f"{_stamp(_BEGINS)} - {_NOTICE}"]
    scenes = read_scenes("tortoise_and_hare.txt")
    for number, scene in enumerate(scenes.values()):
        start = _BEGINS + number * _BETWEEN_TALKS
        lines += [
            f"{_stamp(start + place * _BETWEEN_MESSAGES)} - {line.speaker}: {line.text}"
            for place, line in enumerate(scene)
        ]
    text = "".join(f"{line}\n" for line in lines)
    return write_folder(folder, _ABOUT, {"WhatsApp Chat with Hare.txt": text})


def _stamp(seconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return f"{moment:%d/%m/%Y, %H:%M}"

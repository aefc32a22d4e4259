"""Attachments: the names of their files, as lines of a chat name them."""

from __future__ import annotations

import re

from langchain_chatexports.chat_loaders.whatsapp.headers import MARKS
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    ATTACHED,
    ATTACHED_WITHOUT_BRACKETS,
)

__all__ = ["attached_file", "attachment", "file_in_note"]

_MAX_NAME_LENGTH = 260
_MAX_WORDS_LENGTH = 60
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
_PHONES_NAME = re.compile(
    r"(?:IMG|VID|PTT|AUD|STK|DOC)-\d{8}-WA\d{1,8}\.\w{1,8}", re.ASCII
)
_LEADING = re.compile(f"[{MARKS}\\s]+")

_KIND_OF_NAME = {
    "IMG": "photo",
    "VID": "video",
    "PTT": "audio",
    "AUD": "audio",
    "STK": "sticker",
    "DOC": "file",
    "PHOTO": "photo",
    "VIDEO": "video",
    "AUDIO": "audio",
    "STICKER": "sticker",
    "GIF": "gif",
}
_KIND_OF_SUFFIX = {
    **dict.fromkeys(("jpg", "jpeg", "png", "heic", "bmp"), "photo"),
    **dict.fromkeys(("mp4", "mov", "mkv", "webm", "3gp"), "video"),
    **dict.fromkeys(("aac", "amr", "m4a", "mp3", "ogg", "opus", "wav"), "audio"),
    "gif": "gif",
    "vcf": "contact",
    "webp": "sticker",
}
_PARTS = re.compile(r"[-.]")


def attachment(name: str) -> dict[str, str]:
    """Return what a message says about an attached file.

    Args:
        name: The file's name in the export.

    Returns:
        Its `type` and `uri`.
    """
    *parts, suffix = _PARTS.split(name)
    named = (_KIND_OF_NAME.get(part) for part in parts[:2])
    by_suffix = _KIND_OF_SUFFIX.get(suffix.lower(), "file")
    return {"type": next(filter(None, named), by_suffix), "uri": name}


def attached_file(text: str) -> tuple[str, str] | None:
    """Return the name and the caption of an attachment as Android writes it.

    `IMG-20220327-WA0001.jpg (file attached)`, with the caption on the following lines
    (behind it, in an export of WhatsApp Web); in two languages without the brackets.

    Args:
        text: The whole text.

    Returns:
        The file's name, and the caption, which may be empty; `None` for other texts.
    """
    head, _, tail = text.partition("\n")
    start = _LEADING.match(head)
    line = head[start.end() :] if start else head
    for words in ATTACHED_WITHOUT_BRACKETS:
        name = line.rstrip().removesuffix(words).strip()
        if len(name) < len(line.strip()) and _ends_in_suffix(name):
            return name, tail
    return _with_brackets(line, tail, is_marked=start is not None)


def file_in_note(note: str) -> str | None:
    """Return the name of the file in an iPhone's note, without its angle brackets.

    `attached: F`, `附件：F` and Turkish `F eklendi`.
    """
    cleaned = _LEADING.sub(" ", note).strip()
    for colon in (": ", "：", ":"):
        _, found, name = cleaned.partition(colon)
        if found and _ends_in_suffix(name.strip()):
            return name.strip()
    name, _, word = cleaned.rpartition(" ")
    return name if word.isalpha() and _ends_in_suffix(name) else None


def _with_brackets(line: str, tail: str, *, is_marked: bool) -> tuple[str, str] | None:
    # A name may hold brackets, so each closing one is tried, from the left.
    at = -1
    for _ in range(8):
        at = line.find(" (", at + 1, _MAX_NAME_LENGTH)
        if at < 0:
            return None
        end = line.find(")", at, at + _MAX_WORDS_LENGTH)
        name, words = line[:at], line[at + 2 : end]
        if end < 0 or not _ends_in_suffix(name):
            continue
        behind = line[end + 1 :].strip()
        is_known = words.strip().casefold() in ATTACHED
        if is_known or (
            not behind and (is_marked or _PHONES_NAME.fullmatch(name) is not None)
        ):
            return name, "\n".join(filter(None, (behind, tail)))
    return None


def _ends_in_suffix(name: str) -> bool:
    dot = name.rfind(".")
    return dot > 0 and _SUFFIX.fullmatch(name, dot) is not None

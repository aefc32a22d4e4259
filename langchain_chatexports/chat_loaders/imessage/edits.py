"""Edited and unsent messages (since macOS 13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_chatexports.chat_loaders.base import message_time
from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
)
from langchain_chatexports.chat_loaders.imessage.plists import read_plist
from langchain_chatexports.chat_loaders.imessage.times import APPLE_EPOCH_SECONDS

__all__ = ["EditHistory", "read_edit_history"]

_MAX_SECONDS = 10**12
# A message can be edited five times, in each of its parts.
_MAX_VERSIONS = 1000
_MAX_VERSION_BYTES = 64 * 1024 * 1024
_MAX_PART = 10**9


@dataclass(frozen=True)
class EditHistory:
    """The versions of a message's parts.

    Attributes:
        is_edited: Whether any part was edited.
        is_unsent: Whether every part was unsent.
        current: The last text of the parts that were not unsent, if known.
        unsent: The last text of the parts that were unsent, if known.
        earlier: Texts that were replaced in parts that were not unsent, oldest first,
            with their times.
    """

    is_edited: bool
    is_unsent: bool
    current: str
    unsent: str
    earlier: list[dict[str, Any]]


def read_edit_history(blob: object) -> EditHistory | None:
    """Read `message_summary_info`.

    Args:
        blob: The column's value; any bytes are allowed.

    Returns:
        The history, or `None` where nothing was edited or unsent.
    """
    info = read_plist(blob)
    if not isinstance(info, dict):
        return None
    parts = _mapping(info.get("otr"))
    versions = _mapping(info.get("ec"))
    taken_back = {
        str(part)
        for part in _sequence(info.get("rp"))
        if isinstance(part, str) or (isinstance(part, int) and 0 <= part < _MAX_PART)
    }
    is_edited = bool(versions or _sequence(info.get("ep")))
    if not is_edited and not taken_back:
        return None
    if _is_multiplied(versions):
        return None
    current: list[str] = []
    unsent: list[str] = []
    earlier: list[dict[str, Any]] = []
    # Keys are decimal strings in any order.
    for part in sorted(versions, key=_part_number):
        texts = [_version(entry) for entry in _sequence(versions[part])]
        if not texts:
            continue
        if part in taken_back:
            unsent.append(texts[-1]["text"])
            continue
        current.append(texts[-1]["text"])
        earlier += texts[:-1]
    return EditHistory(
        is_edited=is_edited,
        is_unsent=bool(parts) and taken_back.issuperset(parts),
        current="\n".join(text for text in current if text),
        unsent="\n".join(text for text in unsent if text),
        earlier=[version for version in earlier if version["text"]],
    )


def _is_multiplied(versions: Mapping[str, Any]) -> bool:
    """Return whether the versions are more text than a person wrote.

    A hostile property list can refer to one text any number of times.
    """
    count = size = 0
    for entries in versions.values():
        for entry in _sequence(entries):
            blob = entry.get("t") if isinstance(entry, Mapping) else None
            count += 1
            size += len(blob) if isinstance(blob, bytes) else 0
            if count > _MAX_VERSIONS or size > _MAX_VERSION_BYTES:
                return True
    return False


def _version(entry: Any) -> dict[str, Any]:
    blob = entry.get("t") if isinstance(entry, Mapping) else None
    text = decode_attributed_body(blob) if isinstance(blob, bytes) else None
    version: dict[str, Any] = {"text": (text or "").replace("\ufffc", "").strip()}
    seconds = entry.get("d") if isinstance(entry, Mapping) else None
    if isinstance(seconds, (int, float)) and 0 < seconds < _MAX_SECONDS:
        moment = message_time(round((seconds + APPLE_EPOCH_SECONDS) * 1_000_000))
        if moment is not None:
            version["message_time"] = moment.iso
    return version


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): item for key, item in value.items()}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _part_number(part: str) -> tuple[int, str]:
    # Decimal strings in the order of their numbers, which need not be computed.
    return len(part), part

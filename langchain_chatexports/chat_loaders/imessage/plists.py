"""Property lists from database columns, which may hold any bytes."""

from __future__ import annotations

import plistlib
import struct
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

__all__ = ["read_archive", "read_plist", "shares_bytes", "text_in"]

_MAX_DEPTH = 12
# See `CFBinaryPList.c` in CoreFoundation: sizes of a place and of a reference, number
# of objects, the topmost, where the table of places begins.
_TRAILER = struct.Struct(">6xBBQQQ")
_DATA, _ASCII, _UTF_16, _ARRAY, _DICTIONARY = 0x4, 0x5, 0x6, 0xA, 0xD
_COUNT_FOLLOWS = 0xF
# Up to here, whatever is shared takes some 64 MB.
_MIN_SHARED_PRODUCT = 1 << 23
# What plistlib is seen to raise on damaged input, beside its own error.
_DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    struct.error,
    ExpatError,
)


def read_plist(blob: object) -> Any:
    """Return the content of a property list, or `None` where there is none to read."""
    if not isinstance(blob, bytes):
        return None
    try:
        return None if shares_bytes(blob) else plistlib.loads(blob)
    except _DAMAGED:
        return None


def shares_bytes(blob: bytes, *, min_product: int = _MIN_SHARED_PRODUCT) -> bool:
    """Return whether objects of a binary property list share bytes.

    No program writes such a list. In a hostile one, ten thousand objects can be the
    same bytes, and each is read into memory of its own.

    Args:
        blob: Any bytes.
        min_product: From which product of objects and bytes on it matters.
    """
    if not blob.startswith(b"bplist") or len(blob) < _TRAILER.size:
        return False
    size, reference, objects, _, table = _TRAILER.unpack(blob[-_TRAILER.size :])
    if size == 0 or objects * len(blob) < min_product:
        return False
    units = {_DATA: 1, _ASCII: 1, _UTF_16: 2, _ARRAY: reference}
    units[_DICTIONARY] = 2 * reference
    used = 0
    for at in range(table, min(table + objects * size, len(blob)), size):
        place = int.from_bytes(blob[at : at + size], "big")
        head = blob[place : place + 10]
        if not head:
            return False  # For plistlib to refuse.
        kind, count = divmod(head[0], 16)
        if count == _COUNT_FOLLOWS and len(head) > 1:
            count = int.from_bytes(head[2 : 2 + (1 << (head[1] & 3))], "big")
        used += count * units.get(kind, 0)
        if used > len(blob):
            return True
    return False


def read_archive(blob: object) -> Any:
    """Return the root of an archive by `NSKeyedArchiver` as plain values.

    Args:
        blob: The column's value; any bytes are allowed.

    Returns:
        Dictionaries, lists, strings and numbers, or `None` where there is no archive.
    """
    plist = read_plist(blob)
    if not isinstance(plist, dict):
        return None
    objects, top = plist.get("$objects"), plist.get("$top")
    if not isinstance(objects, list) or not isinstance(top, dict):
        return None
    return _resolve(top.get("root"), objects, {}, 0)


def text_in(value: object, *path: str) -> str | None:
    """Return the text at a path of keys, if there is one that is not blank."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    if isinstance(value, Mapping):  # An archived NSURL.
        value = value.get("NS.relative")
    if isinstance(value, str) and value.strip():
        return value.strip()
    return None


def _resolve(value: Any, objects: list[Any], known: dict[int, Any], depth: int) -> Any:
    """Replace references by what they lead to; each object once, however linked."""
    if not isinstance(value, plistlib.UID):
        return value
    number = value.data
    if number in known:
        return known[number]
    known[number] = None
    if number < len(objects) and depth < _MAX_DEPTH and objects[number] != "$null":
        known[number] = _plain(objects[number], objects, known, depth + 1)
    return known[number]


def _plain(found: Any, objects: list[Any], known: dict[int, Any], depth: int) -> Any:
    if not isinstance(found, dict):
        return found
    items = found.get("NS.objects")
    if isinstance(items, list):
        values = [_resolve(item, objects, known, depth) for item in items]
        keys = found.get("NS.keys")
        if not isinstance(keys, list):
            return values
        names = [_resolve(key, objects, known, depth) for key in keys]
        pairs = zip(names, values, strict=False)
        return {name: item for name, item in pairs if isinstance(name, str)}
    if "NS.string" in found:
        return _resolve(found["NS.string"], objects, known, depth)
    return {
        name: _resolve(item, objects, known, depth)
        for name, item in found.items()
        if isinstance(name, str) and not name.startswith("$")
    }

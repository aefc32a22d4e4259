"""Read property lists from database columns, which may contain any bytes."""

import plistlib
import struct
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

_MAX_DEPTH = 12
# In a hostile list, objects can share bytes, and each of them is copied into memory: up
# to this product together. Real lists have 100 kB and 200 objects.
_MAX_OBJECTS_TIMES_BYTES = 1 << 26
# The trailer of binary lists, see `CFBinaryPList.c` in CoreFoundation: sizes of offsets
# and references, number of objects, the top object, the position of the offset table.
_TRAILER = struct.Struct(">6xBBQQQ")
# Errors that plistlib raises for damaged input.
_DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    struct.error,
    ExpatError,
)


def read_plist(blob: object) -> Any:
    """Return the content of a property list; `None` if it is missing or damaged."""
    if not isinstance(blob, bytes):
        return None
    if blob.startswith(b"bplist") and len(blob) >= _TRAILER.size:
        objects = _TRAILER.unpack(blob[-_TRAILER.size :])[2]
        if objects * len(blob) > _MAX_OBJECTS_TIMES_BYTES:
            return None
    try:
        return plistlib.loads(blob)
    except _DAMAGED:
        return None


def read_archive(blob: object) -> Any:
    """Return the root of an `NSKeyedArchiver` archive as plain values."""
    plist = read_plist(blob)
    if not isinstance(plist, dict):
        return None
    objects, top = plist.get("$objects"), plist.get("$top")
    if not isinstance(objects, list) or not isinstance(top, dict):
        return None
    return _resolve(top.get("root"), objects, {}, 0)


def text_in(value: object, *path: str) -> str | None:
    """Return the text at a path of keys; `None` if it is missing or blank."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    if isinstance(value, Mapping):  # An archived NSURL.
        value = value.get("NS.relative")
    return (value.strip() or None) if isinstance(value, str) else None


def _resolve(value: Any, objects: list[Any], known: dict[int, Any], depth: int) -> Any:
    """Resolve references, each object once even in circular archives."""
    if not isinstance(value, plistlib.UID):
        return value
    number = value.data
    if number in known or number >= len(objects) or depth >= _MAX_DEPTH:
        return known.get(number)
    known[number] = None
    found = objects[number]
    if isinstance(found, dict):
        found = {
            key: [_resolve(one, objects, known, depth + 1) for one in item]
            if isinstance(item, list)
            else _resolve(item, objects, known, depth + 1)
            for key, item in found.items()
            if isinstance(key, str) and not key.startswith("$")
        }
        found = _plain(found)
    known[number] = None if found == "$null" else found
    return known[number]


def _plain(found: dict[str, Any]) -> Any:
    """Return the plain value of an archived string, list or dictionary."""
    keys, items = found.get("NS.keys"), found.get("NS.objects")
    if isinstance(keys, list) and isinstance(items, list):
        pairs = zip(keys, items, strict=False)
        return {key: item for key, item in pairs if isinstance(key, str)}
    return items if isinstance(items, list) else found.get("NS.string", found)

"""Property lists from database columns, which may hold any bytes."""

import plistlib
import struct
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

_MAX_DEPTH = 12
# Objects of a hostile list can share bytes, and each is read into memory of its own:
# together they take up to this product. Real ones are 100 kB with 200 objects.
_MAX_OBJECTS_TIMES_BYTES = 1 << 26
# The end of a binary list, as `CFBinaryPList.c` in CoreFoundation reads it: sizes of a
# place and of a reference, number of objects, the topmost, where their places are.
_TRAILER = struct.Struct(">6xBBQQQ")
# What plistlib is seen to raise on damaged input, beside its own error.
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
    """Return the content of a property list, or `None` where there is none to read."""
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
    """Return the root of an archive by `NSKeyedArchiver` as plain values."""
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
    return (value.strip() or None) if isinstance(value, str) else None


def _resolve(value: Any, objects: list[Any], known: dict[int, Any], depth: int) -> Any:
    """Replace references by what they lead to; each object once, however linked."""
    if not isinstance(value, plistlib.UID):
        return value
    number = value.data
    if number not in known:
        known[number] = None
        if number < len(objects) and depth < _MAX_DEPTH and objects[number] != "$null":
            known[number] = _plain(objects[number], objects, known, depth + 1)
    return known[number]


def _plain(found: Any, objects: list[Any], known: dict[int, Any], depth: int) -> Any:
    if not isinstance(found, dict):
        return found
    if "NS.string" in found:
        return _resolve(found["NS.string"], objects, known, depth)
    keys, items = found.get("NS.keys"), found.get("NS.objects")
    if isinstance(items, list):
        values = [_resolve(item, objects, known, depth) for item in items]
        if not isinstance(keys, list):
            return values
        names = [_resolve(key, objects, known, depth) for key in keys]
        pairs = zip(names, values, strict=False)
        return {name: item for name, item in pairs if isinstance(name, str)}
    return {
        name: _resolve(item, objects, known, depth)
        for name, item in found.items()
        if isinstance(name, str) and not name.startswith("$")
    }

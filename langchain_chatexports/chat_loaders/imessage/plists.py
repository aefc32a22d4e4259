"""Read property lists from untrusted database columns."""

import plistlib
import struct
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

_MAX_DEPTH = 12
# In a hostile list, objects can share bytes, which plistlib copies for each object.
# Real lists have up to 100 kB and 200 objects.
_MAX_OBJECTS_TIMES_BYTES = 1 << 26
# The trailer of a binary list, from `CFBinaryPList.c` in CoreFoundation: the sizes of
# offsets and references, the number of objects, the top object, and the position of the
# offset table.
_TRAILER = struct.Struct(">6xBBQQQ")
# Errors raised by plistlib for damaged input.
_PLIST_ERRORS = (
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
    """Return the content of a property list, or `None` if it is missing or damaged."""
    if not isinstance(blob, bytes):
        return None
    if blob.startswith(b"bplist") and len(blob) >= _TRAILER.size:
        objects = _TRAILER.unpack(blob[-_TRAILER.size :])[2]
        if objects * len(blob) > _MAX_OBJECTS_TIMES_BYTES:
            return None
    try:
        return plistlib.loads(blob)
    except _PLIST_ERRORS:
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


def get_text(value: object, *path: str) -> str | None:
    """Return the text at a key path, or `None` if it is missing or blank."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    if isinstance(value, Mapping):  # An archived NSURL.
        value = value.get("NS.relative")
    return (value.strip() or None) if isinstance(value, str) else None


def _resolve(
    value: Any, objects: list[Any], resolved: dict[int, Any], depth: int
) -> Any:
    """Resolve a reference. Each object is resolved once, even in circular archives."""
    if not isinstance(value, plistlib.UID):
        return value
    index = value.data
    if index in resolved or index >= len(objects) or depth >= _MAX_DEPTH:
        return resolved.get(index)
    resolved[index] = None
    item = objects[index]
    if isinstance(item, dict):
        item = {
            key: [_resolve(entry, objects, resolved, depth + 1) for entry in field]
            if isinstance(field, list)
            else _resolve(field, objects, resolved, depth + 1)
            for key, field in item.items()
            if isinstance(key, str) and not key.startswith("$")
        }
        item = _to_plain_value(item)
    resolved[index] = None if item == "$null" else item
    return resolved[index]


def _to_plain_value(item: dict[str, Any]) -> Any:
    """Return the plain value of an archived string, list or dictionary."""
    keys, items = item.get("NS.keys"), item.get("NS.objects")
    if isinstance(keys, list) and isinstance(items, list):
        pairs = zip(keys, items, strict=False)
        return {key: field for key, field in pairs if isinstance(key, str)}
    return items if isinstance(items, list) else item.get("NS.string", item)

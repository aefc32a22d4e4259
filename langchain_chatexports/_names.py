"""Names of people as the `name` of a message, which providers restrict."""

import hashlib
import re
import unicodedata

_MAX_NAME = 64
_HASH_DIGITS = 6


def safe_name(name: str) -> str:
    """Map a name such as `Ann Lee` or `李雷` to one that every provider accepts.

    That is 1 to 64 of the characters a-z, A-Z, 0-9, `_` and `-`. Accents are dropped
    and other characters become `_`. Where letters are lost, a part of a hash keeps two
    people apart.
    """
    plain = unicodedata.normalize("NFKD", name)
    lossy = any(not char.isascii() and char.isalnum() for char in plain)
    mapped = re.sub(r"[^a-zA-Z0-9_-]+", "_", re.sub(r"[\u0300-\u036f]", "", plain))
    mapped = mapped.strip("_")
    if not lossy and mapped and len(mapped) <= _MAX_NAME:
        return mapped
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    room = _MAX_NAME - _HASH_DIGITS - 1
    return f"{mapped[:room] or 'name'}_{digest[:_HASH_DIGITS]}"

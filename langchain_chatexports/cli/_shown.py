"""Warnings about guesses that this user has seen: each is shown once for an export."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import platformdirs

from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import ExportWarning

_MAX_LINES = 1000


def note_warning(warning: Warning) -> bool:
    """Note a warning about a guess by its hash; return whether it is new."""
    path = _path()
    text = str(warning)
    if isinstance(warning, ExportWarning) and isinstance(warning.message, Sentence):
        # The same for a relative and an absolute path.
        export = Path(str(warning.message.values["path"])).resolve()
        text = f"{export} {warning.guess}"
    key = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    # A lost file only repeats a warning.
    with suppress(OSError, UnicodeDecodeError):
        keys = path.read_text("ascii").split() if path.exists() else []
        if key in keys:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("\n".join([*keys[-_MAX_LINES:], key, ""]), encoding="ascii")
    return True


def _path() -> Path:
    cache = platformdirs.user_cache_path("langchain-chatexports", appauthor=False)
    return cache / "shown-warnings"

"""The user's cache, whose content can be recreated."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.local_server.workspace.data_directory import replace

_APPLICATION = "langchain-chatexports"
_FOLDERS = ("bases", "templates")


def cache_folder(name: str) -> Path:
    """Return a folder of the cache and create it."""
    folder = _cache_root() / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def list_cache_folders() -> list[Path]:
    """Return the existing folders of the cache."""
    return [folder for name in _FOLDERS if (folder := _cache_root() / name).is_dir()]


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Create a file (mode 0600) that replaces another at the end of a `with` block."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    try:
        yield temporary
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, with mode 0600."""
    with new_file(path) as temporary, temporary.open("wb") as file:
        file.write(json.dumps(value, sort_keys=True).encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a file's JSON object, or `None` if it is missing or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _cache_root() -> Path:
    try:
        import platformdirs
    except ImportError as error:
        feature = "The local server"
        raise MissingExtraError(feature, "local") from error
    return platformdirs.user_cache_path(_APPLICATION, appauthor=False)

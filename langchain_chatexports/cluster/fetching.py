"""Exports at URLs, copied to this machine while a task reads them."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ExportAccessError, ExportNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["absolute", "fetched", "is_url"]

# SQLite's neighbors hold the newest messages.
_NEIGHBORS = ("-wal", "-shm")


def is_url(path: str | Path) -> bool:
    """Tell whether a path is a URL for fsspec, such as `s3://bucket/chat.db`."""
    return "://" in str(path)


def absolute(path: str | Path) -> str:
    """Give a path for workers, which may run in another folder; a URL as it is."""
    return str(path) if is_url(path) else str(Path(path).expanduser().absolute())


@contextmanager
def fetched(path: str) -> Iterator[Path]:
    """Give a path on this machine for an export.

    Args:
        path: A path, or a URL that fsspec knows.

    Yields:
        The path itself, or that of a private copy, which is removed afterwards.

    Raises:
        ExportNotFoundError: If there is nothing at the URL.
        ExportAccessError: If the store refuses, or it cannot be copied.
    """
    if not is_url(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="chatexports-") as folder:
        yield _copy(path, Path(folder))


def _copy(url: str, folder: Path) -> Path:
    import fsspec

    system, remote = fsspec.core.url_to_fs(url)
    name = remote.rstrip("/").rsplit("/", 1)[-1].partition("?")[0]
    target = folder / (name or "export")
    try:
        # Not `isdir`, which looks for links in what is behind a URL of the web.
        if system.info(remote)["type"] == "directory":
            system.get(remote.rstrip("/") + "/", f"{target}/", recursive=True)
            return target
        system.get_file(remote, str(target))
        # A signed URL is one of one file.
        for ending in () if "?" in remote else _NEIGHBORS:
            if system.exists(remote + ending):
                system.get_file(remote + ending, f"{target}{ending}")
    except FileNotFoundError as error:
        msg = f"There is nothing at {url}. Check the URL."
        raise ExportNotFoundError(msg) from error
    except PermissionError as error:
        msg = f"The store refuses to read {url}. Check the credentials of the workers."
        raise ExportAccessError(msg) from error
    except OSError as error:
        why = error.strerror or type(error).__name__
        msg = f"{url} cannot be copied ({why}). Check the store, and this disk's space."
        raise ExportAccessError(msg) from error
    return target

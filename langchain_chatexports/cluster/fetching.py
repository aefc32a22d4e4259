"""Exports at URLs, copied to this machine while a task reads them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import ExportAccessError, ExportNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["absolute", "fetched", "is_url", "shown", "state_of_url"]

# SQLite's neighbors hold the newest messages.
_NEIGHBORS = ("-wal", "-shm")
_USER = re.compile(r"(?<=://)[^/?]*@")
# Removes a folder when its standard input ends: when the process that holds the other
# end closes it, or is killed.
_KEEPER = (
    "import shutil, sys\n"
    "sys.stdin.read()\n"
    "shutil.rmtree(sys.argv[1], ignore_errors=True)\n"
)


def is_url(path: str | Path) -> bool:
    """Tell whether a path is a URL for fsspec, such as `s3://bucket/chat.db`."""
    return "://" in str(path)


def absolute(path: str | Path) -> str:
    """Give a path for workers, which may run in another folder; a URL as it is.

    Args:
        path: A path, or a URL.

    Raises:
        ImportError: If the URL's protocol needs a package that is not installed.
        ValueError: If fsspec does not know the protocol.
    """
    if not is_url(path):
        return str(Path(path).expanduser().absolute())
    import fsspec

    for link in str(path).split("::"):
        protocol, found, _ = link.partition("://")
        if found:
            fsspec.get_filesystem_class(protocol)
    return str(path)


def shown(path: str) -> str:
    """Give a path for counts and errors: of a URL, without what may be a secret.

    A user with a password is left out. So is a query, which signs a URL, but for a
    digest: URLs that differ in their queries only must not look the same.
    """
    if not is_url(path):
        return path
    place, _, query = _USER.sub("", path).partition("?")
    if not query:
        return place
    return f"{place}?...{hashlib.sha256(query.encode()).hexdigest()[:8]}"


@contextmanager
def fetched(path: str) -> Iterator[Path]:
    """Give a path on this machine for an export.

    Args:
        path: A path, or a URL that fsspec knows.

    Yields:
        The path itself, or that of a private copy, which is removed afterwards, also if
        this process is killed.

    Raises:
        ExportNotFoundError: If there is nothing at the URL.
        ExportAccessError: If the store refuses, or it cannot be copied.
    """
    if not is_url(path):
        yield Path(path)
        return
    with _passing_folder() as folder:
        with _explained(path):
            copy = _copy(path, folder)
        yield copy


def state_of_url(url: str) -> str:
    """Give what is another text once what is at a URL has been written to.

    Raises:
        ExportNotFoundError: If there is nothing at the URL.
        ExportAccessError: If the store refuses, or does not answer.
    """
    import fsspec

    with _explained(url):
        system, remote = fsspec.core.url_to_fs(url)
        system.invalidate_cache()
        files = [remote, *_neighbors(system, remote)]
        return " ".join(str(system.ukey(file)) for file in files)


@contextmanager
def _passing_folder() -> Iterator[Path]:
    """Give a private folder that does not outlive this process, however it ends."""
    folder = tempfile.mkdtemp(prefix="chatexports-")
    # In a session of its own: what ends this process's group must leave it alone.
    with subprocess.Popen(  # noqa: S603 - Our own few lines.
        [sys.executable, "-I", "-S", "-c", _KEEPER, folder],
        stdin=subprocess.PIPE,
        start_new_session=True,
    ):
        try:
            yield Path(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _copy(url: str, folder: Path) -> Path:
    import fsspec

    system, remote = fsspec.core.url_to_fs(url)
    name = remote.rstrip("/").rsplit("/", 1)[-1].partition("?")[0]
    target = folder / (name or "export")
    # Not `isdir`, which looks for links in what is behind a URL of the web.
    if system.info(remote)["type"] == "directory":
        system.get(remote.rstrip("/") + "/", f"{target}/", recursive=True)
        return target
    system.get_file(remote, str(target))
    for neighbor in _neighbors(system, remote):
        system.get_file(neighbor, f"{target}{neighbor.removeprefix(remote)}")
    return target


def _neighbors(system: Any, remote: str) -> list[str]:
    # A signed URL is one of one file.
    names = [] if "?" in remote else [remote + ending for ending in _NEIGHBORS]
    return [name for name in names if system.exists(name)]


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn a store's errors into ours, without their texts: these can hold the URL."""
    try:
        yield
    except ImportError:  # Nothing is wrong with the export.
        raise
    except FileNotFoundError:
        msg = (
            f"There is nothing at {shown(url)} that this machine may read. "
            "Check the URL, and the credentials of the workers."
        )
        raise ExportNotFoundError(msg) from None
    except PermissionError:
        msg = (
            f"The store refuses to read {shown(url)}. "
            "Check the credentials of the workers."
        )
        raise ExportAccessError(msg) from None
    except Exception as error:  # noqa: BLE001 - Each store has errors of its own.
        number = getattr(error, "errno", None)
        why = os.strerror(number) if isinstance(number, int) else type(error).__name__
        msg = (
            f"{shown(url)} cannot be copied ({why}). "
            "Check the store, and this disk's space."
        )
        raise ExportAccessError(msg) from None

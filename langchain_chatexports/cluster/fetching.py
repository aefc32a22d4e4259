"""Temporary local copies of exports at URLs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["absolute", "fetched", "is_url", "shown"]

# SQLite keeps the newest messages in files beside the database.
_NEIGHBORS = ("-wal", "-shm")
_USER = re.compile(r"(?<=://)[^/?]*@")
# fsspec's own caches: their copies are elsewhere, and remain if a worker is killed.
_CACHES = {"blockcache", "cached", "filecache", "simplecache"}
# Far more than an export has. A listing is held in memory, and can be all of a zip.
_MAX_FILES = 1_000_000
# Removes a folder when its standard input ends: when the process that holds the other
# end closes it, or is killed.
_KEEPER = (
    "import shutil, sys\n"
    "sys.stdin.read()\n"
    "shutil.rmtree(sys.argv[1], ignore_errors=True)\n"
)


def is_url(path: str | Path) -> bool:
    """Return whether a path is a URL for fsspec, such as `s3://bucket/chat.db`."""
    return "://" in str(path)


def absolute(path: str | Path) -> str:
    """Return a path for workers, which may run in another folder; a URL as it is.

    Args:
        path: A path, or a URL.

    Raises:
        ImportError: If the URL's protocol needs a package that is not installed.
        ValueError: If fsspec does not know the protocol, or would cache the export.
    """
    if not is_url(path):
        return str(Path(path).expanduser().absolute())
    import fsspec

    links = [link.partition("://") for link in str(path).split("::")]
    for protocol, found, _ in links:
        if found:
            fsspec.get_filesystem_class(protocol)
    caches = sorted(_CACHES & {protocol for protocol, *_ in links})
    if caches:
        msg = (
            f"{caches[0]} in {shown(str(path))} leaves a copy of the export on the "
            "worker's disk. Leave it out of the URL: a task reads its export from a "
            "copy in a private folder, which goes when the task ends."
        )
        raise ValueError(msg)
    return str(path)


def shown(path: str) -> str:
    """Return a path for counts and errors: of a URL, without what may be a secret.

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
    """Fetch an export to this machine.

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


@contextmanager
def _passing_folder() -> Iterator[Path]:
    """Create a private folder that is removed however this process ends."""
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
    from fsspec.callbacks import Callback

    system, remote = fsspec.core.url_to_fs(url)
    remote = remote.rstrip("/")
    # Not `isdir`, which looks for links in what is behind a URL of the web.
    listed = {remote: system.info(remote)}
    if listed[remote]["type"] == "directory":
        prefix = f"{remote}/" if remote else ""
        listed = _files_below(system, remote, prefix)
        _check_names(url, listed, prefix)
        # The folder above a thread's says of which section it is.
        names = [name for name in remote.split("/")[-2:] if _is_name(name)]
        target = folder.joinpath(*names or ["export"])
        target.mkdir(parents=True)
        copies = {file: target / file.removeprefix(prefix) for file in listed}
    else:
        name = remote.rpartition("/")[2].partition("?")[0]
        target = folder / (name if _is_name(name) else "export")
        listed |= {file: system.info(file) for file in _neighbors(system, remote)}
        copies = {file: Path(f"{target}{file[len(remote) :]}") for file in listed}
    if any(details["type"] != "file" for details in listed.values()):
        reason = "holds what is neither a file nor a folder, such as a link or a device"
        raise _refusal(url, reason)
    max_bytes = shutil.disk_usage(folder).free // 2

    def check_size(_total: int | None, size: int, **_options: object) -> None:
        if size > max_bytes:
            reason = "takes more than half of the free space of the disk with TMPDIR"
            raise _refusal(url, reason)

    check_size(None, sum(details.get("size") or 0 for details in listed.values()))
    # What arrives can be more than was listed, and not each server says how much it is.
    callback = Callback(hooks={"size": check_size})
    for file, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(file, str(copy), callback=callback)
    return target


def _files_below(system: Any, remote: str, prefix: str) -> dict[str, Any]:
    from fsspec.archive import AbstractArchiveFileSystem

    if isinstance(system, AbstractArchiveFileSystem):
        # `find` looks through all members for each folder, and not at absolute names.
        found = {k: v for k, v in system.dir_cache.items() if k.startswith(prefix)}
    else:
        found = system.find(remote, detail=True)
    # Stores without folders can list empty files in their place.
    return {
        file: details
        for file, details in found.items()
        if details["type"] != "directory" and not file.endswith("/")
    }


def _check_names(url: str, files: Collection[str], prefix: str) -> None:
    """Make sure that all files of a folder are copied into it, and none onto another.

    Raises:
        ExportFormatError: If not, or if there are too many.
    """
    names = [file.removeprefix(prefix) for file in files]
    if len(names) > _MAX_FILES:
        raise _refusal(url, f"holds {len(names):,} files, more than an export has")
    if not all(
        file.startswith(prefix) and all(map(_is_name, name.split("/")))
        for file, name in zip(files, names, strict=True)
    ):
        raise _refusal(url, "holds a file whose name leads outside of the folder")
    folded = {unicodedata.normalize("NFC", name.casefold()) for name in names}
    if len(folded) < len(names):
        raise _refusal(url, "holds names that differ only in case or accents' codes")


def _is_name(part: str) -> bool:
    """Return whether part of a path names something in the folder before it.

    Windows drops dots and spaces at the end, so that `.. ` is `..` there, and takes a
    backslash as well as a slash: refused everywhere, so that all machines read the
    same exports. Only Windows reads the part before a colon as a drive.
    """
    has_drive = os.name == "nt" and ":" in part
    return bool(part.strip(". ")) and "\\" not in part and not has_drive


def _refusal(url: str, reason: str) -> ExportFormatError:
    msg = f"{shown(url)} {reason}. It is not read: check where it comes from."
    return ExportFormatError(msg)


def _neighbors(system: Any, remote: str) -> list[str]:
    # A signed URL is one of one file.
    names = [] if "?" in remote else [remote + ending for ending in _NEIGHBORS]
    return [name for name in names if system.exists(name)]


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Raise a store's errors as ours, without their text, which can hold the URL."""
    try:
        yield
    except (ChatExportError, ImportError):  # Ours, and none that is the export's.
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

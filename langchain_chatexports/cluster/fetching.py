"""Exports at URLs, copied to this machine while a task reads them."""

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
    from collections.abc import Iterable, Iterator

__all__ = ["absolute", "fetched", "is_url", "shown", "state_of_url"]

# SQLite's neighbors hold the newest messages.
_NEIGHBORS = ("-wal", "-shm")
_USER = re.compile(r"(?<=://)[^/?]*@")
# fsspec's own copies: they lie elsewhere, and stay there when a worker is killed.
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
    """Tell whether a path is a URL for fsspec, such as `s3://bucket/chat.db`."""
    return "://" in str(path)


def absolute(path: str | Path) -> str:
    """Give a path for workers, which may run in another folder; a URL as it is.

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
    remote = remote.rstrip("/")
    # Not `isdir`, which looks for links in what is behind a URL of the web.
    details = system.info(remote)
    target = folder / _name_of_copy(remote)
    if details["type"] == "directory":
        # Stores without folders can list empty files in their place.
        listed = {
            file: found
            for file, found in system.find(remote, detail=True).items()
            if found["type"] != "directory" and not file.endswith("/")
        }
        targets = _targets(url, remote, listed, target)
        target.mkdir()
    else:
        neighbors = _neighbors(system, remote)
        listed = {remote: details} | {file: system.info(file) for file in neighbors}
        targets = {file: Path(f"{target}{file[len(remote) :]}") for file in listed}
    if any(found["type"] != "file" for found in listed.values()):
        msg = (
            f"{shown(url)} is or holds something that is neither a file nor a folder, "
            "such as a link or a device. Copy the export without it."
        )
        raise ExportFormatError(msg)
    size_bytes = sum(found.get("size") or 0 for found in listed.values())
    space = _space(url, folder, size_bytes)
    for file, path in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(file, str(path), callback=space)
    return target


def _name_of_copy(remote: str) -> str:
    name = remote.rpartition("/")[2].partition("?")[0]
    return name if _is_name(name) else "export"


def _is_name(part: str) -> bool:
    """Return whether part of a path names something in the folder before it.

    Windows drops dots and spaces at the end, so that `.. ` is `..` there, and takes a
    backslash as well as a slash: refused everywhere, so that all machines read the
    same exports. What stands before a colon is a drive only there.
    """
    has_drive = os.name == "nt" and ":" in part
    return bool(part.strip(". ")) and "\\" not in part and not has_drive


def _targets(
    url: str, remote: str, files: Iterable[str], target: Path
) -> dict[str, Path]:
    """Return where to copy each file of a folder, after a look at all names."""
    prefix = f"{remote}/" if remote else ""
    names = {file: file.removeprefix(prefix) for file in files}
    folded = {unicodedata.normalize("NFC", n.casefold()) for n in names.values()}
    why = None
    if len(names) > _MAX_FILES:
        why = f"holds {len(names):,} files, and an export at most {_MAX_FILES:,}"
    elif not all(
        file.startswith(prefix) and all(map(_is_name, name.split("/")))
        for file, name in names.items()
    ):
        why = "holds a name that can lead outside of the folder that it is copied to"
    elif len(folded) < len(names):
        why = (
            "holds names that differ only in case or in how accents are written; on "
            "many disks these are one file"
        )
    if why is not None:
        msg = f"{shown(url)} {why}. If it is your own, make the export again."
        raise ExportFormatError(msg)
    return {file: target / name for file, name in names.items()}


def _space(url: str, folder: Path, size_bytes: int) -> Any:
    """Return a callback for fsspec that ends a copy before it fills the disk.

    What a store or an archive lists must fit in, and what arrives as well: it can be
    more, and not each server says how much there is.
    """
    from fsspec.callbacks import Callback

    max_bytes = shutil.disk_usage(folder).free // 2

    class Space(Callback):  # type: ignore[misc]  # fsspec has no types.
        copied_bytes = 0

        def relative_update(self, inc: int = 1) -> None:
            self.copied_bytes += inc
            self.check(self.copied_bytes)

        def check(self, size_bytes: int) -> None:
            if size_bytes > max_bytes:
                msg = (
                    f"{shown(url)} takes more than half of the free space on the disk "
                    "with temporary files. Set TMPDIR to a folder on a larger one."
                )
                raise ExportAccessError(msg)

    space = Space()
    space.check(size_bytes)
    return space


def _neighbors(system: Any, remote: str) -> list[str]:
    # A signed URL is one of one file.
    names = [] if "?" in remote else [remote + ending for ending in _NEIGHBORS]
    return [name for name in names if system.exists(name)]


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn a store's errors into ours, without their texts: these can hold the URL."""
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

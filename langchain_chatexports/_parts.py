"""Files with private text that are not yet complete, deleted even after a kill.

`part_file` and `part_folder` are the only way to create such files outside of private
temporary folders. Each part is locked by its process and registered, so that the next
start deletes the parts of killed processes, wherever they are.
"""

import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from langchain_chatexports._locks import ProcessLock

_PREFIX, _SUFFIX = ".chatexports-", ".part"
_LOCK = ".lock"
_LOCK_TIMEOUT = 10.0


@contextmanager
def part_file(folder: Path) -> Iterator[Path]:
    """Create an empty file (mode 0600); delete it afterwards unless it is moved."""
    with _registered(folder, is_folder=False) as path:
        yield path


@contextmanager
def part_folder(folder: Path) -> Iterator[Path]:
    """Create a private folder in a folder, and delete it with its content."""
    with _registered(folder, is_folder=True) as path:
        yield path


def sweep_parts(*folders: Path) -> None:
    """Delete the parts of killed processes: registered ones, and those in folders."""
    if folders or _registry_path().exists():
        with suppress(OSError), _locked_registry() as registry:
            _sweep(registry, folders)


@contextmanager
def _registered(folder: Path, *, is_folder: bool) -> Iterator[Path]:
    with _locked_registry() as registry:
        _sweep(registry, [folder])
        # A short prefix, since the target's name with a suffix may be too long.
        if is_folder:
            path = Path(tempfile.mkdtemp(_SUFFIX, _PREFIX, folder))
        else:
            descriptor, name = tempfile.mkstemp(_SUFFIX, _PREFIX, folder)
            os.close(descriptor)
            path = Path(name)
        entry = registry / f"{path.name}-{os.getpid()}"
        lock = ProcessLock(entry)
        lock.acquire()
        entry.write_text(os.path.realpath(path), "utf-8", "surrogateescape")
    try:
        yield path
    finally:
        try:
            _delete(path)
            with suppress(OSError):
                entry.unlink()
        finally:  # A second signal can interrupt a deletion: the next start resumes it.
            lock.release()


@contextmanager
def _locked_registry() -> Iterator[Path]:
    registry = _registry_path()
    registry.mkdir(mode=0o700, exist_ok=True)
    if not is_own(registry, stat.S_IFDIR):  # Of another user, who waits for our paths.
        registry = Path(tempfile.mkdtemp(prefix="chatexports-parts-"))
    lock = ProcessLock(registry / _LOCK)
    lock.acquire(timeout=_LOCK_TIMEOUT)
    with lock:
        yield registry


def _registry_path() -> Path:
    user = "" if sys.platform == "win32" else f"-{os.geteuid()}"
    return Path(tempfile.gettempdir(), f"chatexports-parts{user}")


def _sweep(registry: Path, folders: Iterable[Path]) -> None:
    used: set[Path] = set()
    for entry in [e for e in registry.iterdir() if e.name != _LOCK]:
        try:
            path = Path(entry.read_text("utf-8", "surrogateescape"))
        except FileNotFoundError:  # Its process has just ended.
            continue
        lock = ProcessLock(entry)
        if not lock.acquire():
            used.add(path)
            continue
        with lock:
            _delete(path)
            entry.unlink(missing_ok=True)
    started_at = time.time() - _uptime()
    for folder in folders:
        # After a restart of the system, the registry may be empty. Newer parts may be
        # those of a process with another registry.
        for path in Path(os.path.realpath(folder)).glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                if path not in used and path.lstat().st_mtime < started_at:
                    _delete(path)


def _uptime() -> float:
    """Return for how many seconds the system has been running."""
    if sys.platform == "linux":  # Its `monotonic` stops while it is suspended.
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    else:
        seconds = time.monotonic()
    return seconds


def _delete(path: Path) -> None:
    """Delete a part of this user, and nothing else, whatever the registry says."""
    if not (path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)):
        return
    with suppress(OSError):
        if is_own(path, stat.S_IFDIR):
            shutil.rmtree(path, ignore_errors=True)
        elif is_own(path, stat.S_IFREG):
            path.unlink()


def is_own(path: Path, kind: int) -> bool:
    """Return whether a path is of a kind, and only this user can access it."""
    status = path.lstat()
    is_private = sys.platform == "win32" or (
        status.st_uid == os.geteuid() and not status.st_mode & 0o077
    )
    return is_private and stat.S_IFMT(status.st_mode) == kind

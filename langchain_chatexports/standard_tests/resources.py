"""Observe a source while it is read: its files, open descriptors, and memory."""

from __future__ import annotations

import gc
import hashlib
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

_DESCRIPTORS = Path("/dev/fd")


class FileState(NamedTuple):
    """The state of a file, which reading must not change."""

    kind: str
    mtime_ns: int
    digest: str


def close(sessions: Iterator[object]) -> None:
    """Close an iterator if it can be closed, as a generator can."""
    close_it = getattr(sessions, "close", None)
    if close_it is not None:
        close_it()


def folder_state(folder: Path) -> dict[str, FileState]:
    """Describe a folder and everything in it; its own time shows what came and went."""
    return {
        path.relative_to(folder).as_posix(): _file_state(path)
        for path in (folder, *sorted(folder.rglob("*")))
    }


def open_files(source: Path) -> list[str]:
    """List the files of a source that this process holds open, or skip the test."""
    if not _DESCRIPTORS.is_dir():
        pytest.skip("this system does not list a process's open files in /dev/fd")
    paths = [source, *source.rglob("*")] if source.is_dir() else [source]
    watched = {_identity(path.stat()): path.name for path in paths}
    held = []
    for descriptor in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - numbers, not paths
        try:
            status = os.fstat(int(descriptor))
        except OSError:  # The listing's own descriptor is closed by now.
            continue
        if (name := watched.get(_identity(status))) is not None:
            held.append(name)
    return held


@contextmanager
def made_read_only(source: Path) -> Iterator[None]:
    """Make a source and its folder read-only, or skip where that has no effect."""
    inside = [path for path in source.rglob("*") if not path.is_symlink()]
    modes = {path: path.stat().st_mode for path in (source.parent, source, *inside)}
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        if os.access(source.parent, os.W_OK):
            pytest.skip("a read-only folder does not bind root, nor anybody on Windows")
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep the garbage collector from closing what was left open."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def memory_traced() -> Iterator[None]:
    """Trace allocations, from an empty garbage heap."""
    if tracemalloc.is_tracing():
        pytest.skip("tracemalloc is in use already")
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def peak_while(action: Callable[[], object]) -> int:
    """Return the most bytes that an action held at a time beyond what was there."""
    gc.collect()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    action()
    _, peak = tracemalloc.get_traced_memory()
    return peak - before


def _file_state(path: Path) -> FileState:
    mtime_ns = path.lstat().st_mtime_ns
    if path.is_symlink():
        return FileState("link", mtime_ns, str(path.readlink()))
    if path.is_dir():
        return FileState("folder", mtime_ns, "")
    return FileState("file", mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino

"""Atomic writing of sets: into a folder beside the target, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports._files import is_pipe
from langchain_chatexports._terminal import plural
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = [
    "place_beside",
    "place_file",
    "place_folder",
    "refuse_other_files",
    "staging_folder",
]


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Provide a private folder beside a path, which is removed at the end.

    Args:
        path: What will be written.

    Yields:
        The folder, on the same disk.
    """
    # Not based on the target's name, which can be too long to add to.
    folder = tempfile.mkdtemp(dir=path.parent, prefix=".chatexports-", suffix=".part")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_other_files(path: Path, *, is_folder: bool, known: Collection[str]) -> None:
    """Raise an error if writing a set would replace anything but a set.

    Args:
        path: Where the set goes.
        is_folder: Whether it is a folder.
        known: Names of the files that may be replaced with the folder.

    Raises:
        ExportFormatError: If something else is there.
    """
    if not path.exists():
        return
    if is_pipe(path):
        msg = f"{path} is not a file: a set needs a card and a trace beside it."
        raise ExportFormatError(msg)
    if path.is_dir() != is_folder:
        kind, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        msg = f"{path} is a {kind}, and the set is a {wanted}. Name another path."
        raise ExportFormatError(msg)
    others = {entry.name for entry in path.iterdir()} - set(known) if is_folder else ()
    if others:
        msg = (
            f"{path} holds {plural(len(others), 'other file')}, which would be lost. "
            "Name a new folder."
        )
        raise ExportFormatError(msg)


def place_file(staged: Path, path: Path) -> None:
    """Move a finished file to its place atomically; a link is followed."""
    staged.replace(os.path.realpath(path))


def place_beside(staged: Path, path: Path) -> None:
    """Move a finished file to its place atomically; a link there is replaced.

    For files beside a set, whose names the user did not choose.
    """
    staged.replace(path)


def place_folder(staged: Path, path: Path, aside: Path) -> None:
    """Move a finished folder to its place, and a folder that was there aside."""
    if path.exists():
        path.rename(aside)
        try:
            staged.rename(path)
        except OSError:
            aside.rename(path)
            raise
    else:
        staged.rename(path)

"""Write files atomically, with errors that suggest a remedy."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from langchain_chatexports._parts import part_file
from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

_Item = TypeVar("_Item")

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write a file atomically, readable only by its owner.

    Raises a `ChatExportError` if the file cannot be written.
    """
    path = Path(path).expanduser()
    with translate_write_errors(path), atomic_file(path) as file:
        file.write(data)


def check_writable(path: str | Path) -> None:
    """Raise the error that `write_atomic` would raise, before a long operation."""
    path = Path(path).expanduser()
    with translate_write_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextmanager
def translate_write_errors(
    path: Path,
) -> Iterator[Callable[[Iterable[_Item]], Iterator[_Item]]]:
    """Translate `OSError` to `ChatExportError` while writing a path.

    If reading the content may also raise an `OSError`, wrap the content with the
    yielded function, whose errors pass through.
    """
    item_errors: list[OSError] = []

    def pass_errors(items: Iterable[_Item]) -> Iterator[_Item]:
        try:
            yield from items
        except OSError as error:
            item_errors.append(error)
            raise

    try:
        yield pass_errors
    except (ChatExportError, BrokenPipeError):
        raise
    except OSError as error:
        if error in item_errors:
            raise
        raise write_error(path, error) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file (mode 0600) that replaces the path at the end of the `with` block.

    If the path is a link, its target is replaced. Pipes and devices are written
    directly. Raises `OSError`; `write_error` converts it.
    """
    if path.is_dir():
        msg = f"{path} is a folder. Pass the path to a file."
        raise ExportFormatError(msg, path=path)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:  # A pipe or device cannot be replaced.
            yield file
        return
    target = Path(os.path.realpath(path))
    with part_file(target.parent) as part:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)


def is_full(error: OSError) -> bool:
    """Return whether an error means a full disk or quota."""
    return error.errno in _FULL


def is_pipe(path: Path) -> bool:
    """Return whether a path is a pipe or a device."""
    # Before Python 3.12, `Path.exists` raises an error for names that are too long.
    return os.path.exists(path) and not path.is_file() and not path.is_dir()  # noqa: PTH110 - see above


def write_error(path: Path, error: OSError) -> ChatExportError:
    """Build the error for a path that could not be written."""
    if isinstance(error, FileNotFoundError):
        msg = Sentence(
            "{path} cannot be written: its folder does not exist. Create it first.",
            path=path,
        )
        return ExportNotFoundError(msg, path=path)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        msg = Sentence(
            "{path} cannot be written: the system refuses it ({reason}). Choose a path "
            "in a folder of your own, or change the folder's permissions.",
            path=path,
            reason=error.strerror,
        )
        return ExportAccessError(msg, path=path)
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        reason = "a part of its path is a file, not a folder. Choose another path"
    elif is_full(error):
        reason = Sentence(
            "the disk is full. Free some space, or choose a path on another disk"
        )
    elif error.errno == errno.ENAMETOOLONG:
        reason = "its name is too long. Choose a shorter one"
    else:
        description = error.strerror or type(error).__name__
        reason = (
            f"the system reported '{description}'. Check the path, or choose another"
        )
    msg = Sentence("{path} cannot be written: {reason}.", path=path, reason=reason)
    return ExportFormatError(msg, path=path)

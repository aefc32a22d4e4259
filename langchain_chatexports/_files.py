"""Write files completely or not at all, with errors that name a remedy."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

_Item = TypeVar("_Item")

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file, readable by its owner only, completely or not at all.

    A `ChatExportError` explains why it cannot be written.
    """
    path = Path(path).expanduser()
    with explained_writing(path), whole_file(path) as file:
        file.write(data)


def require_place(path: str | Path) -> None:
    """Raise the error of `write_whole` in advance, before a long operation."""
    path = Path(path).expanduser()
    with explained_writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextmanager
def explained_writing(
    path: Path,
) -> Iterator[Callable[[Iterable[_Item]], Iterator[_Item]]]:
    """Raise a `ChatExportError` if a path cannot be written.

    If reading the content may raise an `OSError` as well, wrap it with the yielded
    function: these errors pass through.
    """
    errors_of_items: list[OSError] = []

    def watched(items: Iterable[_Item]) -> Iterator[_Item]:
        try:
            yield from items
        except OSError as error:
            errors_of_items.append(error)
            raise

    try:
        yield watched
    except (ChatExportError, BrokenPipeError):
        raise
    except OSError as error:
        if error in errors_of_items:
            raise
        raise cannot_write(path, error) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file (mode 0600) that replaces the path at the end of the `with`.

    For a link, its target is replaced. Pipes and devices are written directly. Errors
    are the system's; `cannot_write` explains them.
    """
    if path.is_dir():
        msg = f"{path} is a folder. Name the file to write."
        raise ExportFormatError(msg, path=path)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:  # A pipe or device cannot be replaced.
            yield file
        return
    target = Path(os.path.realpath(path))
    # The target's name with a suffix may be too long.
    descriptor, temporary = tempfile.mkstemp(
        dir=target.parent, prefix=".chatexports-", suffix=".part"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:  # Mode 0600, as mkstemp makes it.
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def is_full(error: OSError) -> bool:
    """Return whether the disk or the user's quota is full."""
    return error.errno in _FULL


def is_pipe(path: Path) -> bool:
    """Return whether a path is a pipe or a device, neither file nor folder."""
    # Before Python 3.12, `Path.exists` raises an error for names that are too long.
    return os.path.exists(path) and not path.is_file() and not path.is_dir()  # noqa: PTH110 - see above


def cannot_write(path: Path, error: OSError) -> ChatExportError:
    """Build the error for a path that could not be written."""
    if isinstance(error, FileNotFoundError):
        msg = f"{path} cannot be written: its folder does not exist. Create it first."
        return ExportNotFoundError(msg, path=path)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        msg = (
            f"{path} cannot be written: the system refuses it ({error.strerror}). "
            "Name a path in a folder of your own, or change the folder's permissions."
        )
        return ExportAccessError(msg, path=path)
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        reason = "a part of its path is a file, not a folder. Name another path"
    elif is_full(error):
        reason = "the disk is full. Free some space, or name a path on another disk"
    elif error.errno == errno.ENAMETOOLONG:
        reason = "its name is too long. Name a shorter one"
    else:
        why = error.strerror or type(error).__name__
        reason = f"the system says '{why}'. Check the path, or name another one"
    msg = f"{path} cannot be written: {reason}."
    return ExportFormatError(msg, path=path)

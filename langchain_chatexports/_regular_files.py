"""Open regular files for reading, and reject pipes, sockets and devices.

Opening a pipe waits for a writer, and a device such as `/dev/zero` never ends: both can
hang a program that expects a file.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

MAX_FOLDER_DEPTH = 100
"""The maximum depth of nested folders, below Python's recursion limit of 1,000."""

# Windows only has `O_BINARY`.
_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)


def open_regular_file(path: str | Path) -> BinaryIO:
    """Open a regular file for reading in binary mode; never blocks on a pipe."""
    check_regular_file(path)
    return open(path, "rb", opener=_open_nonblocking)


def check_regular_file(path: str | Path) -> None:
    """Raise the error that `open_regular_file` would, without opening the file."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - the path may be a string
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = "pipe" if stat.S_ISFIFO(mode) else "device"
    kind = "socket" if stat.S_ISSOCK(mode) else kind
    msg = f"{path} is a {kind}, not a file. Save its content to a file, and pass that."
    raise ExportFormatError(msg, path=Path(path))


def is_inside(path: Path, folder: Path) -> bool:
    """Return whether a path is inside a folder after resolving links."""
    return path.resolve().is_relative_to(folder.resolve())


@contextmanager
def translate_os_errors(path: Path, remedy: str) -> Iterator[None]:
    """Translate `OSError` to this package's errors; `remedy` is for refused access."""
    try:
        yield
    except ChatExportError:
        raise
    except FileNotFoundError as error:
        msg = Sentence("No such file or folder: {path}. Check the path.", path=path)
        raise ExportNotFoundError(msg, path=path) from error
    except PermissionError as error:
        raise access_error(path, path, remedy) from error
    except OSError as error:
        raise read_error(path, error) from error


def access_error(label: object, path: Path, remedy: str) -> ExportAccessError:
    """Build the error for a path without read permission."""
    msg = Sentence("Access to {path} was denied. {remedy}", path=label, remedy=remedy)
    return ExportAccessError(msg, path=path)


def read_error(path: Path, error: OSError) -> ExportFormatError:
    """Build the error for a path that cannot be read."""
    msg = Sentence(
        "{path} cannot be read ({reason}). Check the path and the disk.",
        path=path,
        reason=error.strerror,
    )
    return ExportFormatError(msg, path=path)


def _open_nonblocking(path: str, _flags: int) -> int:
    return os.open(path, _FLAGS)

"""Open regular files for reading, and refuse pipes, sockets and devices.

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

from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

MAX_FOLDER_DEPTH = 100
"""The maximum depth of folders, below Python's recursion limit of 1,000."""

# Windows has `O_BINARY` only.
_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)


def open_regular_file(path: str | Path) -> BinaryIO:
    """Open a regular file for reading bytes, without waiting for a writer."""
    check_regular_file(path)
    return open(path, "rb", opener=_open_at_once)


def check_regular_file(path: str | Path) -> None:
    """Raise the errors of `open_regular_file`, without opening the file."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - the path may be a string
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = "pipe" if stat.S_ISFIFO(mode) else "device"
    kind = "socket" if stat.S_ISSOCK(mode) else kind
    msg = f"{path} is a {kind}, not a file. Save its content to a file, and give that."
    raise ExportFormatError(msg, path=Path(path))


@contextmanager
def system_errors(path: Path, remedy: str) -> Iterator[None]:
    """Translate the system's errors to ours, with a remedy if access is refused."""
    try:
        yield
    except ChatExportError:
        raise
    except FileNotFoundError as error:
        msg = f"There is nothing at {path}. Check the path."
        raise ExportNotFoundError(msg, path=path) from error
    except PermissionError as error:
        raise no_access(path, path, remedy) from error
    except OSError as error:
        raise cannot_read(path, error) from error


def no_access(label: object, path: Path, remedy: str) -> ExportAccessError:
    """Build the error for a path that the system refuses to read."""
    return ExportAccessError(f"{label} may not be read. {remedy}", path=path)


def cannot_read(path: Path, error: OSError) -> ExportFormatError:
    """Build the error for a path that the system cannot read."""
    msg = f"{path} cannot be read ({error.strerror}). Check the path and the disk."
    return ExportFormatError(msg, path=path)


def _open_at_once(path: str, _flags: int) -> int:
    return os.open(path, _FLAGS)

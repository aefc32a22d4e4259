"""Why a file could not be written, as an error that says what to do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cannot_write"]

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def cannot_write(path: Path, error: OSError) -> ChatExportError:
    """Build the error for a path that could not be written.

    Args:
        path: The path that the user named.
        error: What the system says.

    Returns:
        The error to raise from it.
    """
    if isinstance(error, FileNotFoundError):
        msg = f"{path} cannot be written: its folder does not exist. Create it first."
        return ExportNotFoundError(msg)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        msg = (
            f"{path} cannot be written: the system refuses it ({error.strerror}). "
            "Name a path in a folder of your own, or change the folder's permissions."
        )
        return ExportAccessError(msg)
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        reason = "a part of its path is a file, not a folder. Name another path"
    elif error.errno in _FULL:
        reason = "the disk is full. Free some space, or name a path on another disk"
    elif error.errno == errno.ENAMETOOLONG:
        reason = "its name is too long. Name a shorter one"
    else:
        why = error.strerror or type(error).__name__
        reason = f"the system says '{why}'. Check the path, or name another one"
    msg = f"{path} cannot be written: {reason}."
    return ExportFormatError(msg)

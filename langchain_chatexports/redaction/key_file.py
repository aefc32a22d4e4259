"""The key file of a redaction: its secret key and the originals of its stand-ins."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports._files import write_whole
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RedactionKey", "key_for", "new_key", "read_key_file"]

_KIND = "chatexports_redaction_key"
_VERSION = 1
_KEY_BYTES = 32


@dataclass(frozen=True)
class RedactionKey:
    """A key and the stand-ins made with it, as private as the export.

    Neither is in the `repr`.
    """

    key: str = field(repr=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict, repr=False)

    def write(self, path: str | Path) -> None:
        """Write the key file, for its owner only, whole or not at all.

        Args:
            path: The file to write or replace.
        """
        values = {
            _KIND: _VERSION,
            "key": self.key,
            "stand_ins": dict(sorted(self.stand_ins.items())),
        }
        write_whole(path, json.dumps(values, indent=1).encode("ascii") + b"\n")


def new_key() -> str:
    """Return a new random key."""
    return secrets.token_urlsafe(_KEY_BYTES)


def key_for(path: str | Path) -> RedactionKey:
    """Read a key file, or make a new key if there is none; nothing is written.

    Args:
        path: The file.

    Returns:
        Its key, or the new one.

    Raises:
        ExportFormatError: If there is something else at the path.
    """
    path = Path(path).expanduser()
    return read_key_file(path) if path.exists() else RedactionKey(new_key())


def read_key_file(path: str | Path) -> RedactionKey:
    """Read a key file.

    Args:
        path: The file.

    Returns:
        Its key.

    Raises:
        ExportFormatError: If it is not a key file.
        ExportNotFoundError: If it is not there.
    """
    path = Path(path).expanduser()
    try:
        with open_regular_file(path) as file:
            values = json.loads(file.read())
        if values[_KIND] != _VERSION or not values["key"]:
            raise ValueError  # noqa: TRY301 - one message for all that can be wrong
        stand_ins = dict(values["stand_ins"])
        if not all(isinstance(name, str) for name in stand_ins.values()):
            raise TypeError  # noqa: TRY301 - as above
        return RedactionKey(str(values["key"]), stand_ins)
    except ChatExportError:
        raise
    except FileNotFoundError as error:
        msg = f"There is no key file at {path}. Name the one that redacting has made."
        raise ExportNotFoundError(msg, path=path) from error
    except (KeyError, TypeError, ValueError, RecursionError, IsADirectoryError):
        # `from None`: the decoder's errors hold what stands in the file.
        msg = (
            f"{path} is no key file that this version can read. Name the file that "
            "redacting has made, or a new one."
        )
        raise ExportFormatError(msg, path=path) from None

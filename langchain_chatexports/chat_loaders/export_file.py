"""A file of an export, in a folder or a zip, and which files are read."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from langchain_chatexports._regular_files import access_error
from langchain_chatexports._terminal import escaped
from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import (
    ChatExportError,
    DamagedExportError,
    ExportFormatError,
)

_MAX_FILE_BYTES = 2 * 2**30
# Formats that are streamed, whose files contain pictures.
_MAILBOX = "mbox"
_STREAMED = (".xml", _MAILBOX, ".mbx")
_MAILDIR_FOLDERS = ("cur", "new")
# Chats compress by a factor of 4 to 30; the maximum of deflate is 1,032.
_MAX_RATIO = 50
_RATIO_FLOOR_BYTES = 8 * 2**20
_SAMPLE_BYTES = 1 << 16
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
)
"""The errors of damaged zips."""

REMEDY = Sentence(
    "Grant the program access to it, or copy the export to a folder of your own."
)
TOO_LARGE = "it is larger than any export file"
UNPACKS_TOO_FAR = "it would unpack to far more than its size"


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of an export, in a folder or a zip."""

    folders: tuple[str, ...]
    """Names of the parent folders, outermost first."""

    name: str
    """The file's name."""

    given_depth: int
    """The number of `folders` at or above the user's path."""

    part: int
    """The index of the folder or zip that contains the file."""

    part_name: str
    """The name of the folder or zip that contains the file."""

    size: int
    """Size in bytes."""

    compressed_size: int
    """Size on disk in bytes; inside a zip, the compressed size."""

    path: Path
    """The file, or the zip that contains it."""

    label: str
    """The path for error messages."""

    opener: Callable[[], IO[bytes]]
    """The function that opens the file, for `read` and `open`."""

    @property
    def inner_path(self) -> str:
        """The path relative to the user's path, separated by `/`."""
        return "/".join((*self.folders[self.given_depth :], self.name))

    def read(self, limit: int | None = None) -> bytes:
        """Return the content, or the first `limit` bytes.

        Raises:
            ExportAccessError: If access is denied.
            ExportFormatError: If a zip's data is damaged.
        """
        with self.open() as file:
            # Limit the size, since a zip may unpack to more than it declares.
            return file.read(self.size if limit is None else min(limit, self.size))

    def head(self, limit: int) -> bytes:
        """Return the first bytes, without byte order mark and leading whitespace.

        Empty if the file is unreadable, which is reported when it is read.
        """
        with suppress(ChatExportError):
            return self.read(limit).removeprefix(b"\xef\xbb\xbf").lstrip()
        return b""

    def estimate_count(self, *keys: bytes) -> int:
        """Estimate the occurrences of keys from the first bytes; 0 if unreadable."""
        head = self.head(_SAMPLE_BYTES)
        count = sum(map(head.count, keys))
        return round(count * self.size / len(head)) if count else 0

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file; translate errors inside the `with` block to ours."""
        try:
            with self.opener() as file:
                yield file
        except ChatExportError:
            raise
        except PermissionError as error:
            raise access_error(self.label, self.path, REMEDY) from error
        except (OSError, *ZIP_ERRORS) as error:
            msg = Sentence(
                "{path} is damaged ({reason}). Download the export again.",
                path=self.label,
                reason=f"{type(error).__name__}: {error}",
            )
            raise DamagedExportError(msg, path=self.path) from error


def has_suffix(
    path: PurePath, suffixes: tuple[str, ...], exists: Callable[[PurePath], bool]
) -> bool:
    """Return whether a file is listed: by its suffix, or because it is a mailbox.

    Thunderbird's mailboxes have no suffix, and an index beside them; in a Maildir,
    each file is a message.
    """
    if path.name.lower().endswith(suffixes):
        return True
    if _MAILBOX not in suffixes:
        return False
    is_mailbox = "." not in path.name and exists(path.with_name(f"{path.name}.msf"))
    return is_mailbox or path.parent.name in _MAILDIR_FOLDERS


def is_too_large(name: str, size: int) -> bool:
    """Return whether a file is larger than any that is not streamed."""
    is_streamed = name.lower().endswith(_STREAMED) or "." not in name
    return size > _MAX_FILE_BYTES and not is_streamed


def max_unpacked_bytes(compressed_size: int) -> int:
    """Return the size up to which compressed chats are plausible."""
    return max(_RATIO_FLOOR_BYTES, _MAX_RATIO * compressed_size)


def is_system_file(name: str) -> bool:
    """Return whether macOS made a file, for itself."""
    return name.startswith("._") or name in {"__MACOSX", ".DS_Store"}


def refusal_error(path: Path | str, reason: str) -> ExportFormatError:
    """Create the error for a file that is not opened."""
    return ExportFormatError(f"{escaped(str(path))} is not read: {reason}.")

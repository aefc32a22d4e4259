"""One file of an export, in a folder or in a zip."""

from __future__ import annotations

import struct
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BROKEN_ZIP", "ExportFile", "InZip", "OnDisk", "RefusedFile"]

# What `zipfile` raises for data that is damaged or packed in an unknown way.
BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
)

# What Meta and the systems' own packers use. Of bzip2 and LZMA Python unpacks a block
# at once, however little of it is asked for: 50 bytes become 45 MB.
_PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


_COUNTED_BYTES = 1 << 16


class _Opener(Protocol):
    def open(self) -> IO[bytes]: ...


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export."""

    folders: tuple[str, ...]
    """The names of the folders around it, outermost first."""

    name: str
    """Its own name."""

    given: int
    """How many of `folders` are the path that the user gave, or above it."""

    part: int
    """Which of the export's parts (folders and zips) holds it."""

    part_name: str
    """That folder's or zip's name."""

    size: int
    """Its length in bytes."""

    path: Path
    """The file, or the zip that holds it."""

    label: str
    """Where it is, for errors."""

    opener: _Opener
    """Opens it."""

    def read(self, limit: int | None = None) -> bytes:
        """Read the file, or its first `limit` bytes.

        Raises:
            ExportAccessError: If the system refuses.
            ExportFormatError: If a zip's data is damaged.
        """
        with self.errors_named(), self.opener.open() as file:
            # A bounded read, because a zip may unpack to more than it declares.
            return file.read(self.size if limit is None else min(limit, self.size))

    def estimate_count(self, *keys: bytes) -> int:
        """Count texts in the first bytes and extrapolate to the whole file.

        Args:
            keys: What each record has one of.

        Returns:
            About how many there are; 0 in a file that cannot be read.
        """
        try:
            head = self.read(_COUNTED_BYTES)
        except ChatExportError:
            return 0
        count = sum(map(head.count, keys))
        return round(count * self.size / len(head)) if count else 0

    def read_tail(self, limit: int) -> bytes:
        """Read the last `limit` bytes."""
        if self.size <= limit:
            return self.read()
        with self.errors_named(), self.opener.open() as file:
            file.seek(self.size - limit)
            return file.read(limit)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file for reading, as a stream that ends at `size`.

        Raises:
            ExportAccessError: If the system refuses.
            ExportFormatError: If a zip's data is damaged, also while it is read.
        """
        with self.errors_named(), self.opener.open() as file:
            yield file

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Raise errors that name the file in place of the system's and the zip's."""
        try:
            yield
        except ChatExportError:
            raise
        except PermissionError as error:
            msg = (
                f"{self.label} may not be read ({error.strerror}). Grant the program "
                "access to it, or copy the export to a folder of your own."
            )
            raise ExportAccessError(msg, path=self.path) from error
        except (OSError, *BROKEN_ZIP) as error:
            msg = (
                f"{self.label} is damaged ({type(error).__name__}: {error}). "
                "Download the export again."
            )
            raise ExportFormatError(msg, path=self.path) from error


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that is not read, because of how it is stored."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Opens a file in a folder."""

    path: Path

    def open(self) -> IO[bytes]:
        """Open the file for reading."""
        return open_regular_file(self.path)


@dataclass(frozen=True, slots=True)
class InZip:
    """Opens a file in a zip."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    def open(self) -> IO[bytes]:
        """Open the file for reading."""
        if self.info.compress_type not in _PACKINGS:
            msg = f"packed by method {self.info.compress_type}, which is not read"
            raise NotImplementedError(msg)
        return self.archive.open(self.info)

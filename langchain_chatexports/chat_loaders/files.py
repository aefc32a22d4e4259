"""The files of an export, whether it is a zip, several zips, a folder or a file.

Zips are read in place and never unpacked. Links, pipes, names that lead out of a zip
and files that unpack to far more than a chat are skipped with a warning.
"""

import os
import re
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from langchain_chatexports._regular_files import (
    MAX_FOLDER_DEPTH,
    no_access,
    open_regular_file,
    system_errors,
)
from langchain_chatexports._terminal import escaped, plural
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.exceptions import (
    ChatExportError,
    DamagedExportError,
    EncryptedExportError,
    ExportFormatError,
)

_MAX_FILE_BYTES = 2 * 2**30
# Chats compress by a factor of 4 to 30, and deflate by 1,032 at most.
_MAX_RATIO = 50
_RATIO_FLOOR_BYTES = 8 * 2**20
_CONTEXT_FOLDERS = 5  # From the root of an export to a conversation's folder.
_ENCRYPTED_FLAG = 0x1
_DRIVE = re.compile("[A-Za-z]:")
# Folders of sent files in the exports of several apps.
_SENT = re.compile(r"(?:.*_)?(?:files|attachments|uploads|media)", re.IGNORECASE)
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# Python unpacks whole blocks of bzip2 and LZMA, whatever part of them is read.
_PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
)
_NOT_INSIDE = "it is not a regular file inside the export"
_TOO_LARGE = "it is larger than any export file"
_SAMPLE_BYTES = 1 << 16
_MAX_WARNINGS = 20
_MAX_NAMED = 5
# More than any real chat, unless the export is that large.
_MAX_MESSAGES = 300_000
_MIN_BYTES_PER_MESSAGE = 4
_REMEDY = "Grant the program access to it, or copy the export to a folder of your own."


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of an export, in a folder or a zip; opened by `read` or `open` only."""

    folders: tuple[str, ...]
    """The names of its parent folders, outermost first."""

    name: str
    """The file's name."""

    given: int
    """How many of `folders` are part of the user's path, or above it."""

    part: int
    """The index of the path (folder or zip) that contains it."""

    part_name: str
    """The name of that folder or zip."""

    size: int
    """Size in bytes."""

    packed_size: int
    """Size in bytes on disk, compressed in a zip."""

    path: Path
    """The file, or the zip that contains it."""

    label: str
    """Its path for error messages."""

    opener: Callable[[], IO[bytes]]
    """Opens the file."""

    @property
    def inner_path(self) -> str:
        """Its path relative to the user's path, with `/`."""
        return "/".join((*self.folders[self.given :], self.name))

    def read(self, limit: int | None = None) -> bytes:
        """Return its content, or the first `limit` bytes.

        Raises:
            ExportAccessError: If the system refuses.
            ExportFormatError: If a zip's data is damaged.
        """
        with self.open() as file:
            # Bound the read: a zip may unpack to more than it declares.
            return file.read(self.size if limit is None else min(limit, self.size))

    def head(self, limit: int) -> bytes:
        """Return its first bytes, without a byte order mark and blanks before them.

        An unreadable file has none; reading it later shows what is wrong.
        """
        with suppress(ChatExportError):
            return self.read(limit).removeprefix(b"\xef\xbb\xbf").lstrip()
        return b""

    def estimate_count(self, *keys: bytes) -> int:
        """Estimate how often keys occur, from the first bytes; 0 if unreadable."""
        head = self.head(_SAMPLE_BYTES)
        count = sum(map(head.count, keys))
        return round(count * self.size / len(head)) if count else 0

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file for reading; errors inside the `with` name it."""
        try:
            with self.opener() as file:
                yield file
        except ChatExportError:
            raise
        except PermissionError as error:
            raise no_access(self.label, self.path, _REMEDY) from error
        except (OSError, *_BROKEN_ZIP) as error:
            msg = (
                f"{self.label} is damaged ({type(error).__name__}: {error}). "
                "Download the export again."
            )
            raise DamagedExportError(msg, path=self.path) from error


class SkippedFilesWarning(UserWarning):
    """Files are skipped: they are damaged, or not exports."""

    def __init__(self, message: str, names: list[str]) -> None:
        """Initialize the warning with the files' names."""
        super().__init__(message)
        self.names = names


@dataclass
class ExportFiles:
    """The files of an export with a format's suffixes, sorted by path."""

    path: Path
    """The user's path; the first one of several parts."""

    files: list[ExportFile] = field(default_factory=list)

    details: dict[str, Any] = field(default_factory=dict)
    """Details for `inspect` besides the counts, in JSON types."""

    counts: Counts = field(default_factory=Counts)
    """The counts of records; an unreadable file counts as one."""

    unreadable: int = 0
    """The number of skipped files."""

    packed_bytes: int | None = None
    """The size of all files on disk, which limits the plausible number of messages."""

    is_quiet: bool = False
    """Whether to suppress warnings."""

    is_single_file: bool = False
    """Whether the user gave a single file that is not a zip."""

    def skip(self, error: ChatExportError) -> None:
        """Count an unreadable file, and warn about it.

        If the user gave this single file, the error is raised.
        """
        if self.is_single_file:
            raise error
        self.unreadable += 1
        self.counts.found += 1
        self.counts.skip("unreadable")
        if self.unreadable <= _MAX_WARNINGS:
            name = next(
                (f.inner_path for f in self.files if str(error).startswith(f.label)),
                error.path.name if error.path else "",
            )
            self.warn(SkippedFilesWarning(f"Skipped: {error}", [name]))
        elif self.unreadable == _MAX_WARNINGS + 1:
            self.warn("Skipped: more unreadable files.")

    def warn(self, msg: str | Warning) -> None:
        """Warn about something that the user should change."""
        if not self.is_quiet:
            warnings.warn(msg, stacklevel=3)

    @property
    def max_messages(self) -> int:
        """The largest plausible number of messages in an export of this size."""
        return max(_MAX_MESSAGES, (self.packed_bytes or 0) // _MIN_BYTES_PER_MESSAGE)

    def check_count(self, count: int) -> None:
        """Raise an `ExportFormatError` if there are more messages than is plausible.

        Formats call it while they collect the messages of a conversation.
        """
        if count > self.max_messages and self.packed_bytes is not None:
            msg = (
                f"There are more than {self.max_messages:,} messages in an export of "
                f"{self.packed_bytes:,} bytes, which is not plausible. Download it "
                "again."
            )
            raise ExportFormatError(msg, path=self.path)

    def __iter__(self) -> Iterator[ExportFile]:
        """Iterate over the files."""
        return iter(self.files)


@contextmanager
def open_files(
    paths: Collection[Path], suffixes: tuple[str, ...], *, is_quiet: bool = False
) -> Iterator[ExportFiles]:
    """Open an export: folders with the zips in them, zips, or single files.

    Files are listed if their names have one of the lower-case `suffixes`; a single file
    may have any name. Hidden files, and the `__MACOSX` folders of zips, are ignored.
    The zips are closed at the end of the `with`.

    Raises:
        ExportNotFoundError: If there is nothing at a path.
        ExportAccessError: If the system refuses.
        ExportFormatError: If a path is a pipe or a device, or a zip that is damaged or
            unpacks to far more than a chat.
    """
    first, *others = paths
    export = ExportFiles(first, packed_bytes=0, is_quiet=is_quiet)
    places = [(path, place) for path in paths for place in _parts(path)]
    with ExitStack() as zips:
        for part, (path, place) in enumerate(places):
            try:
                with system_errors(place, _REMEDY):
                    if place != path and place.is_symlink():
                        raise _refused(place, _NOT_INSIDE)
                    if place.is_dir():
                        found = _files_in_folder(place, part, suffixes, export)
                    elif is_zip(place):
                        archive = _open_zip(place, zips)
                        found = _files_in_zip(place, archive, part, suffixes, export)
                    else:
                        folder = place.parent
                        inside = _resolved(folder)
                        file = _file_on_disk(place, folder, inside, part, place.name)
                        found = iter([file])
                    export.files += list(found)
            except ChatExportError as error:  # noqa: PERF203 - a zip, not a message
                if place == path:
                    raise
                export.skip(error)
        export.packed_bytes = sum(file.packed_size for file in export)
        export.is_single_file = not others and not first.is_dir() and not is_zip(first)
        yield export


def _parts(path: Path) -> list[Path]:
    """Return the path, and the zips in it if it is a folder."""
    with system_errors(path, _REMEDY):
        path.stat()
        inside = sorted(path.iterdir()) if path.is_dir() else []
    return [path, *(one for one in inside if _is_zip_name(one))]


def _is_zip_name(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and not _is_noise(path.name)


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, by its name or first bytes.

    `zipfile.is_zipfile` looks at the end, which a truncated zip has lost.
    """
    if path.suffix.lower() == ".zip":
        return True
    with open_regular_file(path) as file:
        return file.read(4) in _ZIP_MAGICS


def walk_files(root: Path, skip: Callable[[ChatExportError], None]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, without hidden ones of macOS.

    `skip` is called for each folder that cannot be read or is too deep. A refusal of
    the system is an `ExportAccessError`.
    """

    def on_error(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise no_access(error.filename, Path(error.filename), _REMEDY) from error
        skip(_refused(error.filename, f"the system says {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=on_error):
        if len(Path(folder).relative_to(root).parts) >= MAX_FOLDER_DEPTH and folders:
            folders.clear()
            skip(_refused(folder, "it is nested too deeply"))
        folders[:] = sorted(name for name in folders if not _is_noise(name))
        yield from (Path(folder, name) for name in sorted(names) if not _is_noise(name))


def _files_in_folder(
    root: Path, part: int, suffixes: tuple[str, ...], export: ExportFiles
) -> Iterator[ExportFile]:
    inside = _resolved(root)
    zips = []
    for path in walk_files(root, export.skip):
        if _is_zip_name(path) and path.parent != root:
            zips.append(path.relative_to(root))
        elif path.name.lower().endswith(suffixes):
            try:
                # Links may lead out of the export, and pipes never end.
                if not _resolved(path).is_relative_to(inside) or not path.is_file():
                    raise _refused(path, _NOT_INSIDE)
                yield _file_on_disk(path, root, inside, part, root.name)
            except ExportFormatError as error:
                export.skip(error)
    # Zips that people sent each other are not parts of the export.
    zips = [one for one in zips if not any(map(_SENT.fullmatch, one.parts))]
    if zips:
        _note_zips(zips, root, export)


def _note_zips(zips: list[Path], root: Path, export: ExportFiles) -> None:
    """Warn about zips in subfolders, which may be parts of the export."""
    listed = ", ".join(map(str, zips[:_MAX_NAMED]))
    rest = len(zips) - _MAX_NAMED
    export.warn(
        f"{root} has {plural(len(zips), 'zip')} in its subfolders, which are not read: "
        f"{listed}{f' and {rest} more' if rest > 0 else ''}. If they are parts of the "
        "export, give their paths or move them to the top of the folder."
    )


def _file_on_disk(
    path: Path, root: Path, resolved: Path, part: int, part_name: str
) -> ExportFile:
    given = resolved.parts[1:][-_CONTEXT_FOLDERS:]
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise _refused(path, _TOO_LARGE)
    return ExportFile(
        folders=tuple(map(_readable, (*given, *path.relative_to(root).parts[:-1]))),
        name=_readable(path.name),
        given=len(given),
        part=part,
        part_name=part_name,
        size=size,
        packed_size=size,
        path=path,
        label=escaped(str(path)),
        opener=partial(open_regular_file, path),
    )


def _open_zip(path: Path, zips: ExitStack) -> zipfile.ZipFile:
    file = zips.enter_context(open_regular_file(path))
    try:
        return zips.enter_context(zipfile.ZipFile(file))
    except _BROKEN_ZIP as error:
        msg = (
            f"{path} is not a complete zip file ({error}); its download was probably "
            "interrupted. Download it again."
        )
        raise DamagedExportError(msg, path=path) from error


def _files_in_zip(
    path: Path,
    archive: zipfile.ZipFile,
    part: int,
    suffixes: tuple[str, ...],
    export: ExportFiles,
) -> Iterator[ExportFile]:
    entries = []
    for info in archive.infolist():
        # Some programs write backslashes.
        name = PurePosixPath(info.filename.replace("\\", "/"))
        is_listed = name.name.lower().endswith(suffixes) and not info.is_dir()
        if not is_listed or any(map(_is_noise, name.parts)):
            continue
        if reason := _reason_to_refuse(name, info):
            export.skip(_refused(f"{path}/{name}", reason))
        else:
            entries.append((name, info))
    _check_zip(path, [info for _, info in entries])
    entries.sort(key=lambda entry: (str(entry[0]), entry[1].header_offset))
    for name, info in entries:
        yield ExportFile(
            folders=name.parts[:-1],
            name=name.name,
            given=0,
            part=part,
            part_name=path.name,
            size=info.file_size,
            packed_size=info.compress_size,
            path=path,
            label=escaped(f"{path}/{name}"),
            opener=partial(_open_entry, archive, info),
        )


def _open_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.compress_type not in _PACKINGS:
        msg = f"compression method {info.compress_type} is not supported"
        raise NotImplementedError(msg)
    return archive.open(info)


def _reason_to_refuse(name: PurePosixPath, info: zipfile.ZipInfo) -> str | None:
    if name.is_absolute() or ".." in name.parts or _DRIVE.match(name.parts[0]):
        return "its name leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link"
    if info.file_size > _MAX_FILE_BYTES:
        return _TOO_LARGE
    if info.file_size > max(_RATIO_FLOOR_BYTES, _MAX_RATIO * info.compress_size):
        return "it would unpack to far more than its size"
    return None


def _check_zip(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    if any(info.flag_bits & _ENCRYPTED_FLAG for info in infos):
        msg = (
            f"{path} is protected by a password, which exports are not. Unpack it and "
            "give the folder."
        )
        raise EncryptedExportError(msg, path=path)
    total = sum(info.file_size for info in infos)
    # Ignore the media. Several entries may also share the same data.
    packed = min(path.stat().st_size, sum(info.compress_size for info in infos))
    if total > max(_RATIO_FLOOR_BYTES, _MAX_RATIO * packed):
        msg = (
            f"The chats in {path} would unpack from {packed:,} to {total:,} bytes, as "
            "in a zip bomb. Download the export again. If you made it, unpack it and "
            "give the folder."
        )
        raise ExportFormatError(msg, path=path)


def _is_noise(name: str) -> bool:
    return name.startswith("._") or name in {"__MACOSX", ".DS_Store"}


def _resolved(path: Path) -> Path:
    # Before Python 3.13, `Path.resolve` raises a RuntimeError for circular links.
    return Path(os.path.realpath(path))


def _readable(name: str) -> str:
    # Bytes that are not UTF-8 become surrogates, which JSON cannot contain.
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def _refused(place: Path | str, reason: str) -> ExportFormatError:
    return ExportFormatError(f"{escaped(str(place))} is not read: {reason}.")

"""The files of an export: a zip, its parts, a folder or a file, the same to a format.

Zips are read in place and never unpacked. Links, pipes, names that lead out of a zip,
and files that unpack to far more than a chat does are skipped with a warning, here and
nowhere else.
"""

import os
import re
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
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
    EncryptedExportError,
    ExportFormatError,
)

_MAX_FILE_BYTES = 2 * 2**30
# The list of files in a zip has 46 bytes and the name for each file.
_MAX_LIST_BYTES = 32 * 2**20
# Chats pack 4 to 30 times smaller; deflate reaches 1,032.
_MAX_RATIO = 50
_RATIO_FLOOR_BYTES = 8 * 2**20
_CONTEXT_FOLDERS = 5  # From the root of an export to a conversation's folder.
_ENCRYPTED_FLAG = 0x1
_DRIVE = re.compile("[A-Za-z]:")
# The folders in which exports have what people sent each other.
_SENT = re.compile(r"(?:.*_)?(?:files|attachments|uploads|media)", re.IGNORECASE)
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# Python unpacks a block of bzip2 or LZMA at once, however little is read of it.
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
_NOT_INSIDE = "it is not a file of the export itself"
_TOO_LARGE = "it is larger than any export file"
_SAMPLE_BYTES = 1 << 16
_MAX_WARNINGS = 20
_MAX_NAMED = 5
# More than anybody has, unless the export is as large as that.
_MAX_MESSAGES = 300_000
_MIN_BYTES_PER_MESSAGE = 4
_REMEDY = "Grant the program access to it, or copy the export to a folder of your own."


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export, in a folder or in a zip; nothing is read before `read`."""

    folders: tuple[str, ...]
    """The names of the folders around it, outermost first."""

    name: str
    """Its own name."""

    given: int
    """How many of `folders` belong to the path that the user gave, or lie above it."""

    part: int
    """The position of the path (folder or zip) that holds it."""

    part_name: str
    """The name of that folder or zip."""

    size: int
    """Its length in bytes."""

    packed_size: int
    """The space that it takes up."""

    path: Path
    """The file, or the zip that holds it."""

    label: str
    """Its place, for errors."""

    opener: Callable[[], IO[bytes]]
    """Opens it."""

    @property
    def inner_path(self) -> str:
        """Its path below what the user gave, with `/`."""
        return "/".join((*self.folders[self.given :], self.name))

    def read(self, limit: int | None = None) -> bytes:
        """Return its content, or the first `limit` bytes.

        Raises:
            ExportAccessError: If the system refuses.
            ExportFormatError: If a zip's data is damaged.
        """
        with self.open() as file:
            # A bounded read, because a zip may unpack to more than it declares.
            return file.read(self.size if limit is None else min(limit, self.size))

    def estimate_count(self, *keys: bytes) -> int:
        """Count keys in the first bytes and extrapolate; 0 if it cannot be read."""
        try:
            head = self.read(_SAMPLE_BYTES)
        except ChatExportError:
            return 0
        count = sum(map(head.count, keys))
        return round(count * self.size / len(head)) if count else 0

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open it for reading; errors inside the `with` name the file."""
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
            raise ExportFormatError(msg, path=self.path) from error


@dataclass
class ExportFiles:
    """The files of an export whose names end as the format's do, sorted by path."""

    path: Path
    """What the user gave; of several parts, the first."""

    files: list[ExportFile] = field(default_factory=list)

    details: dict[str, Any] = field(default_factory=dict)
    """What `inspect` shows of the format beyond counts, in JSON types."""

    counts: Counts = field(default_factory=Counts)
    """What was found and skipped; each file that cannot be read counts as a record."""

    unreadable: int = 0
    """How many files were skipped."""

    packed_bytes: int | None = None
    """How much space the listed files take up; bounds how many messages are real."""

    is_quiet: bool = False
    """Whether nothing is warned of, such as files that are skipped."""

    is_single_file: bool = False
    """Whether the user named one file that is not a zip."""

    def skip(self, error: ChatExportError) -> None:
        """Count a file that cannot be read, and warn of it.

        A file that the user named is no file among others: its error is raised.
        """
        if self.is_single_file:
            raise error
        self.unreadable += 1
        self.counts.found += 1
        self.counts.skip("unreadable")
        if self.unreadable <= _MAX_WARNINGS:
            self.warn(f"Skipped: {error}")
        elif self.unreadable == _MAX_WARNINGS + 1:
            self.warn("Skipped: further files that cannot be read.")

    def warn(self, msg: str) -> None:
        """Warn of something that the user should change."""
        if not self.is_quiet:
            warnings.warn(msg, stacklevel=3)

    @property
    def max_messages(self) -> int:
        """How many messages an export of this size can have."""
        return max(_MAX_MESSAGES, (self.packed_bytes or 0) // _MIN_BYTES_PER_MESSAGE)

    def check_count(self, count: int) -> None:
        """Raise an `ExportFormatError` if there are more messages than is possible.

        A format that holds a conversation's messages before it yields them calls it.
        """
        if count > self.max_messages and self.packed_bytes is not None:
            msg = (
                f"There are more than {self.max_messages:,} messages in an export of "
                f"{self.packed_bytes:,} bytes: it is not a real one. Download it again."
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

    Files are listed whose names end as `suffixes` say, in lower case; a single file
    whatever its name. Hidden files and the doubles that macOS puts into zips are passed
    over. The zips are closed at the end of the `with`.

    Raises:
        ExportNotFoundError: If there is nothing at a path.
        ExportAccessError: If the system refuses.
        ExportFormatError: If a path is a pipe or a device, or a zip that is damaged or
            unpacks to far more than a chat does.
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
    """Return whether a file is a zip by its name or first bytes.

    A zip that was cut off has lost its end, where `zipfile.is_zipfile` looks.
    """
    if path.suffix.lower() == ".zip":
        return True
    with open_regular_file(path) as file:
        return file.read(4) in _ZIP_MAGICS


def walk_files(root: Path, skip: Callable[[ChatExportError], None]) -> Iterator[Path]:
    """Yield the files in a folder and below it, hidden ones of macOS excepted.

    `skip` is called for each folder that cannot be read or is too deep; where the
    system refuses, an `ExportAccessError` is raised.
    """

    def on_error(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise no_access(error.filename, Path(error.filename), _REMEDY) from error
        skip(_refused(error.filename, f"the system says {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=on_error):
        if len(Path(folder).relative_to(root).parts) >= MAX_FOLDER_DEPTH and folders:
            folders.clear()
            skip(_refused(folder, "it is deeper than any export's folders"))
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
                # A link may lead out of the export, and a pipe never ends.
                if not _resolved(path).is_relative_to(inside) or not path.is_file():
                    raise _refused(path, _NOT_INSIDE)
                yield _file_on_disk(path, root, inside, part, root.name)
            except ExportFormatError as error:
                export.skip(error)
    # People also send each other zips: these are not parts of the export.
    zips = [one for one in zips if not any(map(_SENT.fullmatch, one.parts))]
    if zips:
        _note_zips(zips, root, export)


def _note_zips(zips: list[Path], root: Path, export: ExportFiles) -> None:
    """Count the zips in subfolders, and warn: they may be parts of the export."""
    count = export.details.get("zips_in_subfolders", 0) + len(zips)
    export.details["zips_in_subfolders"] = count
    listed = ", ".join(map(str, zips[:_MAX_NAMED]))
    rest = len(zips) - _MAX_NAMED
    export.warn(
        f"{root} holds {plural(len(zips), 'zip')} in its subfolders, not read: "
        f"{listed}{f' and {rest} more' if rest > 0 else ''}. Give the paths of those "
        "that are parts of the export, or move them to the top of the folder."
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
    if _list_size(file) > _MAX_LIST_BYTES:
        msg = f"{path} lists more files than any export has. Download the export again."
        raise ExportFormatError(msg, path=path)
    try:
        return zips.enter_context(zipfile.ZipFile(file))
    except _BROKEN_ZIP as error:
        msg = (
            f"{path} is not a complete zip file ({error}); its download was probably "
            "interrupted. Download it again."
        )
        raise ExportFormatError(msg, path=path) from error


def _files_in_zip(
    path: Path,
    archive: zipfile.ZipFile,
    part: int,
    suffixes: tuple[str, ...],
    export: ExportFiles,
) -> Iterator[ExportFile]:
    entries = []
    for info in archive.infolist():
        # Some packers write backslashes.
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
        msg = f"packed by method {info.compress_type}, which is not read"
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
        return "it would unpack to far more than it takes up"
    return None


def _list_size(file: IO[bytes]) -> int:
    """Return the length of a zip's list of files, which `zipfile` reads at once.

    It is in the end record (APPNOTE.TXT 4.3.14 to 4.3.16).
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 22 - 0xFFFF - 76))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return 0
    large = tail.rfind(b"PK\x06\x06", 0, end)
    if large >= 0 and len(tail) >= large + 48:
        return int.from_bytes(tail[large + 40 : large + 48], "little")
    return int.from_bytes(tail[end + 12 : end + 16], "little")


def _check_zip(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    if any(info.flag_bits & _ENCRYPTED_FLAG for info in infos):
        msg = (
            f"{path} is protected by a password. Exports are not: unpack it and give "
            "the folder."
        )
        raise EncryptedExportError(msg, path=path)
    total = sum(info.file_size for info in infos)
    # Without the media, and several entries may share what takes up space once.
    packed = min(path.stat().st_size, sum(info.compress_size for info in infos))
    if total > max(_RATIO_FLOOR_BYTES, _MAX_RATIO * packed):
        msg = (
            f"The chats in {path} would unpack from {packed:,} to {total:,} bytes, far "
            "more than real ones: it looks like a zip bomb. Download the export "
            "again. If you made it, unpack it and give the folder."
        )
        raise ExportFormatError(msg, path=path)


def _is_noise(name: str) -> bool:
    return name.startswith("._") or name in {"__MACOSX", ".DS_Store"}


def _resolved(path: Path) -> Path:
    # `Path.resolve` raises a RuntimeError at a link to itself, below Python 3.13.
    return Path(os.path.realpath(path))


def _readable(name: str) -> str:
    # Bytes that are not UTF-8 are surrogates, which no JSON can have.
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def _refused(place: Path | str, reason: str) -> ExportFormatError:
    return ExportFormatError(f"{escaped(str(place))} is not read: {reason}.")

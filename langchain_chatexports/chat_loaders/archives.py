"""The files of an export, in folders and zips.

Zips are read in place and never unpacked, so the names in them cannot lead anywhere.
Their size is limited before they are read: the size of the directory, and of each file
in proportion to its packed size.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from langchain_chatexports._regular_files import (
    MAX_FOLDER_DEPTH,
    cannot_read,
    open_regular_file,
)
from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.export_files import (
    BROKEN_ZIP,
    ExportFile,
    InZip,
    OnDisk,
    RefusedFile,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    EncryptedExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

__all__ = [
    "ExportPart",
    "list_files",
    "open_parts",
    "readable_files",
    "single_file",
    "walk_files",
]

# A directory entry is 46 bytes and its name; real exports have at most some 100,000,
# most of them media.
_MAX_DIRECTORY_BYTES = 32 * 2**20
_MAX_READ_ENTRIES = 100_000
# Chats pack 4 to 30 times smaller, 90 times if all say the same; deflate at most 1,032
# times. A message takes 30 times its shortest form in memory, and 3 µs of time, hence
# low floors.
_MAX_RATIO = 100
_RATIO_FLOOR_BYTES = 8 * 2**20
_TOTAL_RATIO_FLOOR_BYTES = 4 * 2**20
_MAX_FILE_BYTES = 2 * 2**30

_TOO_LARGE = "it is larger than any export file"
_CONTEXT_FOLDERS = 5  # From the export to a thread.
_ENCRYPTED_FLAG = 0x1
_DRIVE = re.compile("[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class _Folder:
    root: Path
    suffixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Zip:
    path: Path
    suffixes: tuple[str, ...]
    archive: zipfile.ZipFile


ExportPart: TypeAlias = "_Folder | _Zip"
"""A folder, a zip or a single file that is an export or a part of one."""


def single_file(parts: Sequence[ExportPart]) -> ExportFile | None:
    """Return the one file that is all of an export, unless it is a folder or a zip.

    Raises:
        ExportFormatError: If it is too large.
    """
    if len(parts) != 1 or isinstance(parts[0], _Zip) or parts[0].root.is_dir():
        return None
    path = parts[0].root
    file = _file_on_disk(path, _resolved(path).parent, 0)
    if file.size > _MAX_FILE_BYTES:
        msg = f"{path} is not read: {_TOO_LARGE}. Give one of the export's own files."
        raise ExportFormatError(msg, path=path)
    return file


def open_parts(
    paths: Collection[Path],
    stack: ExitStack,
    warn: Callable[[ChatExportError], None],
    suffixes: tuple[str, ...],
) -> list[ExportPart]:
    """Open what the user gave: folders, with the zips that lie in them, and zips.

    Args:
        paths: Folders, zips and single files.
        stack: Closes the zips.
        warn: Called with an error for each zip inside a folder that is damaged or
            dangerous.
        suffixes: How the names of the files end that are read, in lower case, such as
            `.json`. What else is in a folder or zip is passed over.

    Returns:
        The parts of the export, in sorted order.

    Raises:
        ExportNotFoundError: If there is nothing at a path.
        ExportAccessError: If the system refuses.
        ExportFormatError: If a zip that the user named is damaged or dangerous.
    """
    parts: list[ExportPart] = []
    for path in paths:
        parts += _open_part(path, stack, warn, suffixes)
    return parts


def list_files(parts: Collection[ExportPart]) -> Iterator[ExportFile | RefusedFile]:
    """List the files of all parts that are read, in sorted order.

    Hidden files and the doubles that macOS puts into zips are passed over.
    """
    for index, part in enumerate(parts):
        if isinstance(part, _Folder):
            yield from _files_on_disk(part, index)
        else:
            yield from _files_in_zip(part, index)


def readable_files(
    parts: Sequence[ExportPart], warn: Callable[[ChatExportError], None]
) -> Iterator[ExportFile]:
    """List the files of all parts, or the one file that is all of an export.

    Args:
        parts: The parts of the export.
        warn: Called with an error for each file that is not read because of how it is
            stored.

    Yields:
        The files that are read, in sorted order.

    Raises:
        ExportFormatError: If the one file is too large.
    """
    alone = single_file(parts)
    for file in [alone] if alone else list_files(parts):
        if isinstance(file, ExportFile):
            yield file
        else:
            msg = f"{file.label} is not read: {file.reason}."
            warn(ExportFormatError(msg))


def _open_part(
    path: Path,
    stack: ExitStack,
    warn: Callable[[ChatExportError], None],
    suffixes: tuple[str, ...],
) -> Iterator[ExportPart]:
    try:
        if path.is_dir():
            yield _Folder(path, suffixes)
            for inner in filter(_is_part, sorted(path.iterdir())):
                with _warned(warn):
                    yield _open_zip(inner, stack, suffixes)
        elif not path.exists():
            msg = f"{path} does not exist. Check the path to the export."
            raise ExportNotFoundError(msg, path=path)
        else:
            is_zip = _is_zip(path)
            yield (
                _open_zip(path, stack, suffixes) if is_zip else _Folder(path, suffixes)
            )
    except ChatExportError:
        raise
    except PermissionError as error:
        raise _no_access(path) from error
    except OSError as error:
        raise cannot_read(path, error) from error


def _is_zip(path: Path) -> bool:
    # Or by its first bytes: a zip that was cut off has lost its end.
    if path.suffix.lower() == ".zip":
        return True
    with open_regular_file(path) as file:
        return file.read(4) in {b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"}


def _is_part(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and path.is_file() and not _is_noise(path.name)


def _is_noise(name: str) -> bool:
    return name.startswith("._") or name in {"__MACOSX", ".DS_Store"}


def _files_on_disk(folder: _Folder, part: int) -> Iterator[ExportFile | RefusedFile]:
    root = folder.root
    resolved = _resolved(root)
    if not root.is_dir():
        yield _file_on_disk(root, resolved.parent, part)
        return
    for path in walk_files(root):
        if isinstance(path, RefusedFile):
            yield path
        elif not path.name.lower().endswith(folder.suffixes):
            continue
        # A link must not lead out of the export, and a pipe would never end.
        elif not _resolved(path).is_relative_to(resolved) or not path.is_file():
            yield RefusedFile(
                escaped(str(path)), "it is not a file of the export itself"
            )
        else:
            file = _file_on_disk(path, resolved, part, root)
            is_too_large = file.size > _MAX_FILE_BYTES
            yield RefusedFile(file.label, _TOO_LARGE) if is_too_large else file


def walk_files(root: Path) -> Iterator[Path | RefusedFile]:
    """List the files in a folder and below it, to a depth that no export reaches.

    Args:
        root: The folder.

    Yields:
        The files, hidden ones left out, and the folders that cannot be read.

    Raises:
        ExportAccessError: If the system refuses.
    """
    errors: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=errors.append):
        yield from _unread_folders(errors)
        if len(Path(folder).relative_to(root).parts) >= MAX_FOLDER_DEPTH and folders:
            folders.clear()
            yield RefusedFile(escaped(folder), "it is deeper than any export's folders")
        folders[:] = sorted(name for name in folders if not _is_noise(name))
        for name in sorted(names):
            if not _is_noise(name):
                yield Path(folder, name)
    yield from _unread_folders(errors)


def _unread_folders(errors: list[OSError]) -> Iterator[RefusedFile]:
    while errors:
        error = errors.pop()
        if isinstance(error, PermissionError):
            raise _no_access(Path(error.filename)) from error
        yield RefusedFile(escaped(error.filename), f"the system says {error.strerror}")


def _resolved(path: Path) -> Path:
    # `Path.resolve` raises a RuntimeError at a link to itself, below Python 3.13.
    return Path(os.path.realpath(path))


def _file_on_disk(
    path: Path, resolved: Path, part: int, root: Path | None = None
) -> ExportFile:
    given = resolved.parts[1:][-_CONTEXT_FOLDERS:]
    inner = path.relative_to(root).parts[:-1] if root else ()
    return ExportFile(
        folders=tuple(map(_readable, (*given, *inner))),
        name=_readable(path.name),
        given=len(given),
        part=part,
        part_name=(root or path).name,
        size=path.stat().st_size,
        path=path,
        label=escaped(str(path)),
        opener=OnDisk(path),
    )


def _readable(name: str) -> str:
    # In the C locale Python does not decode names beyond ASCII; ids need them decoded.
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def _files_in_zip(part: _Zip, index: int) -> Iterator[ExportFile | RefusedFile]:
    for name, info, reason in _read_entries(part):
        label = escaped(f"{part.path}/{name}")
        if reason:
            yield RefusedFile(label, reason)
            continue
        yield ExportFile(
            folders=name.parts[:-1],
            name=name.name,
            given=0,
            part=index,
            part_name=part.path.name,
            size=info.file_size,
            path=part.path,
            label=label,
            opener=InZip(part.archive, info),
        )


def _read_entries(
    part: _Zip,
) -> list[tuple[PurePosixPath, zipfile.ZipInfo, str | None]]:
    """List the files in a zip that are read, and why one is not."""
    # Some packers write backslashes.
    named = [
        (PurePosixPath(info.filename.replace("\\", "/")), info)
        for info in part.archive.infolist()
        if info.filename.lower().endswith(part.suffixes) and not info.is_dir()
    ]
    return [
        (name, info, _reason_to_refuse(name, info))
        for name, info in sorted(named, key=lambda n: (str(n[0]), n[1].header_offset))
        if not any(map(_is_noise, name.parts))
    ]


def _reason_to_refuse(name: PurePosixPath, info: zipfile.ZipInfo) -> str | None:
    if name.is_absolute() or ".." in name.parts or _DRIVE.match(name.parts[0]):
        return "its name leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link"
    if info.file_size > _MAX_FILE_BYTES:
        return _TOO_LARGE
    if (
        info.file_size > _RATIO_FLOOR_BYTES
        and info.file_size > _MAX_RATIO * info.compress_size
    ):
        return "it would unpack to far more than it takes up"
    return None


def _check_total(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    if any(info.flag_bits & _ENCRYPTED_FLAG for info in infos):
        msg = (
            f"{path} is protected by a password. Exports are not: unpack it and give "
            "the folder."
        )
        raise EncryptedExportError(msg, path=path)
    total = sum(info.file_size for info in infos)
    # Not the media beside them; and several entries may share what takes up space once.
    packed = min(path.stat().st_size, sum(info.compress_size for info in infos))
    if total > _TOTAL_RATIO_FLOOR_BYTES and total > _MAX_RATIO * packed:
        msg = (
            f"The chats in {path} would unpack from {packed:,} to {total:,} bytes, far "
            "more than real ones: it looks like a zip bomb. Download the export "
            "again. If you made it, unpack it and give the folder."
        )
        raise ExportFormatError(msg, path=path)


def _open_zip(path: Path, stack: ExitStack, suffixes: tuple[str, ...]) -> _Zip:
    if _directory_bytes(path) > _MAX_DIRECTORY_BYTES:
        raise _too_many_files(path)
    try:
        part = _Zip(path, suffixes, stack.enter_context(zipfile.ZipFile(path)))
    except BROKEN_ZIP as error:
        msg = (
            f"{path} is no whole zip ({error}), probably because its download was "
            "interrupted. Download it again."
        )
        raise ExportFormatError(msg, path=path) from error
    names = part.archive.namelist()
    if sum(name.lower().endswith(suffixes) for name in names) > _MAX_READ_ENTRIES:
        raise _too_many_files(path)
    _check_total(path, [i for _, i, reason in _read_entries(part) if reason is None])
    return part


def _too_many_files(path: Path) -> ExportFormatError:
    msg = f"{path} lists more files than any export has. Download the export again."
    return ExportFormatError(msg, path=path)


def _directory_bytes(path: Path) -> int:
    # The end record (APPNOTE.TXT 4.3.14 to 4.3.16) says how long the list of files is;
    # `zipfile` reads all of it at once.
    with open_regular_file(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 22 - 0xFFFF - 76))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return 0
    (directory,) = struct.unpack_from("<L", tail, end + 12)
    large = tail.rfind(b"PK\x06\x06", 0, end)
    if large >= 0 and len(tail) >= large + 48:
        (directory,) = struct.unpack_from("<Q", tail, large + 40)
    return int(directory)


@contextmanager
def _warned(warn: Callable[[ChatExportError], None]) -> Iterator[None]:
    try:
        yield
    except ChatExportError as error:
        warn(error)


def _no_access(path: Path) -> ExportAccessError:
    msg = (
        f"{path} may not be read. Grant the program access to it, or copy the export "
        "to a folder of your own."
    )
    return ExportAccessError(msg, path=path)

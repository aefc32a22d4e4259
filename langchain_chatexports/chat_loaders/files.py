"""Open the files of an export in one or more folders and zips.

Zips are read in place and never unpacked. Links, pipes, names that point outside a zip,
and files that unpack to far more than a chat are skipped with a warning.
"""

import os
import re
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, Self, TypeVar

from langchain_chatexports._regular_files import (
    MAX_FOLDER_DEPTH,
    access_error,
    open_regular_file,
    translate_os_errors,
)
from langchain_chatexports._terminal import escaped, plural
from langchain_chatexports.exceptions import (
    ChatExportError,
    DamagedExportError,
    EncryptedExportError,
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
_CONTEXT_FOLDERS = 5  # Between the root of an export and a conversation's folder.
_ENCRYPTED_FLAG = 0x1
_DRIVE = re.compile("[A-Za-z]:")
# Folders for sent files, in exports of several apps.
_SENT_FILES_FOLDER = re.compile(
    r"(?:.*_)?(?:files|attachments|uploads|media)", re.IGNORECASE
)
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# For bzip2 and LZMA, Python unpacks entire blocks even to read a few bytes.
_COMPRESSION_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
)
_OUTSIDE_EXPORT = "it is not a regular file inside the export"
_TOO_LARGE = "it is larger than any export file"
_SAMPLE_BYTES = 1 << 16
_MAX_WARNINGS = 20
_MAX_LISTED = 5
# Microseconds of work that is not in proportion to the size of the input: comparing
# chats, listing people, learning layouts.
_MIN_WORK, _WORK_PER_BYTE = 1_000_000, 3
# More than in any real chat, except in very large exports.
_MAX_MESSAGES = 300_000
_MIN_BYTES_PER_MESSAGE = 4
_REMEDY = "Grant the program access to it, or copy the export to a folder of your own."


_T = TypeVar("_T")


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
            raise access_error(self.label, self.path, _REMEDY) from error
        except (OSError, *_ZIP_ERRORS) as error:
            msg = (
                f"{self.label} is damaged ({type(error).__name__}: {error}). "
                "Download the export again."
            )
            raise DamagedExportError(msg, path=self.path) from error


class SkippedFilesWarning(UserWarning):
    """Warning about skipped files, which are damaged or not exports."""

    def __init__(self, message: str, names: list[str]) -> None:
        """Initialize the warning with the names of the files."""
        super().__init__(message)
        self.names = names


class ExportFiles:
    """The files of an export with a format's suffixes, sorted by path.

    Open them with `with`, which lists the files of folders, zips or single files, and
    at the end closes the zips. Also opens zips at the top level of a folder. Ignores
    hidden files from macOS.
    """

    def __init__(
        self,
        paths: Collection[Path] = (),
        suffixes: tuple[str, ...] = (),
        *,
        is_quiet: bool = False,
    ) -> None:
        """Initialize without opening anything.

        Args:
            paths: The folders, zips or files of the export.
            suffixes: Suffixes of the files to list, in lower case. A single file may
                have any name. Without suffixes, no files are listed, for formats that
                open the path themselves.
            is_quiet: Whether to suppress warnings.
        """
        self.files: list[ExportFile] = []
        self.details: dict[str, Any] = {}
        """Additional information for `inspect`, in JSON types."""

        self.unreadable = 0
        """The number of skipped files; each counts as one record."""

        self.compressed_bytes: int | None = None
        """Size of all files on disk, which limits the plausible number of messages."""

        self.is_single_file = False
        """Whether the user's path is a single file other than a zip."""

        self.is_quiet = is_quiet
        self._paths, self._suffixes = tuple(paths), suffixes
        self._work = 0
        self._zips = ExitStack()

    @property
    def path(self) -> Path:
        """The user's path, or the path of the first part."""
        return self._paths[0]

    def __enter__(self) -> Self:
        """List the files.

        Raises:
            ExportNotFoundError: If a path does not exist.
            ExportAccessError: If access is denied.
            ExportFormatError: If a path is a pipe or a device, or a zip that is damaged
                or unpacks to far more than a chat.
        """
        if not self._suffixes:
            return self
        try:
            parts = [(path, part) for path in self._paths for part in _list_parts(path)]
            for number, (path, part) in enumerate(parts):
                try:
                    self.files += self._list_part(part, number, is_nested=part != path)
                except ChatExportError as error:
                    if part == path:
                        raise
                    self.skip(error)
            self.compressed_bytes = sum(file.compressed_size for file in self.files)
            self.is_single_file = (
                len(self._paths) == 1
                and not self.path.is_dir()
                and not is_zip(self.path)
            )
        except BaseException:
            self._zips.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the zips."""
        self._zips.close()

    def __iter__(self) -> Iterator[ExportFile]:
        """Iterate over the files."""
        return iter(self.files)

    def named(self, *suffixes: str) -> Iterator[ExportFile]:
        """Yield the files with a suffix; a single file may have any name."""
        for file in self.files:
            path = PurePosixPath(*file.folders, file.name)
            # Mailboxes without a suffix were chosen when the files were listed.
            if self.is_single_file or _has_suffix(path, suffixes, lambda _: True):
                yield file

    def collect(self, messages: Iterable[_T]) -> Iterator[_T]:
        """Read the messages of a conversation, with `check_count`.

        The returned iterator frees the list when it is exhausted.
        """
        iterator = iter(messages)
        collected = list(islice(iterator, self.max_messages + 1))
        self.check_count(len(collected))
        collected += iterator
        return iter(collected)

    def skip(self, error: ChatExportError, file: ExportFile | None = None) -> None:
        """Count an unreadable file and warn about it; raise if it is the only file."""
        if self.is_single_file:
            raise error
        self.unreadable += 1
        if self.unreadable <= _MAX_WARNINGS:
            name = error.path.name if error.path else ""
            name = file.inner_path if file else name
            self.warn(SkippedFilesWarning(f"Skipped: {error}", [name]))
        elif self.unreadable == _MAX_WARNINGS + 1:
            self.warn("Skipped: more unreadable files.")

    def report_loss(self, kind: str, msg: str, count: int = 1) -> None:
        """Count and warn about something other than a record that cannot be read.

        Nothing of an export is left out silently. `kind` is the key in `details`:
        `ignored_files`, `missing_files` or `cut_files`.
        """
        self.details[kind] = self.details.get(kind, 0) + count
        if self.details[kind] - count < _MAX_WARNINGS:
            self.warn(msg)

    def report_ignored(
        self, ignored: Collection[ExportFile], read: Iterable[ExportFile]
    ) -> None:
        """Report files beside the chats that are not understood.

        Files in other folders (settings, attachments) are no chats.
        """
        folders = {(file.part, file.folders) for file in read}
        beside = [file for file in ignored if (file.part, file.folders) in folders]
        if beside:
            listed = ", ".join(file.label for file in beside[:_MAX_LISTED])
            unlisted = len(beside) - _MAX_LISTED
            self.report_loss(
                "ignored_files",
                f"{plural(len(beside), 'file')} beside the chats cannot be understood "
                f"and {'is' if len(beside) == 1 else 'are'} not read: {listed}"
                f"{f' and {unlisted} more' if unlisted > 0 else ''}. If a message is "
                "missing, export again.",
                len(beside),
            )

    def report_missing(self, label: str, numbers: Collection[int]) -> None:
        """Report numbers that are missing between 1 and the highest one."""
        if missing := sorted({*range(1, max(numbers, default=0))} - {*numbers}):
            listed = ", ".join(map(str, missing[:_MAX_LISTED]))
            unlisted = len(missing) - _MAX_LISTED
            self.report_loss(
                "missing_files",
                f"Of the numbered files of {label}, {plural(len(missing), 'file')} "
                f"{'is' if len(missing) == 1 else 'are'} missing: {listed}"
                f"{f' and {unlisted} more' if unlisted > 0 else ''}. Add all parts of "
                "the export, or download it again.",
                len(missing),
            )

    def report_cut(self, file: ExportFile) -> None:
        """Report a file whose end is missing, of which the rest is read."""
        self.report_loss(
            "cut_files",
            f"{file.label} is truncated: its end is missing. Export it again to get "
            "the rest.",
        )

    def warn(self, msg: str | Warning) -> None:
        """Issue a warning, unless warnings are suppressed."""
        if not self.is_quiet:
            warnings.warn(msg, stacklevel=3)

    @property
    def max_messages(self) -> int:
        """The maximum plausible number of messages for the size of the export."""
        return max(
            _MAX_MESSAGES, (self.compressed_bytes or 0) // _MIN_BYTES_PER_MESSAGE
        )

    def spend(self, microseconds: int) -> None:
        """Spend some of the reading's budget, before work that a file can multiply.

        Raises:
            ExportFormatError: If the work is not plausible for the size of the export.
        """
        self._work += microseconds
        size = self.compressed_bytes
        if size is not None and self._work > _MIN_WORK + _WORK_PER_BYTE * size:
            msg = (
                f"{self.path} takes more work to read than its size of {size:,} bytes "
                "allows, which is not plausible. Pass fewer exports at once, or "
                "download it again."
            )
            raise ExportFormatError(msg, path=self.path)

    def check_count(self, count: int) -> None:
        """Raise an `ExportFormatError` if a message count is implausibly high.

        Loaders call this while they collect the messages of a conversation.
        """
        if count > self.max_messages and self.compressed_bytes is not None:
            msg = (
                f"{self.path} has more than {self.max_messages:,} messages in "
                f"{self.compressed_bytes:,} bytes, which is not plausible. Download it "
                "again."
            )
            raise ExportFormatError(msg, path=self.path)

    def _list_part(
        self, path: Path, part: int, *, is_nested: bool
    ) -> Iterable[ExportFile]:
        """List the files of a folder, a zip or a single file."""
        with translate_os_errors(path, _REMEDY):
            if is_nested and path.is_symlink():
                raise _refusal_error(path, _OUTSIDE_EXPORT)
            if path.is_dir():
                return [*_list_folder(path, part, self._suffixes, self)]
            if is_zip(path):
                archive = _open_zip(path, self._zips)
                return [*_list_zip(path, archive, part, self._suffixes, self)]
            folder = path.parent
            return [_make_disk_file(path, folder, _realpath(folder), part, path.name)]


def _list_parts(path: Path) -> list[Path]:
    """Return the path, followed by the zips in it if it is a folder."""
    with translate_os_errors(path, _REMEDY):
        path.stat()
        children = sorted(path.iterdir()) if path.is_dir() else []
    return [path, *filter(_is_zip_name, children)]


def _is_zip_name(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and not _is_system_file(path.name)


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, by its name or first bytes.

    `zipfile.is_zipfile` checks the end of the file, which truncated zips lack.
    """
    if path.suffix.lower() == ".zip":
        return True
    with open_regular_file(path) as file:
        return file.read(4) in _ZIP_MAGICS


def walk_files(root: Path, skip: Callable[[ChatExportError], None]) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders, except hidden ones from macOS.

    Args:
        root: The folder.
        skip: Called with an error for each unreadable or too deeply nested folder.

    Raises:
        ExportAccessError: If access is denied.
    """

    def on_error(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise access_error(error.filename, Path(error.filename), _REMEDY) from error
        skip(_refusal_error(error.filename, f"the system says {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=on_error):
        if len(Path(folder).relative_to(root).parts) >= MAX_FOLDER_DEPTH and folders:
            folders.clear()
            skip(_refusal_error(folder, "it is nested too deeply"))
        folders[:] = sorted(name for name in folders if not _is_system_file(name))
        yield from (
            Path(folder, name) for name in sorted(names) if not _is_system_file(name)
        )


def _has_suffix(
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


def _is_streamed(name: str) -> bool:
    return name.lower().endswith(_STREAMED) or "." not in name


def _list_folder(
    root: Path, part: int, suffixes: tuple[str, ...], export: ExportFiles
) -> Iterator[ExportFile]:
    real_root = _realpath(root)
    zips = []
    for path in walk_files(root, export.skip):
        if _is_zip_name(path) and path.parent != root:
            zips.append(path.relative_to(root))
        elif _has_suffix(path, suffixes, os.path.exists):
            try:
                # Links may point outside the export, and pipes never end.
                if not _realpath(path).is_relative_to(real_root) or not path.is_file():
                    raise _refusal_error(path, _OUTSIDE_EXPORT)
                yield _make_disk_file(path, root, real_root, part, root.name)
            except ExportFormatError as error:
                export.skip(error)
    # Ignore zips that were sent in chats.
    zips = [
        zip_path
        for zip_path in zips
        if not any(map(_SENT_FILES_FOLDER.fullmatch, zip_path.parts))
    ]
    if zips:
        _warn_about_zips(zips, root, export)


def _warn_about_zips(zips: list[Path], root: Path, export: ExportFiles) -> None:
    """Warn about zips in subfolders, which may be parts of the export."""
    listed = ", ".join(map(str, zips[:_MAX_LISTED]))
    unlisted = len(zips) - _MAX_LISTED
    export.warn(
        f"{root} has {plural(len(zips), 'zip')} in its subfolders, which are not read: "
        f"{listed}{f' and {unlisted} more' if unlisted > 0 else ''}. If they are parts "
        "of the export, pass their paths or move them to the top of the folder."
    )


def _make_disk_file(
    path: Path, root: Path, real_root: Path, part: int, part_name: str
) -> ExportFile:
    context = real_root.parts[1:][-_CONTEXT_FOLDERS:]
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES and not _is_streamed(path.name):
        raise _refusal_error(path, _TOO_LARGE)
    return ExportFile(
        folders=tuple(
            map(
                _replace_invalid_unicode, (*context, *path.relative_to(root).parts[:-1])
            )
        ),
        name=_replace_invalid_unicode(path.name),
        given_depth=len(context),
        part=part,
        part_name=part_name,
        size=size,
        compressed_size=size,
        path=path,
        label=escaped(str(path)),
        opener=partial(open_regular_file, path),
    )


def _open_zip(path: Path, zips: ExitStack) -> zipfile.ZipFile:
    file = zips.enter_context(open_regular_file(path))
    try:
        return zips.enter_context(zipfile.ZipFile(file))
    except _ZIP_ERRORS as error:
        msg = (
            f"{path} is not a complete zip file ({error}); its download was probably "
            "interrupted. Download it again."
        )
        raise DamagedExportError(msg, path=path) from error


def _list_zip(
    path: Path,
    archive: zipfile.ZipFile,
    part: int,
    suffixes: tuple[str, ...],
    export: ExportFiles,
) -> Iterator[ExportFile]:
    entries = []
    # Some programs use backslashes.
    infos = [
        (PurePosixPath(info.filename.replace("\\", "/")), info)
        for info in archive.infolist()
    ]
    known = {name for name, _ in infos}
    for name, info in infos:
        is_listed = not info.is_dir() and _has_suffix(
            name, suffixes, known.__contains__
        )
        if not is_listed or any(map(_is_system_file, name.parts)):
            continue
        if reason := _find_refusal_reason(name, info):
            export.skip(_refusal_error(f"{path}/{name}", reason))
        else:
            entries.append((name, info))
    _check_zip(path, [info for _, info in entries])
    entries.sort(key=lambda entry: (str(entry[0]), entry[1].header_offset))
    for name, info in entries:
        yield ExportFile(
            folders=name.parts[:-1],
            name=name.name,
            given_depth=0,
            part=part,
            part_name=path.name,
            size=info.file_size,
            compressed_size=info.compress_size,
            path=path,
            label=escaped(f"{path}/{name}"),
            opener=partial(_open_entry, archive, info),
        )


def _open_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.compress_type not in _COMPRESSION_METHODS:
        msg = f"compression method {info.compress_type} is not supported"
        raise NotImplementedError(msg)
    return archive.open(info)


def _find_refusal_reason(name: PurePosixPath, info: zipfile.ZipInfo) -> str | None:
    if name.is_absolute() or ".." in name.parts or _DRIVE.match(name.parts[0]):
        return "its name points outside the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link"
    if info.file_size > _MAX_FILE_BYTES and not _is_streamed(name.name):
        return _TOO_LARGE
    if info.file_size > max(_RATIO_FLOOR_BYTES, _MAX_RATIO * info.compress_size):
        return "it would unpack to far more than its size"
    return None


def _check_zip(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    if any(info.flag_bits & _ENCRYPTED_FLAG for info in infos):
        msg = (
            f"{path} is protected by a password, unlike exports. Unpack it and pass "
            "the folder."
        )
        raise EncryptedExportError(msg, path=path)
    total = sum(info.file_size for info in infos)
    # Ignore media files. The size of the zip counts if entries share data.
    packed = min(path.stat().st_size, sum(info.compress_size for info in infos))
    if total > max(_RATIO_FLOOR_BYTES, _MAX_RATIO * packed):
        msg = (
            f"The chats in {path} would unpack from {packed:,} to {total:,} bytes, "
            "which suggests a zip bomb. Download the export again. If you made the zip "
            "yourself, unpack it and pass the folder."
        )
        raise ExportFormatError(msg, path=path)


def _is_system_file(name: str) -> bool:
    return name.startswith("._") or name in {"__MACOSX", ".DS_Store"}


def _realpath(path: Path) -> Path:
    # Before Python 3.13, `Path.resolve` raises a RuntimeError for circular links.
    return Path(os.path.realpath(path))


def _replace_invalid_unicode(name: str) -> str:
    # Bytes that are not UTF-8 become surrogates, which are invalid in JSON.
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def _refusal_error(path: Path | str, reason: str) -> ExportFormatError:
    return ExportFormatError(f"{escaped(str(path))} is not read: {reason}.")

"""Open the files of an export in one or more folders and zips.

Zips are read in place and never unpacked. Links, pipes, names that point outside a zip,
and files that unpack to far more than a chat are skipped with a warning.
"""

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeVar

from langchain_chatexports._regular_files import translate_os_errors
from langchain_chatexports._terminal import listing, plural
from langchain_chatexports.chat_loaders.export_file import (
    REMEDY,
    ExportFile,
    has_suffix,
    refusal_error,
)
from langchain_chatexports.chat_loaders.folder_files import (
    OUTSIDE_EXPORT,
    list_folder,
    make_disk_file,
    realpath,
)
from langchain_chatexports.chat_loaders.zip_files import (
    is_zip,
    is_zip_name,
    list_zip,
    open_zip,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_MAX_WARNINGS = 20
# Microseconds of work that is not in proportion to the size of the input: comparing
# chats, listing people, learning layouts.
_MIN_WORK, _WORK_PER_BYTE = 1_000_000, 3
# More than in any real chat, except in very large exports.
_MAX_MESSAGES = 300_000
_MIN_BYTES_PER_MESSAGE = 4

_T = TypeVar("_T")


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
            if self.is_single_file or has_suffix(path, suffixes, lambda _: True):
                yield file

    def read_each(
        self, files: Iterable[ExportFile], read: Callable[[ExportFile], _T]
    ) -> Iterator[tuple[ExportFile, _T]]:
        """Yield each file with what `read` returns for it; skip unreadable files."""
        for file in files:
            try:
                content = read(file)
            except ChatExportError as error:
                self.skip(error, file)
            else:
                yield file, content

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
        is_only_file = self.files == [file] and not self.is_quiet
        if self.is_single_file or is_only_file:
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
            listed = listing([file.label for file in beside])
            self.report_loss(
                "ignored_files",
                f"{plural(len(beside), 'file')} beside the chats cannot be understood "
                f"and {'is' if len(beside) == 1 else 'are'} not read: {listed}. If a "
                "message is missing, export again.",
                len(beside),
            )

    def report_missing(self, label: str, numbers: Collection[int]) -> None:
        """Report numbers that are missing between 1 and the highest one."""
        if missing := sorted({*range(1, max(numbers, default=0))} - {*numbers}):
            listed = listing([*map(str, missing)])
            self.report_loss(
                "missing_files",
                f"Of the numbered files of {label}, {plural(len(missing), 'file')} "
                f"{'is' if len(missing) == 1 else 'are'} missing: {listed}. Add all "
                "parts of the export, or download it again.",
                len(missing),
            )

    def report_cut(self, file: ExportFile) -> None:
        """Report a file whose end is missing, of which the rest is read."""
        self.report_loss(
            "cut_files",
            f"{file.label} is truncated: its end is missing. Export it again to get "
            "the rest.",
        )

    def report_encoding(
        self, file: ExportFile, encoding: str, remedy: str = "Export the chat again"
    ) -> None:
        """Warn about a file that a program saved in another encoding."""
        self.warn(
            f"{file.label} is not UTF-8, so another program saved it. Its other "
            f"characters are read as {encoding}. {remedy} if they are wrong."
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
        with translate_os_errors(path, REMEDY):
            if is_nested and path.is_symlink():
                raise refusal_error(path, OUTSIDE_EXPORT)
            if path.is_dir():
                return [*list_folder(path, part, self._suffixes, self.skip, self.warn)]
            if is_zip(path):
                archive = open_zip(path, self._zips)
                return [*list_zip(path, archive, part, self._suffixes, self.skip)]
            folder = path.parent
            return [make_disk_file(path, folder, realpath(folder), part, path.name)]


def _list_parts(path: Path) -> list[Path]:
    """Return the path, followed by the zips in it if it is a folder."""
    with translate_os_errors(path, REMEDY):
        path.stat()
        children = sorted(path.iterdir()) if path.is_dir() else []
    return [path, *filter(is_zip_name, children)]

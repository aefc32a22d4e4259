"""Read the thread files of an export in one pass; warn of those that fail."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.archives import open_parts, single_file
from langchain_chatexports.chat_loaders.facebook_messenger.discovery import (
    is_html_thread,
)
from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
    parse_document,
)
from langchain_chatexports.chat_loaders.facebook_messenger.platforms import INSTAGRAM
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_chatexports.chat_loaders.export_files import ExportFile
    from langchain_chatexports.chat_loaders.facebook_messenger.discovery import (
        DiscoveredExport,
        Thread,
        ThreadFile,
    )
    from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
        ThreadDocument,
    )
    from langchain_chatexports.chat_loaders.ledger import Tally

__all__ = [
    "SUFFIXES",
    "ThreadFileReader",
    "add_counts",
    "html_error",
    "named_document",
    "open_file",
]

SUFFIXES = (".json", ".html")
"""What the names of thread files end in."""

_HOW_TO_GET_JSON = (
    "Request it again from Accounts Center (Your information and permissions, "
    "Export your information) with the format set to JSON."
)


class ThreadFileReader:
    """Reads files for one pass; counts and warns of those that cannot be read."""

    def __init__(self, tally: Tally, *, is_quiet: bool = False) -> None:
        """Initialize the reader for one pass.

        Args:
            tally: Where to count.
            is_quiet: Count without a warning.
        """
        self.tally = tally
        self.is_quiet = is_quiet
        self.files_read = 0
        """Thread files that were read."""

        self.named_file: ExportFile | None = None
        """The one file that the user named; if it cannot be read, that is an error."""

    def document(self, file: ThreadFile) -> ThreadDocument | None:
        """Parse a file, or count why not."""
        try:
            if self.named_file:
                document: ThreadDocument | None = named_document(file.file)
            else:
                document = parse_document(
                    file.file.read(), file.file.label, file.file.path
                )
        except ChatExportError as error:
            if self.named_file:
                raise
            self.warn(error)
            return None
        if document is None:
            add_counts(self.tally, "other_files", 1)
            return None
        self.files_read += 1
        return document

    def count_left_out(self, thread: Thread) -> None:
        """Count the messages of a thread's files in sections that are left out."""
        for file in thread.files:
            if file.is_left_out and (document := self.document(file)):
                self.tally.found += len(document.messages)
                self.tally.skip("section", len(document.messages))

    def describe(self, export: DiscoveredExport) -> None:
        """Add what the export consists of to the tally's details."""
        files = [file for thread in export.threads for file in thread.files]
        if all(map(export.is_instagram, export.threads)):
            self.tally.platform = INSTAGRAM
        details = self.tally.details
        details["threads"] = len(export.threads)
        details["files"] = len(files)
        details["parts"] = export.parts
        add_counts(self.tally, "other_files", len(export.others))
        sections = {
            (thread.id, file.section or "none")
            for thread in export.threads
            for file in thread.files
        }
        details["sections"] = dict(
            sorted(Counter(section for _, section in sections).items())
        )

    def warn(self, error: ChatExportError) -> None:
        """Warn of a file that cannot be read, and count it as one record."""
        self.tally.leave_out_file(error, is_quiet=self.is_quiet)


def open_file(path: Path) -> ExportFile:
    """Return one JSON file that the user named.

    Raises:
        ExportNotFoundError: If there is nothing at the path.
        ExportAccessError: If the system refuses.
        ExportFormatError: If it is a folder or a zip.
    """
    if not path.is_dir():
        with ExitStack() as stack:
            file = single_file(open_parts([path], stack, _raise, SUFFIXES))
        if file:
            return file
    msg = (
        f"{path} is no JSON file. "
        "Use FolderFacebookMessengerChatLoader for a folder or a zip."
    )
    raise ExportFormatError(msg, path=path)


def _raise(error: ChatExportError) -> None:
    raise error


def named_document(file: ExportFile) -> ThreadDocument:
    """Parse the file that the user named.

    Raises:
        ExportAccessError: If the system refuses.
        ExportFormatError: If it is not a thread of a JSON export.
    """
    data = file.read()
    if is_html_thread(file.name) or data.lstrip()[:1] == b"<":
        raise ExportFormatError(html_error(file.label), path=file.path)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        msg = (
            f"{file.label} is neither a zip nor JSON. Give the zip from Meta, the "
            "folder that it unpacks to, or a file named message_1.json in it."
        )
        raise ExportFormatError(msg, path=file.path)
    document = parse_document(data, file.label, file.path)
    if document is None:
        msg = (
            f"{file.label} is JSON, but no Messenger thread. Threads are named "
            "message_1.json and lie in folders of their own under messages/inbox."
        )
        raise ExportFormatError(msg, path=file.path)
    return document


def html_error(where: str) -> str:
    """Return the message for an export in HTML."""
    return (
        f"{where} is a Messenger export in HTML, which carries no reliable times or "
        f"senders. {_HOW_TO_GET_JSON}"
    )


def add_counts(tally: Tally, key: str, counts: Counter[str] | int) -> None:
    """Add to a number, or to counts by name, in a tally's details."""
    if isinstance(counts, int):
        tally.details[key] = tally.details.get(key, 0) + counts
    elif counts:
        total = Counter(tally.details.get(key, {}))
        total.update(counts)
        tally.details[key] = dict(sorted(total.items()))

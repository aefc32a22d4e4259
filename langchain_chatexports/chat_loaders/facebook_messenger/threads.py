"""The threads of an export, and the files that belong to each.

Files are recognized by their content. Names only show which files belong together: the
numbered files of one thread folder, in all sections and parts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    Head,
    read_head,
    read_thread,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    is_deleted_account,
)
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.exceptions import ChatExportError

INSTAGRAM = "instagram"

# Spam, and copies of groups in the inbox.
_SKIPPED_SECTIONS = frozenset(
    {"filtered_threads", "message_requests", "your_group_messages"}
)
_SECTIONS = _SKIPPED_SECTIONS | {"archived_threads", "e2ee_cutover", "inbox"}
_FACEBOOK_FOLDERS = frozenset(
    {"your_facebook_activity", "your_activity_across_facebook"}
)
_INSTAGRAM_FOLDER = "your_instagram_activity"
# The folder of an export, and the beginning of the names of Meta's parts.
_INSTAGRAM_NAMES = (_INSTAGRAM_FOLDER, "instagram-")
# Real numbers have up to four digits; Python refuses more than 4,300.
_NUMBERED = re.compile(r"message(?:_(\d{1,9}))?\.json", re.IGNORECASE)
_HTML = re.compile(r"message(?:_\d+)?\.html", re.IGNORECASE)
_PAIR = 2


@dataclass(eq=False)
class ThreadFile:
    """A file that may contain messages of a thread."""

    file: ExportFile
    # The number in `message_<number>.json` plus one; the highest is the oldest.
    number: int = 0

    @cached_property
    def head(self) -> Head | None:
        """The head, read from the beginning of the file."""
        return read_head(self.file)

    @cached_property
    def full_head(self) -> Head | None:
        """The head with keys that may follow the messages; reads the whole file."""
        document = read_thread(self.file)
        return document.head if document else None

    @cached_property
    def section(self) -> str | None:
        """The section, if it is a parent or grandparent folder of the file."""
        names = [name.lower() for name in self.file.folders[-2:]]
        return next((name for name in reversed(names) if name in _SECTIONS), None)

    @cached_property
    def is_skipped(self) -> bool:
        """Whether its section is skipped, and not part of the user's path."""
        given = {name.lower() for name in self.file.folders[: self.file.given]}
        return self.section in _SKIPPED_SECTIONS and self.section not in given

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return self.file.folders[-1] if self.file.folders else ""

    @property
    def thread_folder(self) -> str:
        """The thread folder's name; if the file was moved, the name that it contains.

        Meta's names have no spaces, unlike those of copies (`ada_1 (1)`).
        """
        is_elsewhere = self.folder.lower() in {*_SECTIONS, "messages", ""}
        if is_elsewhere or " " in self.folder:
            return self.named_folder or self.folder
        return self.folder

    @property
    def named_folder(self) -> str:
        """The thread folder's name in the file's content."""
        with suppress(ChatExportError):  # Reading it later shows what is wrong.
            return (self.full_head and self.full_head.folder) or ""
        return ""


@dataclass
class Thread:
    """The files of one conversation."""

    id: str
    # The sort key: the thread folder's name on disk, then the file's.
    order: tuple[str, ...]
    files: list[ThreadFile] = field(default_factory=list)
    is_instagram: bool = False

    @property
    def sorted_files(self) -> list[ThreadFile]:
        """The files, oldest first."""
        return sorted(self.files, key=lambda f: (-f.number, f.file.part, f.file.label))

    @property
    def has_cutover(self) -> bool:
        """Whether it became an encrypted chat."""
        return any(file.section == "e2ee_cutover" for file in self.files)

    @property
    def is_skipped(self) -> bool:
        """Whether all of its sections are skipped."""
        return all(file.is_skipped for file in self.files)

    def head(self, *, is_full: bool = False) -> Head | None:
        """Return the head of the first file that lists participants."""
        for file in reversed(self.sorted_files):
            with suppress(ChatExportError):
                head = file.full_head if is_full else file.head
                if head and head.participants:
                    return head
        return None


class MessengerExport:
    """The contents of an export."""

    def __init__(self, files: ExportFiles) -> None:
        # Other JSON files: settings, profile and so on.
        self.others: list[ExportFile] = []
        self.html_files = 0
        self._by_key: dict[str, Thread] = {}
        encrypted: list[ThreadFile] = []
        renamed: list[ThreadFile] = []
        for entry in self._thread_files(files):
            if entry.number:
                self._add(entry, entry.thread_folder)
            elif entry.head and entry.head.is_e2ee:
                encrypted.append(entry)
            else:
                renamed.append(entry)
        self._place_renamed(renamed)
        self._find_instagram()
        self._place_encrypted(encrypted)
        # In code-point order of their folders' names.
        self.threads = sorted(self._by_key.values(), key=lambda t: (t.order, t.id))

    def _thread_files(self, files: ExportFiles) -> Iterator[ThreadFile]:
        for file in files:
            if file.name.lower().endswith(".html"):
                self.html_files += is_html_thread(file.name)
                continue
            number = _NUMBERED.fullmatch(file.name)
            entry = ThreadFile(file, int(number[1] or 1) + 1 if number else 0)
            try:
                if number or entry.head:
                    yield entry
                else:
                    self.others.append(file)
            except ChatExportError as error:
                files.skip(error)

    def _add(self, entry: ThreadFile, *order: str, name: str | None = None) -> Thread:
        """Add a file to the thread of a name, by default the first sort key."""
        key = _key(order[0] if name is None else name)
        thread = self._by_key.setdefault(key, Thread(key, order))
        thread.order = min(thread.order, order)
        thread.files.append(entry)
        return thread

    def _add_alone(self, entry: ThreadFile, *order: str) -> Thread:
        name = f"{entry.folder}/{entry.file.name}".lstrip("/")
        return self._add(entry, *order, name=name)

    def _place_renamed(self, renamed: list[ThreadFile]) -> None:
        """Add renamed files to the threads named in their content."""
        originals = dict(self._by_key)
        for entry in renamed:
            key = _key(entry.named_folder)
            if original := originals.get(key):
                original.files.append(entry)
                continue
            thread = self._add_alone(entry, entry.folder, entry.file.name)
            if key:
                originals[key] = thread

    def _find_instagram(self) -> None:
        for thread in self._by_key.values():
            for file in (entry.file for entry in thread.files):
                names = {name.lower() for name in (file.part_name, *file.folders)}
                thread.is_instagram |= _FACEBOOK_FOLDERS.isdisjoint(names) and any(
                    name.startswith(_INSTAGRAM_NAMES) for name in names
                )

    def _place_encrypted(self, encrypted: list[ThreadFile]) -> None:
        """Add encrypted chats to the older thread of the same two people."""
        pairs = self._threads_by_pair() if encrypted else {}
        people_of = {entry: entry.head.people for entry in encrypted if entry.head}
        copies = Counter(
            (of, e.file.part, e.file.folders) for e, of in people_of.items()
        )
        ambiguous = {people for (people, *_), count in copies.items() if count > 1}
        for entry, people in people_of.items():
            # The number in a name only makes it unique, and changes with each download.
            is_clear = _is_pair(people) and people not in ambiguous
            sign = people, "" if is_clear else _key(entry.file.name)
            if original := pairs.get((people, "")) or pairs.get(sign):
                original.files.append(entry)
            else:
                stem = entry.file.name.rpartition(".")[0]
                pairs[sign] = self._add_alone(entry, stem)

    def _threads_by_pair(self) -> dict[tuple[frozenset[str], str], Thread]:
        """Return the 1:1 thread of each pair, preferably one that became encrypted."""
        pairs: dict[tuple[frozenset[str], str], Thread] = {}
        by_key = [thread for _, thread in sorted(self._by_key.items())]
        for thread in sorted(by_key, key=lambda one: not one.has_cutover):
            # On Instagram, people with the same names have other chats.
            if thread.is_skipped or thread.is_instagram:
                continue
            head = thread.head()
            if head and not head.is_e2ee and _is_pair(head.people):
                pairs.setdefault((head.people, ""), thread)
        return pairs


def is_html_thread(name: str) -> bool:
    """Return whether a file name is that of a thread in an HTML export."""
    return _HTML.fullmatch(name) is not None


def is_in_export_folder(file: ExportFile) -> bool:
    """Return whether a file is in a folder that only Meta's exports have."""
    return not {_INSTAGRAM_FOLDER, *_FACEBOOK_FOLDERS}.isdisjoint(
        name.lower() for name in file.folders
    )


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _is_pair(people: frozenset[str]) -> bool:
    # Deleted accounts share a name, but are different people.
    return len(people) == _PAIR and not any(map(is_deleted_account, people))

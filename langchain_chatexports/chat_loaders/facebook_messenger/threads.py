"""Find the threads of an export, and group their files.

Files are recognized by content. Names are only used to group the numbered files of a
thread folder, across all sections and parts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    Head,
    read_head,
    read_thread,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    is_deleted_account,
)
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.exceptions import ChatExportError

INSTAGRAM = "instagram"

# Mostly spam, and copies of groups in the inbox.
_SKIPPED_SECTIONS = frozenset(
    {"filtered_threads", "message_requests", "your_group_messages"}
)
_SECTIONS = _SKIPPED_SECTIONS | {"archived_threads", "e2ee_cutover", "inbox"}
_FACEBOOK_FOLDERS = frozenset(
    {"your_facebook_activity", "your_activity_across_facebook"}
)
_INSTAGRAM_FOLDER = "your_instagram_activity"
# The folder in an export, and the prefix of zip names.
_INSTAGRAM_NAMES = (_INSTAGRAM_FOLDER, "instagram-")
# Python rejects numbers with more than 4,300 digits; real ones have up to four.
_NUMBERED = re.compile(r"message(?:_(\d{1,9}))?\.json", re.IGNORECASE)
_HTML = re.compile(r"message(?:_\d+)?\.html", re.IGNORECASE)
_PAIR = 2


@dataclass(eq=False)
class ThreadFile:
    """A file that may contain messages of a thread."""

    file: ExportFile
    # The number in `message_<number>.json` plus one, which is highest in the oldest
    # file; 0 for other names.
    number: int = 0

    @cached_property
    def head(self) -> Head | None:
        """The head, read from the beginning of the file."""
        return read_head(self.file)

    @cached_property
    def full_head(self) -> Head | None:
        """The head, including keys that may follow the messages."""
        document = read_thread(self.file)
        return document.head if document else None

    @cached_property
    def section(self) -> str | None:
        """The section, if it is a parent or grandparent folder of the file."""
        names = [name.lower() for name in self.file.folders[-2:]]
        return next((name for name in reversed(names) if name in _SECTIONS), None)

    @cached_property
    def is_skipped(self) -> bool:
        """Whether its section is skipped by default and not part of the user's path."""
        path_names = {
            name.lower() for name in self.file.folders[: self.file.given_depth]
        }
        return self.section in _SKIPPED_SECTIONS and self.section not in path_names

    @property
    def folder(self) -> str:
        """The name of the file's folder."""
        return self.file.folders[-1] if self.file.folders else ""

    @property
    def thread_folder(self) -> str:
        """The thread folder's name, or for a moved file, the name in its content.

        Names with spaces are from copies (`ada_1 (1)`), since Meta's have none.
        """
        is_moved = self.folder.lower() in {*_SECTIONS, "messages", ""}
        if is_moved or " " in self.folder:
            return self.folder_in_content or self.folder
        return self.folder

    @property
    def folder_in_content(self) -> str:
        """The thread folder's name as stored in the file."""
        with suppress(ChatExportError):  # Reported when the thread is read.
            return (self.full_head and self.full_head.folder) or ""
        return ""


@dataclass
class Thread:
    """The files of one conversation."""

    id: str
    # The thread folder's name on disk, and the file name where needed.
    sort_key: tuple[str, ...]
    files: list[ThreadFile] = field(default_factory=list)
    is_instagram: bool = False

    @property
    def sorted_files(self) -> list[ThreadFile]:
        """The files, oldest first."""
        return sorted(self.files, key=lambda f: (-f.number, f.file.part, f.file.label))

    @property
    def became_encrypted(self) -> bool:
        """Whether the conversation switched to end-to-end encryption."""
        return any(file.section == "e2ee_cutover" for file in self.files)

    @property
    def is_encrypted(self) -> bool:
        """Whether all of its files are from the secure storage."""
        return all(file.head is not None and file.head.is_e2ee for file in self.files)

    @property
    def is_skipped(self) -> bool:
        """Whether all of its sections are skipped."""
        return all(file.is_skipped for file in self.files)

    def head(self, *, is_full: bool = False) -> Head | None:
        """Return the head of the newest file that lists participants."""
        for file in reversed(self.sorted_files):
            with suppress(ChatExportError):
                head = file.full_head if is_full else file.head
                if head and head.participants:
                    return head
        return None


class MessengerExport:
    """The threads and other files of an export."""

    def __init__(self, files: ExportFiles) -> None:
        # Other JSON files, such as settings and the profile.
        self.other_files: list[ExportFile] = []
        self.html_files = 0
        # Encrypted chats and the older threads of people with the same two names.
        self.joined_by_name: list[tuple[Thread, ThreadFile]] = []
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
        self._assign_renamed(renamed)
        self._detect_instagram()
        self._assign_encrypted(encrypted)
        # In code-point order of the folder names.
        self.threads = sorted(self._by_key.values(), key=lambda t: (t.sort_key, t.id))

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
                    self.other_files.append(file)
            except ChatExportError as error:
                files.skip(error, file)

    def _add(
        self, entry: ThreadFile, *sort_key: str, name: str | None = None
    ) -> Thread:
        """Add a file to the thread with this name, by default the first sort key."""
        key = _normalize_key(sort_key[0] if name is None else name)
        thread = self._by_key.setdefault(key, Thread(key, sort_key))
        thread.sort_key = min(thread.sort_key, sort_key)
        thread.files.append(entry)
        return thread

    def _add_as_new_thread(self, entry: ThreadFile, *sort_key: str) -> Thread:
        name = f"{entry.folder}/{entry.file.name}".lstrip("/")
        return self._add(entry, *sort_key, name=name)

    def _assign_renamed(self, renamed: list[ThreadFile]) -> None:
        """Add each renamed file to the thread that its content names."""
        originals = dict(self._by_key)
        for entry in renamed:
            key = _normalize_key(entry.folder_in_content)
            if original := originals.get(key):
                original.files.append(entry)
                continue
            thread = self._add_as_new_thread(entry, entry.folder, entry.file.name)
            if key:
                originals[key] = thread

    def _detect_instagram(self) -> None:
        for thread in self._by_key.values():
            for file in (entry.file for entry in thread.files):
                names = {name.lower() for name in (file.part_name, *file.folders)}
                thread.is_instagram |= _FACEBOOK_FOLDERS.isdisjoint(names) and any(
                    name.startswith(_INSTAGRAM_NAMES) for name in names
                )

    def _assign_encrypted(self, encrypted: list[ThreadFile]) -> None:
        """Join each encrypted chat with the older thread of the same two people."""
        pairs = self._threads_by_pair() if encrypted else {}
        people_by_file = {entry: entry.head.people for entry in encrypted if entry.head}
        counts = Counter(
            (people, entry.file.part, entry.file.folders)
            for entry, people in people_by_file.items()
        )
        ambiguous = {people for (people, *_), count in counts.items() if count > 1}
        for entry, people in people_by_file.items():
            # Match by people if possible, since the file number changes with each
            # download.
            is_unique = _is_pair(people) and people not in ambiguous
            key = people, "" if is_unique else _normalize_key(entry.file.name)
            if original := pairs.get((people, "")) or pairs.get(key):
                if not (original.became_encrypted or original.is_encrypted):
                    self.joined_by_name.append((original, entry))
                original.files.append(entry)
            else:
                stem = entry.file.name.rpartition(".")[0]
                pairs[key] = self._add_as_new_thread(entry, stem)

    def _threads_by_pair(self) -> dict[tuple[frozenset[str], str], Thread]:
        """Map each pair of people to a thread, preferably one that became encrypted."""
        pairs: dict[tuple[frozenset[str], str], Thread] = {}
        by_key = [thread for _, thread in sorted(self._by_key.items())]
        for thread in sorted(by_key, key=lambda t: not t.became_encrypted):
            # Instagram chats of people with the same names are separate.
            if thread.is_skipped or thread.is_instagram:
                continue
            head = thread.head()
            if head and not head.is_e2ee and _is_pair(head.people):
                pairs.setdefault((head.people, ""), thread)
        return pairs


def may_be_thread(name: str) -> bool:
    """Return whether a file name begins like that of a thread's numbered file."""
    return name.lower().startswith("message_") and any(map(str.isdigit, name))


def is_html_thread(name: str) -> bool:
    """Return whether a file name is that of a thread in an HTML export."""
    return _HTML.fullmatch(name) is not None


def is_in_export_folder(file: ExportFile) -> bool:
    """Return whether a file is in a folder that only occurs in Meta's exports."""
    return not {_INSTAGRAM_FOLDER, *_FACEBOOK_FOLDERS}.isdisjoint(
        name.lower() for name in file.folders
    )


def _normalize_key(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _is_pair(people: frozenset[str]) -> bool:
    # All deleted accounts share a name, so they do not identify a person.
    return len(people) == _PAIR and not any(map(is_deleted_account, people))

"""Find the threads of an export and the files that belong to each.

Files are recognized by their content. Their names only say which belong together: the
numbered files of one thread folder, over all sections and parts.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.export_files import (
    ExportFile,
    RefusedFile,
)
from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
    Head,
    read_head,
)
from langchain_chatexports.chat_loaders.facebook_messenger.platforms import (
    FACEBOOK_FOLDERS,
    INSTAGRAM_FOLDER,
    InstagramRoot,
    instagram_root,
    is_instagram_file,
)
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    is_deleted_account,
)
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

__all__ = [
    "LEFT_OUT_SECTIONS",
    "SECTIONS",
    "DiscoveredExport",
    "Thread",
    "ThreadFile",
    "any_head",
    "discover",
    "is_html_thread",
    "thread_of_file",
]

GROUP_SECTION = "your_group_messages"
SECTIONS = frozenset(
    {
        "archived_threads",
        "e2ee_cutover",
        "filtered_threads",
        "inbox",
        "message_requests",
        GROUP_SECTION,
    }
)
LEFT_OUT_SECTIONS = frozenset({"filtered_threads", "message_requests"})

# Real numbers have up to four digits; from 4,301 on Python refuses to read one.
_NUMBERED = re.compile(r"message(?:_(\d{1,9}))?\.json", re.IGNORECASE)
_HTML = re.compile(r"message(?:_\d+)?\.html", re.IGNORECASE)
_MAX_ID_LENGTH = 64  # Of a thread; 17 digits in exports.
# Folders that hold threads, and are none.
_NO_THREAD_FOLDERS = SECTIONS | {"messages", ""}
# What lies right in an export, or in what somebody made of one.
_TOP_FOLDERS = SECTIONS | FACEBOOK_FOLDERS | {INSTAGRAM_FOLDER, "messages", "groups"}


@dataclass(frozen=True, slots=True)
class ThreadFile:
    """A file that may hold messages of a thread."""

    file: ExportFile
    section: str | None
    number: int
    is_left_out: bool


@dataclass(slots=True)
class Thread:
    """The files of one conversation."""

    id: str
    order: tuple[str, ...]
    """Sorts threads: the thread folder's name as it is on disk, then the file's."""

    files: list[ThreadFile] = field(default_factory=list)

    def add(self, file: ThreadFile, order: tuple[str, ...]) -> None:
        """Add a file."""
        self.files.append(file)
        self.order = min(self.order, order)

    def sorted_files(self) -> list[ThreadFile]:
        """Return the files with the highest number, which is the oldest, first."""
        return sorted(self.files, key=lambda f: (-f.number, f.file.part, f.file.label))


@dataclass(slots=True)
class DiscoveredExport:
    """What an export holds."""

    threads: list[Thread]
    others: list[ExportFile]
    """JSON files that are no threads: settings, profile and so on."""

    refused: list[RefusedFile]
    html_files: int
    instagram_roots: set[InstagramRoot]

    @property
    def parts(self) -> int:
        """The number of zips and unpacked folders that hold threads."""
        return len({_part(f.file) for thread in self.threads for f in thread.files})

    def is_instagram(self, thread: Thread) -> bool:
        """Return whether a thread is of an Instagram export."""
        return any(
            is_instagram_file(f.file, self.instagram_roots) for f in thread.files
        )


@dataclass(frozen=True, slots=True)
class _Loose:
    """A thread file outside of the numbered ones, with what its head says."""

    file: ThreadFile
    head: Head


def discover(
    files: Iterable[ExportFile | RefusedFile],
    *,
    sections: Collection[str],
    warn: Callable[[ChatExportError], None],
) -> DiscoveredExport:
    """Group an export's files into threads.

    Args:
        files: All files of all parts.
        sections: The sections to read although they are left out by default.
        warn: Called with an error for each file that cannot be read.

    Returns:
        The threads in code-point order of their folders' names.
    """
    found = DiscoveredExport([], [], [], 0, set())
    threads: dict[str, Thread] = {}
    loose: list[_Loose] = []
    for file in files:
        if isinstance(file, RefusedFile):
            found.refused.append(file)
            continue
        if is_html_thread(file.name):
            found.html_files += 1
        if not file.name.lower().endswith(".json"):
            continue
        number = _NUMBERED.fullmatch(file.name)
        try:
            head = None if number else read_head(file)
        except ChatExportError as error:
            warn(error)
            continue
        if number:
            folder = _thread_folder(file)
            entry = _thread_file(file, sections, int(number[1] or 1))
            _thread(threads, folder).add(entry, (folder,))
        elif head:
            loose.append(_Loose(_thread_file(file, sections, 0), head))
        else:
            found.others.append(file)
            if root := instagram_root(file):
                found.instagram_roots.add(root)
    _place_loose(found, threads, loose)
    found.threads = sorted(threads.values(), key=lambda t: (t.order, t.id))
    return found


def thread_of_file(file: ExportFile) -> Thread:
    """Return the thread of one file alone."""
    number = _NUMBERED.fullmatch(file.name)
    folder = _thread_folder(file) if number else _folder_and_name(file)
    return Thread(_key(folder), (folder,), [_thread_file(file, SECTIONS, 1)])


def any_head(thread: Thread, *, with_tail: bool = False) -> Head | None:
    """Return the head of the first file of a thread that lists participants."""
    for file in reversed(thread.sorted_files()):
        try:
            head = read_head(file.file, with_tail=with_tail)
        except ChatExportError:
            continue
        if head and head.participants:
            return head
    return None


def is_html_thread(name: str) -> bool:
    """Return whether a file's name is that of a thread in an HTML export."""
    return _HTML.fullmatch(name) is not None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _thread(threads: dict[str, Thread], folder: str) -> Thread:
    return threads.setdefault(_key(folder), Thread(_key(folder), (folder,)))


def _folder(file: ExportFile) -> str:
    return file.folders[-1] if file.folders else ""


def _part(file: ExportFile) -> tuple[int, tuple[str, ...]]:
    # Several unpacked parts may lie side by side in one folder.
    inner = next(
        (n for n, name in enumerate(file.folders) if name.lower() in _TOP_FOLDERS), 0
    )
    return file.part, file.folders[:inner]


def _folder_and_name(file: ExportFile) -> str:
    return "/".join(filter(None, (_folder(file), file.name)))


def _thread_folder(file: ExportFile) -> str:
    folder = _folder(file)
    if folder.lower() not in _NO_THREAD_FOLDERS:
        return folder
    try:
        head = read_head(file, with_tail=True)
    except ChatExportError:
        return folder  # Reading it later says what is wrong.
    return (head.folder if head else None) or folder


def _thread_file(
    file: ExportFile, sections: Collection[str], number: int
) -> ThreadFile:
    section, is_named = None, False
    first = max(0, len(file.folders) - 2)
    for index in range(len(file.folders) - 1, first - 1, -1):
        if file.folders[index].lower() in SECTIONS:
            section = file.folders[index].lower()
            is_named = index < file.given  # The user pointed right at it.
            break
    is_left_out = section in LEFT_OUT_SECTIONS - set(sections) and not is_named
    return ThreadFile(file, section, number, is_left_out)


def _place_loose(
    export: DiscoveredExport, threads: dict[str, Thread], loose: list[_Loose]
) -> None:
    encrypted = [item for item in loose if item.head.is_e2ee]
    others = [item for item in loose if not item.head.is_e2ee]
    groups = [item for item in others if item.file.section == GROUP_SECTION]
    for item in others:
        if item.file.section != GROUP_SECTION:
            file = item.file.file
            thread = _thread(threads, _folder_and_name(file))
            thread.add(item.file, (_folder(file), file.name))
    if groups:
        _place_groups(threads, groups)
    if encrypted:
        # Instagram's people may have the same names, but its chats are others.
        ours = {k: t for k, t in threads.items() if not export.is_instagram(t)}
        _place_encrypted(threads, _threads_by_pair(ours), encrypted)


def _place_encrypted(
    threads: dict[str, Thread],
    pairs: dict[frozenset[str], Thread],
    encrypted: list[_Loose],
) -> None:
    """Add encrypted chats to the older thread of the same two people."""
    copies = Counter(
        (item.head.people, item.file.file.part, item.file.file.folders)
        for item in encrypted
    )
    ambiguous = {people for (people, *_), count in copies.items() if count > 1}
    known: dict[tuple[frozenset[str], str], Thread] = {}
    for item in encrypted:
        file, people = item.file.file, item.head.people
        # The number in a name only keeps it unique: in another download it may differ.
        is_clear = _is_pair(people) and people not in ambiguous
        sign = people, "" if is_clear else _key(file.name)
        thread = pairs.get(people) or known.get(sign)
        if thread is None:
            thread = _thread(threads, _folder_and_name(file))
            thread.order = (file.name.rpartition(".")[0],)
            known[sign] = thread
        thread.files.append(item.file)


def _is_pair(people: frozenset[str]) -> bool:
    # Deleted accounts share a name, and are different people.
    return len(people) == 2 and not any(map(is_deleted_account, people))  # noqa: PLR2004 (1:1)


def _threads_by_pair(threads: dict[str, Thread]) -> dict[frozenset[str], Thread]:
    """Find the 1:1 threads of each two people; the one that went over to E2EE first."""
    pairs: dict[frozenset[str], tuple[bool, str, Thread]] = {}
    for key, thread in threads.items():
        if all(file.is_left_out for file in thread.files):
            continue
        head = any_head(thread)
        if head is None or head.is_e2ee or not _is_pair(head.people):
            continue
        is_cutover = any(file.section == "e2ee_cutover" for file in thread.files)
        candidate = (not is_cutover, key, thread)
        known = pairs.get(head.people)
        if known is None or candidate[:2] < known[:2]:
            pairs[head.people] = candidate
    return {people: thread for people, (_, _, thread) in pairs.items()}


def _place_groups(threads: dict[str, Thread], groups: list[_Loose]) -> None:
    """Add copies of group messages to the threads that they repeat."""
    by_content: dict[tuple[frozenset[str], str | None], Thread] = {}
    for _, thread in sorted(threads.items(), reverse=True):
        if head := any_head(thread, with_tail=True):
            by_content[head.people, head.title] = thread
    by_id = _threads_by_id(threads)
    for item in groups:
        file = item.file.file
        group_id = _key(file.name.rpartition(".")[0])
        head = _with_tail(item)
        original = (
            by_id.get(group_id)
            or threads.get(_key(head.folder or ""))
            or by_content.get((head.people, head.title))
        )
        if original:
            original.files.append(item.file)
        else:
            thread = _thread(threads, _folder_and_name(file))
            thread.add(item.file, (group_id,))


def _threads_by_id(threads: dict[str, Thread]) -> dict[str, Thread]:
    """Find the threads by what stands behind any `_` of their folders' names."""
    by_id: dict[str, Thread] = {}
    for key, thread in threads.items():
        by_id.setdefault(key, thread)
        end = key[-_MAX_ID_LENGTH - 1 :]
        for place, character in enumerate(end, 1):
            if character == "_":
                by_id.setdefault(end[place:], thread)
    return by_id


def _with_tail(item: _Loose) -> Head:
    try:
        return read_head(item.file.file, with_tail=True) or item.head
    except ChatExportError:
        return item.head

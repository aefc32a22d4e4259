"""Find the chats of an export, in JSON files and HTML pages."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from operator import attrgetter

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.telegram.html_pages import (
    find_pages,
    is_page,
    may_be_page,
)
from langchain_chatexports.chat_loaders.telegram.json_files import read_json
from langchain_chatexports.chat_loaders.telegram.records import Chat, Record, User

_MAX_CANDIDATES = 20
_PAGE_RECORDS = 1000  # The number of messages per page.


@dataclass(frozen=True)
class Export:
    """The chats and people of an export."""

    chats: Mapping[str, Sequence[Chat]]
    """The exports of each chat by id: JSON before HTML, latest first."""

    user: User | None
    """The owner, in an account's export."""

    handles: Mapping[str, set[str]]
    """User names and phone numbers, by id."""

    @cached_property
    def bots(self) -> frozenset[str]:
        """The ids of the bots."""
        chats = (exports[0] for exports in self.chats.values())
        return frozenset(chat.id for chat in chats if chat.is_with_bot)


def read_export(files: ExportFiles) -> Export:
    """Find the chats of an export; their records are read on demand."""
    json = read_json(files)
    all_pages = pages = [file for file in files if is_page(file)]
    # Newer versions can write both formats at once: ignore HTML next to JSON.
    json_folders = {(file.part, file.folders) for file in json.files}
    pages = [page for page in pages if not _has_json_export(page, json_folders)]
    html_chats = find_pages(pages, files)
    read = {*json.files, *all_pages}
    files.details["other_files"] = len(files.files) - len(json.files) - len(pages)
    files.report_ignored([f for f in files if f not in read and may_be_page(f)], read)
    return Export(_join(json.chats, html_chats), json.user, json.handles)


def _join(
    json_chats: Sequence[Chat], html_chats: Sequence[Chat]
) -> dict[str, list[Chat]]:
    """Return the exports of each chat by id: JSON before HTML, latest first."""
    chats: dict[str, list[Chat]] = defaultdict(list)
    for chat in json_chats:
        chats[chat.conversation_id].append(chat)
    candidates = [chat for exports in chats.values() for chat in exports]
    find_texts = lru_cache(_find_texts)
    for chat in html_chats:
        chats[_match_json_chat(chat, candidates, find_texts)].append(chat)
    for exports in chats.values():
        exports.reverse()
        exports.sort(key=attrgetter("is_html"))
    return chats


def _has_json_export(
    page: ExportFile, json_folders: set[tuple[int, tuple[str, ...]]]
) -> bool:
    folders = page.folders
    # In account exports, the pages of a chat are in chats/chat_001.
    parent = folders[:-2] if folders[-2:-1] == ("chats",) else folders
    return (page.part, parent) in json_folders


def _match_json_chat(
    page: Chat, chats: list[Chat], find_texts: Callable[[Chat], Mapping[object, int]]
) -> str:
    """Return the id of the same chat in a JSON export, or its own id if there is none.

    The same chat has the same name, and the same text for each message id.
    """
    candidates = [chat for chat in chats if chat.name and chat.name == page.name]
    del candidates[_MAX_CANDIDATES:]
    if not candidates:
        return page.id
    texts = {
        record.id: hash(text)
        for record in islice(page.read_records(), _PAGE_RECORDS)
        if record and record.type == "message" and (text := _normalize_text(record))
    }
    for chat in candidates:
        others = find_texts(chat)
        results = [others[id_] == text for id_, text in texts.items() if id_ in others]
        if sum(results) * 2 > len(results):  # Some messages may have been edited.
            return chat.conversation_id
    return page.id


def _find_texts(chat: Chat) -> dict[object, int]:
    """Return the hashes of the texts of a chat, by message id."""
    return {r.id: hash(_normalize_text(r)) for r in chat.read_records() if r}


def is_same_record(page_record: Record, record: Record) -> bool:
    """Return whether a record of a page is one of JSON, by its author and text.

    Pages have neither ids of people nor, before 2022, a time zone.
    """
    return page_record.author_name == record.author_name and (
        bool(record.edited) or _normalize_text(page_record) == _normalize_text(record)
    )


def _normalize_text(record: Record) -> str:
    return " ".join(record.full_text.split())

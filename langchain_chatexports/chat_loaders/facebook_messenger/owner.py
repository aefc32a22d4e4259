"""Find the owner of an export.

No thread names the owner. The signs are tried from the most to the least reliable;
messages are read last.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.facebook_messenger.discovery import any_head
from langchain_chatexports.chat_loaders.facebook_messenger.encoding import TextRepair
from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
    Head,
    parse_document,
)
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    is_deleted_account,
    read_records,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    LineReader,
    is_by_owner,
)
from langchain_chatexports.chat_loaders.json_data import read_json
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from langchain_chatexports.chat_loaders.export_files import (
        ExportFile,
    )
    from langchain_chatexports.chat_loaders.facebook_messenger.discovery import (
        DiscoveredExport,
        Thread,
    )
    from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
        ThreadDocument,
    )

__all__ = ["FoundOwner", "find_owner", "find_owner_in_document"]

_PROFILE_FILES = re.compile(
    r"(?:profile_information|personal_information)\.json", re.IGNORECASE
)
_AUTOFILL_FILE = re.compile(r"autofill_information\.json", re.IGNORECASE)
_PAIR = 2


class FoundOwner(NamedTuple):
    """Who exported, and how that was found."""

    name: str
    found_by: str


def find_owner(export: DiscoveredExport) -> FoundOwner | None:
    """Find who exported, without the threads that are left out by default."""
    threads = [t for t in export.threads if not all(f.is_left_out for f in t.files)]
    heads = {t.id: head for t in threads if (head := any_head(t))}
    people = {name for head in heads.values() for name in head.participants}
    for pattern, found_by in (
        (_PROFILE_FILES, "profile"),
        (_AUTOFILL_FILE, "autofill information"),
    ):
        files = [file for file in export.others if pattern.fullmatch(file.name)]
        if name := _named_in(files, people):
            return FoundOwner(name, found_by)
    if name := _in_every_thread(threads, heads):
        return FoundOwner(name, "the one name in every thread")
    complete = (
        any_head(thread, with_tail=True)
        for thread in threads
        if thread.id in heads and len(heads[thread.id].people) == _PAIR
    )
    if owner := _across_from_title(filter(None, complete)):
        return owner
    for thread in threads:
        for file in thread.files:
            try:
                document = parse_document(file.file.read(), file.file.label)
            except ChatExportError:
                continue  # Reading the thread says so.
            if document and (name := _second_person(document)):
                return FoundOwner(name, "system lines")
    return None


def find_owner_in_document(document: ThreadDocument) -> FoundOwner | None:
    """Find who exported by one thread file alone."""
    head = Head(document.is_e2ee, document.participants, document.title)
    if owner := _across_from_title([head]):
        return owner
    name = _second_person(document)
    return FoundOwner(name, "system lines") if name else None


def _named_in(files: Iterable[ExportFile], people: set[str]) -> str | None:
    found: list[str] = []
    for file in files:
        try:
            data = file.read()
            raw = read_json(data, file.label)
        except ChatExportError:
            continue
        repair = TextRepair(data, raw).text
        sure = [repair(name) for name in _sure_names(raw)]
        # Their labels are in the account's language: take the value that is a person's.
        found += sure or [n for n in map(repair, _labeled(raw)) if n in people]
    # Exports of several years or platforms may name several.
    return next((n for n in found if n in people), next(iter(found), None))


def _sure_names(raw: Any) -> Iterator[str]:
    paths: tuple[tuple[str | int, ...], ...] = (
        ("profile_v2", "name", "full_name"),
        ("profile", "name", "full_name"),
        ("autofill_information_v2", "FULL_NAME", 0),
        ("profile_user", 0, "string_map_data", "Name", "value"),
    )
    for path in paths:
        value = raw
        for step in path:
            value = _at(value, step)
        if isinstance(value, str) and value.strip():
            yield value


def _labeled(raw: Any) -> Iterator[str]:
    entries = _listed(_at(raw, "label_values"))
    for user in _listed(_at(raw, "profile_user")):
        data = _at(user, "string_map_data")
        entries += data.values() if isinstance(data, dict) else ()
    for entry in entries:
        value = _at(entry, "value")
        if isinstance(value, str):
            yield value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _at(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _in_every_thread(threads: Iterable[Thread], heads: dict[str, Head]) -> str | None:
    named = {thread_id: _named(head) for thread_id, head in heads.items()}
    listed = [thread for thread in threads if named.get(thread.id)]
    # Chats with oneself are neither.
    pairs = [t for t in listed if len(heads[t.id].people) == _PAIR]
    groups = [t for t in listed if len(heads[t.id].people) > _PAIR]
    suspect = _common(named[thread.id] for thread in pairs)
    sets: list[frozenset[str]] = []
    for thread in filter(_has_owner, pairs):
        sets.append(named[thread.id])
        if suspect and len(set(sets)) > 1:
            return suspect  # Most files' ends need not be read.
    return _common(sets) or _common(
        [*sets, *(named[thread.id] for thread in groups if _has_owner(thread))]
    )


def _has_owner(thread: Thread) -> bool:
    # Who has left a group is not listed in it.
    head = any_head(thread, with_tail=True)
    return head is not None and not head.has_left


def _common(sets: Iterable[frozenset[str]]) -> str | None:
    """Return the one name that all of two or more sets have."""
    listed = list(sets)
    common = frozenset.intersection(*listed) if len(listed) > 1 else frozenset()
    return next(iter(common)) if len(common) == 1 else None


def _across_from_title(heads: Iterable[Head]) -> FoundOwner | None:
    """Vote: a 1:1 thread's title is the other person's name."""
    votes: Counter[tuple[str, str]] = Counter()
    for head in heads:
        people = dict.fromkeys(head.participants)
        if len(people) != _PAIR:
            continue
        first, second = people
        if head.title == second:
            vote = first, "titles"
        elif head.title == first:
            vote = second, "titles"
        elif head.is_e2ee:
            vote = first, "first participant"
        else:
            continue
        if not is_deleted_account(vote[0]):
            votes[vote] += 1
    ranked = votes.most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return FoundOwner(*ranked[0][0])


def _second_person(document: ThreadDocument) -> str | None:
    records = list(read_records(document, 0, Counter()))
    reader = LineReader(
        [*document.participants, *{sender for _, sender, *_ in records}]
    )
    senders = Counter(
        sender
        for _, sender, text, *_ in records
        if sender != UNKNOWN_SENDER and is_by_owner(text) and reader.read(text, sender)
    )
    return next((name for name, _ in senders.most_common(1)), None)


def _named(head: Head) -> frozenset[str]:
    return frozenset(name for name in head.people if not is_deleted_account(name))

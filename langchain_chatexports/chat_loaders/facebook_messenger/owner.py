"""Find the owner of an export, whom no thread names.

Evidence is tried from the most to the least reliable; messages are read last.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from langchain_chatexports.chat_loaders.facebook_messenger.encoding import repair_for
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    Head,
    read_thread,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    LineReader,
    is_by_owner,
    is_deleted_account,
)
from langchain_chatexports.chat_loaders.facebook_messenger.threads import (
    MessengerExport,
    Thread,
)
from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.json_data import decode_json
from langchain_chatexports.exceptions import ChatExportError

_PROFILE_FILES = {
    "profile": re.compile(r"(profile|personal)_information\.json", re.IGNORECASE),
    "autofill information": re.compile(r"autofill_information\.json", re.IGNORECASE),
}
_NAMES_IN_PROFILES: tuple[tuple[str | int, ...], ...] = (
    ("profile_v2", "name", "full_name"),
    ("profile", "name", "full_name"),  # Until about 2021.
    ("autofill_information_v2", "FULL_NAME", 0),
    ("profile_user", 0, "string_map_data", "Name", "value"),  # Instagram.
)
_PAIR = 2
_JSON = msgspec.json.Decoder()


FoundOwner: TypeAlias = tuple[str, str]
"""The owner of the export, and how the owner was found."""


def find_owner(export: MessengerExport) -> FoundOwner | None:
    """Find the owner, without reading the threads that are skipped by default."""
    threads = [thread for thread in export.threads if not thread.is_skipped]
    heads = [(thread, head) for thread in threads if (head := thread.head())]
    people = {name for _, head in heads for name in head.participants}
    for found_by, pattern in _PROFILE_FILES.items():
        files = [file for file in export.others if pattern.fullmatch(file.name)]
        if name := _named_in(files, people):
            return name, found_by
    if name := _in_every_thread(heads):
        return name, "the one name in every thread"
    pairs = [thread for thread, head in heads if len(head.people) == _PAIR]
    return _across_from_title(pairs) or _in_system_lines(threads)


def _named_in(files: Iterable[ExportFile], people: set[str]) -> str | None:
    found: list[str] = []
    for file in files:
        with suppress(ChatExportError):
            data = file.read()
            raw, repair = decode_json(data, _JSON, file.label), repair_for(data)
            sure = [repair(name) for name in _names_in(raw)]
            # Labels are in the account's language, so look for a participant's name.
            found += sure or [n for n in map(repair, _labeled(raw)) if n in people]
    # Exports of several years or platforms may contain several names.
    return next((name for name in found if name in people), next(iter(found), None))


def _names_in(raw: Any) -> Iterator[str]:
    for path in _NAMES_IN_PROFILES:
        value = raw
        with suppress(LookupError, TypeError):
            for step in path:
                value = value[step]
            if isinstance(value, str) and value.strip():
                yield value


def _labeled(raw: Any) -> list[str]:
    """Return the values of profiles in the newer, generic form."""
    entries: list[Any] = []
    with suppress(LookupError, TypeError):
        entries += raw["label_values"]
    with suppress(LookupError, TypeError, AttributeError):
        entries += raw["profile_user"][0]["string_map_data"].values()
    values = [entry.get("value") for entry in entries if isinstance(entry, dict)]
    return [value for value in values if isinstance(value, str)]


def _in_every_thread(heads: list[tuple[Thread, Head]]) -> str | None:
    """Return the one name in all threads that the owner has not left.

    To read few files, chats of two are tried first: two of them are enough if the name
    that all of them list is in two with different partners.
    """
    pairs = [(t, head) for t, head in heads if len(head.people) == _PAIR and head.named]
    groups = [(t, head) for t, head in heads if len(head.people) > _PAIR]
    suspect = _common([head.named for _, head in pairs])
    found: list[frozenset[str]] = []
    for thread, head in pairs:
        if _has_owner(thread):
            found.append(head.named)
            if suspect and len(set(found)) > 1:
                return suspect
    if name := _common(found):
        return name
    found += [head.named for t, head in groups if head.named and _has_owner(t)]
    return _common(found)


def _has_owner(thread: Thread) -> bool:
    # A group does not list people who have left it.
    head = thread.head(is_full=True)
    return head is not None and not head.has_left


def _common(sets: list[frozenset[str]]) -> str | None:
    """Return the one name in all sets, if there are two or more sets."""
    common = frozenset.intersection(*sets) if len(sets) > 1 else frozenset()
    return next(iter(common)) if len(common) == 1 else None


def _across_from_title(pairs: Iterable[Thread]) -> FoundOwner | None:
    """Vote by titles: a 1:1 thread is named after the other person."""
    votes: Counter[FoundOwner] = Counter()
    for head in filter(None, (thread.head(is_full=True) for thread in pairs)):
        first, second, *_ = (*dict.fromkeys(head.participants), "", "")
        title = head.title or ""  # Deleted accounts can have no name.
        if title == second:
            vote = first, "titles"
        elif title == first:
            vote = second, "titles"
        elif head.is_e2ee:
            vote = first, "first participant"
        else:
            continue
        if vote[0] and not is_deleted_account(vote[0]):
            votes[vote] += 1
    ranked = votes.most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _in_system_lines(threads: Iterable[Thread]) -> FoundOwner | None:
    """Return the sender of lines such as "You sent an attachment."."""
    for thread in threads:
        for entry in thread.files:
            document = None
            with suppress(ChatExportError):  # Reported when the thread is read.
                document = read_thread(entry.file)
            if document is None:
                continue
            messages = document.messages
            senders = {message.sender for message in messages} - {""}
            reader = LineReader([*document.head.participants, *senders])
            found = Counter(
                message.sender
                for message in messages
                if message.sender
                and is_by_owner(message.text)
                and reader.kind_of(message.text, message.sender)
            )
            for name, _ in found.most_common(1):
                return name, "system lines"
    return None

"""Detect the owner of an export, which threads do not state.

The most reliable evidence comes first; messages are read last.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.facebook_messenger.encoding import make_repair
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
from langchain_chatexports.chat_loaders.json_data import decode_json
from langchain_chatexports.chat_loaders.messages import DetectedOwner
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


def find_owner(export: MessengerExport) -> DetectedOwner | None:
    """Detect the owner, without reading threads that are skipped by default."""
    threads = [thread for thread in export.threads if not thread.is_skipped]
    heads = [(thread, head) for thread in threads if (head := thread.head())]
    people = {name for _, head in heads for name in head.participants}
    for found_by, pattern in _PROFILE_FILES.items():
        files = [file for file in export.other_files if pattern.fullmatch(file.name)]
        if name := _find_in_profiles(files, people):
            return DetectedOwner(name, found_by)
    if name := _find_common_participant(heads):
        return DetectedOwner(name, "the one name in every thread")
    pairs = [thread for thread, head in heads if len(head.people) == _PAIR]
    return _vote_by_titles(pairs) or _find_in_system_lines(threads)


def _find_in_profiles(files: Iterable[ExportFile], people: set[str]) -> str | None:
    names: list[str] = []
    for file in files:
        with suppress(ChatExportError):
            data = file.read()
            raw, repair = decode_json(data, _JSON, file.label), make_repair(data)
            # Labels are in the account's language, so only accept participants' names.
            names += [repair(name) for name in _iter_profile_names(raw)] or [
                n for n in map(repair, _read_labeled_values(raw)) if n in people
            ]
    # Exports from different years or platforms can have different names.
    return next((name for name in names if name in people), next(iter(names), None))


def _iter_profile_names(raw: Any) -> Iterator[str]:
    for path in _NAMES_IN_PROFILES:
        value = raw
        with suppress(LookupError, TypeError):
            for key in path:
                value = value[key]
            if isinstance(value, str) and value.strip():
                yield value


def _read_labeled_values(raw: Any) -> list[str]:
    """Return the values in profiles of the newer, generic format."""
    entries: list[Any] = []
    with suppress(LookupError, TypeError):
        entries += raw["label_values"]
    with suppress(LookupError, TypeError, AttributeError):
        entries += raw["profile_user"][0]["string_map_data"].values()
    values = [entry.get("value") for entry in entries if isinstance(entry, dict)]
    return [value for value in values if isinstance(value, str)]


def _find_common_participant(heads: list[tuple[Thread, Head]]) -> str | None:
    """Return the only name in all threads, except groups that the owner has left.

    To limit the number of files read, chats of two people come first. Two chats with
    different partners are enough if the heads of all these chats share only one name.
    """
    pairs = [
        (t, head)
        for t, head in heads
        if len(head.people) == _PAIR and head.active_people
    ]
    groups = [(t, head) for t, head in heads if len(head.people) > _PAIR]
    candidate = _find_common_name([head.active_people for _, head in pairs])
    people_sets: list[frozenset[str]] = []
    for thread, head in pairs:
        if _has_owner(thread):
            people_sets.append(head.active_people)
            if candidate and len(set(people_sets)) > 1:
                return candidate
    if name := _find_common_name(people_sets):
        return name
    people_sets += [
        head.active_people for t, head in groups if head.active_people and _has_owner(t)
    ]
    return _find_common_name(people_sets)


def _has_owner(thread: Thread) -> bool:
    # Groups do not list former members.
    head = thread.head(is_full=True)
    return head is not None and not head.has_left


def _find_common_name(sets: list[frozenset[str]]) -> str | None:
    """Return the only name that two or more sets have in common."""
    common = frozenset.intersection(*sets) if len(sets) > 1 else frozenset()
    return next(iter(common)) if len(common) == 1 else None


def _vote_by_titles(pairs: Iterable[Thread]) -> DetectedOwner | None:
    """Take a vote among one-to-one threads, whose title is the other person's name."""
    votes: Counter[DetectedOwner] = Counter()
    for head in filter(None, (thread.head(is_full=True) for thread in pairs)):
        first, second, *_ = (*dict.fromkeys(head.participants), "", "")
        title = head.title or ""  # Deleted accounts can have no name.
        if title == second:
            vote = DetectedOwner(first, "titles")
        elif title == first:
            vote = DetectedOwner(second, "titles")
        elif head.is_e2ee:
            vote = DetectedOwner(first, "first participant")
        else:
            continue
        if vote.id and not is_deleted_account(vote.id):
            votes[vote] += 1
    ranked = votes.most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _find_in_system_lines(threads: Iterable[Thread]) -> DetectedOwner | None:
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
            counts = Counter(
                message.sender
                for message in messages
                if message.sender
                and is_by_owner(message.text)
                and reader.classify(message.text, message.sender)
            )
            for name, _ in counts.most_common(1):
                return DetectedOwner(name, "system lines")
    return None

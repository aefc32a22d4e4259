"""Look up names in exports that were read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from langchain_chatexports.chat_loaders.names import NameIndex, name_key
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.datasets.person import MissedNamesError
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.workflows.chat_filter import ChatFilter, index_names


def correct_names(
    chats: ChatFilter,
    ai: Iterable[str],
    readings: Collection[Reading],
    error: SenderNotFoundError,
    senders: Collection[str] = (),
) -> tuple[ChatFilter, tuple[str, ...]]:
    """Replace names after a pass that failed by those that they refer to.

    Loaders only know names in full, since they read an export once. Unknown and
    ambiguous names are not changed.
    """
    known_names = index_names(readings)
    missed_names = error.names if isinstance(error, MissedNamesError) else ()
    corrected_chats = replace(
        chats,
        include=_correct(chats.include, known_names),
        exclude=_correct(chats.exclude, known_names),
    )
    corrected_ai = _correct(ai, index_names(readings, senders or error.senders))
    return corrected_chats, (*corrected_ai, *missed_names)


def _correct(names: Iterable[str], index: NameIndex[frozenset[str]]) -> tuple[str, ...]:
    corrected: list[str] = []
    for name in names:
        found = index.find(name)
        is_full = any(
            name_key(name) in map(name_key, index.names(id_)) for id_ in found
        )
        corrected += [name] if is_full or len(found) != 1 else sorted(found[0])
    return tuple(corrected)

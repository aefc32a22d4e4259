"""Find chats that two phones exported, under other names of the same people.

Loaders join exports of one chat by names and texts. On each phone the other person has
the name of its address book. Then only texts and times agree.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from itertools import combinations
from typing import Any, NamedTuple

_MINUTE = 60
# Short texts such as "ok" are sent to many people in the same minute.
_MIN_CHARACTERS = 8
_MIN_EQUAL = 5
_MIN_SHARE = 0.2
# Only the texts of a chat with the smallest hashes are compared.
_MAX_COMPARED = 300


class TwinChat(NamedTuple):
    """A chat of two people that may be in another export, too."""

    id: str
    title: str
    people: frozenset[str]
    texts: frozenset[int]
    """Hashes of texts with their minutes."""


class Twins(NamedTuple):
    """Two chats that are the same one, exported from two phones."""

    one: TwinChat
    other: TwinChat

    def not_learned(self, voice: str | None, people: Iterable[str] = ()) -> TwinChat:
        """Return the chat to leave out; learned is the one with the voice and people.

        `people` are those whose chats are chosen; empty for all.
        """
        chosen = {*people}

        def fit(chat: TwinChat) -> tuple[bool, int]:
            return voice in chat.people, len(chat.people & chosen)

        return self.one if fit(self.other) > fit(self.one) else self.other


class TwinFinder:
    """Collects the chats of an export, and finds twins among them."""

    def __init__(self) -> None:
        self._chats: list[TwinChat] = []

    def add(self, session: Mapping[str, Any]) -> None:
        """Add a chat, unless it is a group."""
        about = session.get("metadata") or {}
        if about.get("is_group"):
            return
        texts = {
            hash((time // _MINUTE, message.content))
            for message in session["messages"]
            if len(message.content) >= _MIN_CHARACTERS
            and isinstance(time := message.additional_kwargs.get("message_time"), int)
        }
        people = frozenset(about.get("participants", ()))
        least = frozenset(nsmallest(_MAX_COMPARED, texts))
        name = str(about.get("id", ""))
        self._chats.append(
            TwinChat(name, str(about.get("title") or name), people, least)
        )

    def twins(self) -> list[Twins]:
        places = defaultdict(list)
        for place, chat in enumerate(self._chats):
            for text in chat.texts:
                places[text].append(place)
        pairs = Counter(
            pair for found in places.values() for pair in combinations(found, 2)
        )
        return [
            Twins(self._chats[one], self._chats[other])
            for (one, other), equal in sorted(pairs.items())
            if equal >= _MIN_EQUAL and self._is_one_chat(one, other, equal)
        ]

    def _is_one_chat(self, one: int, other: int, equal: int) -> bool:
        texts, others = self._chats[one].texts, self._chats[other].texts
        # Above the lower maximum, the smallest hashes of the longer chat are missing.
        limit = min(max(texts), max(others))
        comparable = min(sum(t <= limit for t in found) for found in (texts, others))
        return equal >= _MIN_SHARE * comparable

"""Find chats that were exported from both people's phones.

Loaders merge exports of one chat by names and text. Names differ here, because each
phone uses its own address book: only text and times are the same.
"""

from collections import Counter, defaultdict
from heapq import nsmallest
from itertools import combinations
from typing import NamedTuple

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.chat_loaders.schema import metadata_of

_MINUTE = 60
# Short texts such as "ok" are sent to many people in the same minute.
_MIN_CHARACTERS = 8
_MIN_EQUAL = 5
_MIN_SHARE = 0.2
# Only the smallest hashes of a chat are compared.
_MAX_COMPARED = 300


class ComparableChat(NamedTuple):
    """A one-to-one chat, with hashes for finding duplicates."""

    id: str
    title: str
    people: frozenset[str]
    texts: frozenset[int]
    """Hashes of message texts with their minutes."""


class DuplicateChats(NamedTuple):
    """The same chat, exported from two phones."""

    first: ComparableChat
    second: ComparableChat

    def chat_to_exclude(self, voice: str) -> ComparableChat:
        """Return the chat to exclude: the one without the person's name."""
        is_of_second = voice in self.second.people and voice not in self.first.people
        return self.first if is_of_second else self.second


class DuplicateFinder:
    """Finds chats that were exported from both phones."""

    def __init__(self) -> None:
        self._chats: list[ComparableChat] = []

    def add(self, session: ChatSession) -> None:
        """Add a chat, unless it is a group."""
        metadata = metadata_of(session)
        if metadata.get("is_group"):
            return
        texts = {
            hash((time // _MINUTE, message.content))
            for message in session["messages"]
            if len(message.content) >= _MIN_CHARACTERS
            and isinstance(time := message.additional_kwargs.get("message_time"), int)
        }
        people = frozenset(metadata.get("participants", ()))
        smallest = frozenset(nsmallest(_MAX_COMPARED, texts))
        name = str(metadata.get("id", ""))
        self._chats.append(
            ComparableChat(name, str(metadata.get("title") or name), people, smallest)
        )

    def find(self) -> list[DuplicateChats]:
        """Return the pairs of chats that are the same."""
        indexes_by_text = defaultdict(list)
        for index, chat in enumerate(self._chats):
            for text in chat.texts:
                indexes_by_text[text].append(index)
        common_texts = Counter(
            pair
            for indexes in indexes_by_text.values()
            for pair in combinations(indexes, 2)
        )
        return [
            DuplicateChats(self._chats[first], self._chats[second])
            for (first, second), count in sorted(common_texts.items())
            if count >= _MIN_EQUAL and self._is_same_chat(first, second, count)
        ]

    def _is_same_chat(self, first: int, second: int, common_texts: int) -> bool:
        chats = self._chats[first].texts, self._chats[second].texts
        # Above the lower maximum, hashes of the longer chat may be missing.
        limit = min(map(max, chats))
        comparable = min(sum(text <= limit for text in texts) for texts in chats)
        return common_texts >= _MIN_SHARE * comparable

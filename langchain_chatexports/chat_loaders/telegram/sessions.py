"""The sessions of a chat: one, or one a topic."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports._fast.strings import new_tuple
from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
    export_message,
    message_time,
)
from langchain_chatexports.chat_loaders.telegram.records import (
    PLAIN_KEYS,
    author_of,
    clean,
    extra_of,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from langchain_core.messages import HumanMessage

    from langchain_chatexports.chat_loaders.base import (
        ChatExportLoader,
        ExportSession,
        MessageTime,
    )
    from langchain_chatexports.chat_loaders.telegram.chats import Chat
    from langchain_chatexports.chat_loaders.telegram.owner import FoundOwner
    from langchain_chatexports.chat_loaders.telegram.times import Clock

__all__ = ["SessionBuilder", "Switches"]

_MICROSECONDS = 1_000_000
_TWO_PEOPLE = 2
_AUTHOR = itemgetter(0)


class Switches(NamedTuple):
    """What of a chat is kept, beyond the options of every loader.

    Attributes:
        bots: Chats with bots, and what bots wrote in groups.
        channels: Channels.
        topics_apart: Each topic of a group is a session.
    """

    bots: bool
    channels: bool
    topics_apart: bool


class _Record(NamedTuple):
    """What becomes a message."""

    author: str
    text: str
    seconds: int | None
    number: int | None
    extra: dict[str, Any] | None


class SessionBuilder:
    """Builds the sessions of one chat; its messages are added block by block."""

    def __init__(
        self,
        loader: ChatExportLoader,
        chat: Chat,
        owner: FoundOwner | None,
        *,
        clock: Clock,
        switches: Switches,
        bots: Collection[str] = (),
    ) -> None:
        """Initialize the builder for one chat.

        Args:
            loader: Whose options say what to keep.
            chat: Which chat.
            owner: Whose export it is, if known.
            clock: Reads times.
            switches: What is kept beyond those options.
            bots: Ids of bots.
        """
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self.types: Counter[str] = Counter()
        """Records that no person wrote, by type."""

        self._loader = loader
        self._chat = chat
        self._owner = owner
        self._clock = clock
        self._switches = switches
        self._bots = bots
        self._names: dict[str, str] = {}
        self._is_mine: dict[str, bool] = {}
        self._threads: dict[int, list[_Record]] = {}
        self._topics: dict[int, int] = {}
        self._topic_titles: dict[int, str] = {}
        self._reason = self._reason_to_skip_all()

    def add(self, block: Iterable[Any]) -> None:
        """Add messages, in the file's order."""
        if self._reason:
            self._skip_all(block, self._reason)
            return
        loader, seconds_of, names = self._loader, self._clock.seconds, self._names
        has_bounds = loader.start is not None or loader.end is not None
        is_plain, bots = PLAIN_KEYS.issuperset, self._bots
        are_topics_apart = self._switches.topics_apart
        thread = self._threads.setdefault(0, [])
        for raw in block:
            self.found += 1
            if not isinstance(raw, dict):
                self.skipped["unreadable"] += 1
                continue
            author, number, text = raw.get("from_id"), raw.get("id"), raw.get("text")
            author = author if type(author) is str else author_of(raw)
            if not names.get(author):
                self._meet(author, raw)
            if are_topics_apart:
                thread = self._thread_of(raw, number)
            extra: dict[str, Any] | None = None
            # Most messages are nothing but text: these take no further call.
            if type(text) is not str or not text.isascii() or not text.strip():
                text = text_of(raw)
            is_typed = text and raw.get("type") == "message"
            if not is_typed or not is_plain(raw) or author in bots:
                text, extra = self._read_closely(raw, author, text)
                if not text:
                    continue
            number = number if type(number) is int else None
            seconds = seconds_of(raw)
            if has_bounds and not loader.keeps_time(_moment(seconds)):
                self.skipped["excluded"] += 1
                continue
            record = (author, text, seconds, number, extra)
            thread.append(new_tuple(_Record, record))

    def sessions(self) -> Iterator[ExportSession]:
        """Yield the sessions of which something is kept; once, at the end."""
        chat, loader = self._chat, self._loader
        everybody: dict[str, None] = {}
        for records in self._threads.values():
            everybody.update(dict.fromkeys(map(_AUTHOR, records)))
        shown = self._names_told_apart(everybody)
        people = list(dict.fromkeys(shown.values()))
        names = [*people, *self._bare_id()]
        if not loader.keeps_conversation(chat.id, chat.title, names):
            damaged = self.skipped["unreadable"]
            self.skipped.clear()
            self.skipped.update(excluded=self.found - damaged, unreadable=damaged)
            return
        while self._threads:
            topic = next(iter(self._threads))
            records = self._threads.pop(topic)
            if not records:
                continue
            authors = dict.fromkeys(map(_AUTHOR, records))
            messages = list(self._messages(records, shown))
            inside = list(dict.fromkeys(shown[author] for author in authors))
            session: ExportSession = {
                "messages": messages,
                "metadata": {
                    "id": f"{chat.id}:{topic}" if topic else chat.id,
                    "title": self._title(topic),
                    "platform": loader.platform,
                    "participants": inside,
                    "owner": self._owner_in(shown),
                    "is_group": self._is_group(len(inside)),
                },
            }
            del messages
            held = [session]
            del session
            yield held.pop()  # Only the caller keeps it in memory.

    def _messages(
        self, records: list[_Record], shown: Mapping[str, str]
    ) -> Iterator[HumanMessage]:
        prefix, is_mine = f"{self._chat.id}:", self._is_mine
        records.reverse()
        while records:
            author, text, seconds, number, extra = records.pop()
            yield export_message(
                text,
                sender=shown[author],
                moment=_moment(seconds),
                is_from_me=is_mine.get(author),
                message_id=None if number is None else f"{prefix}{number}",
                extra=extra,
            )

    def _reason_to_skip_all(self) -> str:
        if self._chat.is_channel and not self._switches.channels:
            return "channel"
        return "bot" if self._chat.is_of_bot and not self._switches.bots else ""

    def _skip_all(self, block: Iterable[Any], reason: str) -> None:
        for raw in block:
            self.found += 1
            self.skipped[reason if isinstance(raw, dict) else "unreadable"] += 1

    def _meet(self, author: str, raw: Mapping[str, Any]) -> None:
        name = clean(raw.get("from") or raw.get("actor"))
        self._names[author] = name
        if self._owner:
            self._is_mine[author] = self._owner.wrote_as(author, name)

    def _thread_of(self, raw: Mapping[str, Any], number: object) -> list[_Record]:
        if not isinstance(number, int):
            return self._threads[0]
        # A message is in the topic that its chain of replies ends at.
        answered = raw.get("reply_to_message_id")
        # One in another chat can have the same number.
        is_here = (raw.get("reply_to_peer_id") or self._chat.id) == self._chat.id
        topic = 0
        if isinstance(answered, int) and is_here:
            topic = self._topics.get(answered, 0)
        if raw.get("action") == "topic_created":
            topic = number
            self._topic_titles[topic] = clean(raw.get("title"))
        elif raw.get("action") == "topic_edit" and clean(raw.get("new_title")):
            self._topic_titles[topic] = clean(raw.get("new_title"))
        if topic:
            self._topics[number] = topic
        return self._threads.setdefault(topic, [])

    def _read_closely(
        self, raw: dict[str, Any], author: str, text: str
    ) -> tuple[str, dict[str, Any] | None]:
        """Return text and extra keys of a message that is more than plain text."""
        if raw.get("type") != "message":
            return self._not_typed(raw, text)
        extra = extra_of(raw, self._chat.id)
        if author in self._bots or (text and raw.get("via_bot")):
            return self._of_bot(text), extra
        return text or self._placeholder(extra), extra

    def _not_typed(
        self, raw: Mapping[str, Any], text: str
    ) -> tuple[str, dict[str, Any] | None]:
        """Return the text of what the app wrote, empty if it is left out."""
        kind = clean(raw.get("type"))
        if kind == "unsupported":
            # Nothing is known of it but an id.
            self.types[kind] += 1
            self.skipped["empty"] += 1
            return "", None
        action = clean(raw.get("action")) or kind or "unknown"
        self.types[action] += 1
        if not self._loader.include_system:
            self.skipped["system"] += 1
            return "", None
        text = text or clean(raw.get("information_text"))
        return text or f"[{action.replace('_', ' ')}]", {"system": action}

    def _of_bot(self, text: str) -> str:
        if self._switches.bots and text:
            return text
        self.types["bot"] += 1
        self.skipped["bot"] += 1
        return ""

    def _placeholder(self, extra: Mapping[str, Any]) -> str:
        """Return what stands for a message without text, empty if it is left out."""
        attachments = extra.get("attachments", ())
        if attachments and self._loader.include_media:
            return " ".join(f"[{item['type']}]" for item in attachments)
        self.skipped["media" if attachments else "empty"] += 1
        return ""

    def _names_told_apart(self, authors: Iterable[str]) -> dict[str, str]:
        """Return the name to show of each author; two of one name get their ids."""
        names = {author: self._names[author] or UNKNOWN_SENDER for author in authors}
        counts = Counter(names.values())
        return {
            author: f"{name} ({author})" if counts[name] > 1 and author else name
            for author, name in names.items()
        }

    def _bare_id(self) -> list[str]:
        digits = self._chat.id.lstrip("abcdefghijklmnopqrstuvwxyz_")
        return [digits] if digits else []

    def _owner_in(self, shown: Mapping[str, str]) -> str | None:
        if self._owner is None:
            return None
        # With the id, where somebody else in the chat has the name, too.
        mine = (name for author, name in shown.items() if self._is_mine.get(author))
        return next(mine, self._owner.name)

    def _title(self, topic: int) -> str | None:
        title, name = self._chat.title, self._topic_titles.get(topic)
        return f"{title}: {name}" if topic and name and title else name or title

    def _is_group(self, people: int) -> bool:
        is_group = self._chat.is_group
        return people > _TWO_PEOPLE if is_group is None else is_group


def _moment(seconds: int | None) -> MessageTime | None:
    return None if seconds is None else message_time(seconds * _MICROSECONDS)

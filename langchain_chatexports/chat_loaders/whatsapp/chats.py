"""The messages, people and owner of a chat."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import NamedTuple

from langchain_chatexports.chat_loaders.local_times import HOUR, LocalClock
from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.whatsapp.content import Content, ContentReader
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    APP_MARKS,
    DELETED_BY_OWNER,
    YOU,
    phrase_key,
    strip_marks,
    to_plain_text,
)
from langchain_chatexports.chat_loaders.whatsapp.records import Records

_DAY = 86_400
_MICROSECONDS = 1_000_000
_TWO_PEOPLE = 2
_QUOTE_PAIR = 2
_NAME_END = ": "
_MIN_NAME_LINES = 3
_MAX_NAME_LENGTH = 120
_QUOTES = ('"', "\u201c\u201d\u201e", "\u00ab\u00bb", "\u300c\u300d")
_ALL_QUOTES = frozenset("".join(_QUOTES))
_WEB_NOTICE_PREFIX = "- "
# The notice about encryption is the only one in one-to-one chats.
_MAX_ONE_TO_ONE_NOTICES = 1
# In a shorter chat, most messages may be from the app.
_MIN_RECORDS_FOR_MARKS = 10
_HYPHENS = str.maketrans("\u2010\u2011", "--")
_SPACES = re.compile(r"\s+")
_PROFILE_PREFIX = re.compile(r"~\s?")
_NON_LETTERS = re.compile(r"[\W_]+")


def clean_name(raw_name: str) -> str:
    """Remove marks from a name or phone number, and normalize spaces and hyphens."""
    return _SPACES.sub(" ", strip_marks(raw_name)).translate(_HYPHENS).strip()


def name_words(name: str) -> tuple[str, ...]:
    """Return the sorted words of a name, to compare the names of chats and people.

    The order of given and family name depends on the phone's language, and file names
    contain underscores.
    """
    name = clean_name(name)
    words = _NON_LETTERS.sub(" ", name).casefold().split()
    return tuple(sorted(words)) or (name,)


class DetectedOwner(NamedTuple):
    """The owner of an export, and how the owner was detected."""

    name: str
    found_by: str


class Senders:
    """Splits lines into sender and text, and finds display names."""

    def __init__(self, heads: Sequence[str], owner: str | None = None) -> None:
        """Learn all names from the lines. A few names contain a colon.

        `owner` is the owner's name, written as "You" by WhatsApp Web.
        """
        self._names_with_colon: set[str] = set()
        self._notice_prefixes: set[str] = set()
        names = self._learn_names(heads) | self._names_with_colon
        sender_names = map(clean_name, names - self._notice_prefixes)
        self._contact_names = {
            name for name in sender_names if not name.startswith("~")
        }
        self._display_names = {
            name: owner if owner and name in YOU else self._get_display_name(name)
            for name in names
        }

    def split(self, head: str) -> tuple[str | None, str]:
        """Return the sender and text of a line. Notices from the app have no sender."""
        name, colon, text = head.partition(_NAME_END)
        if not colon:
            # `Name:` is an empty message, `Name:.` an expired disappearing message.
            prefix = head.removesuffix(".")
            if prefix.endswith(":"):
                return self._get_display_name(prefix[:-1]), ""
            return None, head
        if name in self._notice_prefixes:
            return None, head
        if name in self._display_names:
            return self._display_names[name], text
        suffix, _, text = text.partition(_NAME_END)
        return self._get_display_name(f"{name}{_NAME_END}{suffix}"), text

    def get_handles(self) -> dict[str, set[str]]:
        """Return the names that differ from their display name, by display name."""
        handles: dict[str, set[str]] = {}
        for raw_name, display_name in self._display_names.items():
            if (name := clean_name(raw_name)) != display_name:
                handles.setdefault(display_name, set()).add(name)
        return handles

    def _get_display_name(self, raw_name: str) -> str:
        """Return a name for display.

        `~ Ann` is a profile name, used for people outside the owner's contacts. The
        tilde is removed unless there is another Ann.
        """
        name = clean_name(raw_name)
        if not name.startswith("~"):
            return name
        profile_name = _PROFILE_PREFIX.sub("", name, count=1)
        is_unique = profile_name and profile_name not in self._contact_names
        return profile_name if is_unique else name

    def _learn_names(self, heads: Sequence[str]) -> set[str]:
        """Return the names without a colon, and store those with one."""
        names: set[str] = set()
        suffixes: dict[str, Counter[str]] = {}
        closes_quote: dict[str, bool] = {}
        for head in heads:
            name, colon, text = head.partition(_NAME_END)
            if not colon or (name in names and not closes_quote.get(name)):
                continue
            if closes_quote.get(name, True) and _has_open_quote(name):
                # The app writes, for example, `Ann changed the subject to "A: B"`.
                closes_quote[name] = _has_open_quote(text)
            suffix, second_colon, _ = text.partition(_NAME_END)
            if second_colon and 0 < len(suffix) <= _MAX_NAME_LENGTH:
                suffixes.setdefault(name, Counter())[suffix] += 1
            else:
                names.add(name)
        self._notice_prefixes = {
            name for name, is_closed in closes_quote.items() if is_closed
        }
        for name in suffixes.keys() - names:
            # A name starts every line of its sender, unlike an occasional "PS: ".
            if min(suffixes[name].values()) >= _MIN_NAME_LINES:
                self._names_with_colon |= {
                    f"{name}{_NAME_END}{suffix}" for suffix in suffixes[name]
                }
            else:
                names.add(name)
        return names


class Chat:
    """A chat, read from one file or merged from several."""

    def __init__(
        self,
        records: Records,
        days: Sequence[int | None],
        name: str | None,
        *,
        zone: tzinfo | None = None,
        chat_id: str = "",
        owner: str | None = None,
    ) -> None:
        """Build the messages from the records and the days of their dates.

        `name` is the chat's name from the file name, `zone` the phone's time zone, and
        `owner` the owner's name as given by the user.
        """
        self.id, self.name = chat_id, name
        # The number of messages found in more than one export.
        self.duplicates = 0
        self.has_seconds = all(layout.has_seconds for layout in records.layouts)
        # Counts of "You deleted this message" by sender, who must be the owner.
        self.deletions: Counter[str] = Counter()
        # Whether each sender wrote messages, or is only mentioned in notices.
        self.wrote_messages: dict[str, bool] = {}
        self.has_group_notice = False
        heads = [record.head for record in records.records]
        self.exporter = _detect_exporter(records, heads)
        self._senders = Senders(heads, owner if self.exporter == "web" else None)
        self.handles = self._senders.get_handles()
        self.messages = list(self._read(records, heads, days, zone))
        self.unreadable = [
            Message(None, "", "", "unreadable") for _ in range(records.unreadable_lines)
        ]
        if self.unreadable and self.exporter == "web":
            self.unreadable[0] = Message(None, "", records.leading_line, "system")
        self.embedded_name: str | None = None
        if self.exporter == "ios" and self.messages and _is_notice(self.messages[0]):
            # On iPhones, the sender of the first notice is the chat's name.
            self.embedded_name = self.messages[0].sender or None

    @property
    def title(self) -> str | None:
        """The name of the chat."""
        return self.name or self.embedded_name

    @property
    def people(self) -> list[str]:
        """The people who wrote messages, in the order of their first messages."""
        return [name for name, wrote in self.wrote_messages.items() if name and wrote]

    @property
    def is_group(self) -> bool:
        """Whether the chat appears to be a group."""
        people = {*self.people}
        if self.embedded_name is not None:
            people.add(self.embedded_name)  # In a one-to-one chat, the other person.
        return self.has_group_notice or len(people) > _TWO_PEOPLE

    def find_owner(self, *, is_complete: bool = True) -> DetectedOwner | None:
        """Return the owner, or `None` if the chat does not identify the owner.

        `is_complete` is false if only the beginning of the chat was read.
        """
        people = self.people
        if self.exporter == "web" and (you := [name for name in people if name in YOU]):
            return DetectedOwner(you[0], "the sender You")
        for name, _ in self.deletions.most_common(1):
            return DetectedOwner(name, "deleted messages")
        titles = {name_words(name) for name in (self.name, self.embedded_name) if name}
        other_people = [name for name in people if name_words(name) not in titles]
        is_one_to_one = len(people) == _TWO_PEOPLE
        if len(people) == 1 and is_complete and not self.is_group:
            is_one_to_one = (
                sum(map(_is_notice, self.messages)) <= _MAX_ONE_TO_ONE_NOTICES
            )
        # A one-to-one chat is named after the other person.
        if titles and is_one_to_one and len(other_people) == 1:
            return DetectedOwner(other_people[0], "the chat's name")
        return None

    def add_older_export(self, older_chat: "Chat") -> None:
        """Add the people and properties from an older export of this chat."""
        for name, wrote in self.wrote_messages.items():
            older_chat.wrote_messages[name] = (
                older_chat.wrote_messages.get(name, False) or wrote
            )
        self.wrote_messages = older_chat.wrote_messages
        self.deletions |= older_chat.deletions
        self.embedded_name = self.embedded_name or older_chat.embedded_name
        self.has_group_notice = self.has_group_notice or older_chat.has_group_notice
        self.handles |= older_chat.handles
        self.unreadable += older_chat.unreadable

    def pop_messages(self) -> Iterator[Message]:
        """Yield the messages, and remove each from the chat to free memory."""
        yield from self.unreadable
        people = {*self.people}
        self.messages.reverse()
        while self.messages:
            message = self.messages.pop()
            if message.kind == "system" and message.sender not in people:
                message.sender = ""  # iPhones write the group's name.
            yield message
        for _ in range(self.duplicates):
            yield Message(None, "", "", "duplicate")

    def _read(
        self,
        records: Records,
        heads: list[str],
        days: Sequence[int | None],
        zone: tzinfo | None,
    ) -> Iterator[Message]:
        split, is_web = self._senders.split, self.exporter == "web"
        read = ContentReader(
            self.exporter, keyboard_types_marks=_keyboard_types_marks(heads)
        ).read
        wrote_messages, clock = self.wrote_messages, LocalClock(zone)
        to_utc, get_offset = clock.utc, clock.offsets.get
        for date, seconds, _, head, tail in records.records:
            day, time = days[date], None
            if day is not None:
                local = day * _DAY + seconds
                offset = get_offset(local // HOUR)
                utc = to_utc(local) if offset is None else local - offset
                time = None if utc is None else utc * _MICROSECONDS
            name, text = split(head)
            if name is None or (is_web and head.startswith(_WEB_NOTICE_PREFIX)):
                name, text = (
                    None,
                    head.removeprefix(_WEB_NOTICE_PREFIX if is_web else ""),
                )
            if tail is not None:
                text = f"{text}\n{tail}" if text else tail
            if name is None:
                notice = to_plain_text(text).strip()
                content: Content | None = Content(
                    "system", notice, {"system": "notice"}
                )
            else:
                content = read(text)
            if content is None:
                wrote_messages[name or ""] = True
                yield Message(time, name or "", text)
            else:
                yield self._build_message(time, name or "", content)

    def _build_message(self, time: int | None, name: str, content: Content) -> Message:
        kind, text, extra = content.kind, content.text, content.extra or {}
        system = extra.get("system")
        wrote = self.wrote_messages.get(name, False)
        self.wrote_messages[name] = wrote or system in (None, "call")
        if system == "notice":
            # In every language, notices about groups quote the group's name.
            quote_marks = sum(mark in _ALL_QUOTES for mark in text)
            self.has_group_notice = self.has_group_notice or quote_marks >= _QUOTE_PAIR
        elif kind == "unsent":
            if phrase_key(text) in DELETED_BY_OWNER:
                self.deletions[name] += 1
            text = ""  # Drop the app's phrase.
        return Message(time, name, text, kind, extra=extra)


def _is_notice(message: Message) -> bool:
    return message.extra.get("system") == "notice"


def _detect_exporter(records: Records, heads: Sequence[str]) -> str:
    """Return which app exported a file: `ios`, `android` or `web`."""
    frame = records.layouts[0].frame
    if frame != "[":
        return "android" if frame == "-" else "ios"
    if any(f": {mark}" in head for head in heads for mark in APP_MARKS):
        return "ios"
    is_web = any(head.startswith(_WEB_NOTICE_PREFIX) for head in heads)
    return "web" if is_web or records.leading_line else "ios"


def _keyboard_types_marks(heads: Sequence[str]) -> bool:
    """Return whether most messages begin with a right-to-left mark.

    If so, the mark is typed by the phone's keyboard, not only written by the app.
    """
    count = sum(": \u200f" in head for head in heads)
    return len(heads) >= _MIN_RECORDS_FOR_MARKS and count * 2 > len(heads)


def _has_open_quote(text: str) -> bool:
    # Count opening and closing quotes together: German ends with English opening ones.
    quotes = _QUOTES[:1] if text.isascii() else _QUOTES
    return any(sum(map(text.count, marks)) % 2 for marks in quotes)

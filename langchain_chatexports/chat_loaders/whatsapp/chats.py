"""A chat: its messages, people and owner."""

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
    plain_text,
    without_marks,
)
from langchain_chatexports.chat_loaders.whatsapp.records import Records

_DAY = 86_400
_MICROSECONDS = 1_000_000
_PAIR = 2
_NAME_END = ": "
_MIN_LINES_OF_NAME = 3
_MAX_NAME = 120
_QUOTES = ('"', "\u201c\u201d\u201e", "\u00ab\u00bb", "\u300c\u300d")
_ALL_QUOTES = frozenset("".join(_QUOTES))
_WEB_SYSTEM = "- "
# Chats of two also have the notice about encryption.
_MAX_NOTICES_OF_PAIR = 1
# In a chat with fewer messages, most of them are by the app.
_MIN_RECORDS_FOR_MARKS = 10
_HYPHENS = str.maketrans("\u2010\u2011", "--")
_SPACES = re.compile(r"\s+")
_PROFILE = re.compile(r"~\s?")
_NO_LETTER = re.compile(r"[\W_]+")


def clean_name(raw: str) -> str:
    """Return a name or number without marks, with plain spaces and hyphens."""
    return _SPACES.sub(" ", without_marks(raw)).translate(_HYPHENS).strip()


def words_of_name(name: str) -> tuple[str, ...]:
    """Return the sorted words of a name, by which chats and people are compared.

    The order of given and family name depends on the phone's language, and file names
    have underscores.
    """
    clean = clean_name(name)
    return tuple(sorted(_NO_LETTER.sub(" ", clean).casefold().split())) or (clean,)


class FoundOwner(NamedTuple):
    """The owner of the export, and how the owner was found."""

    name: str
    found_by: str


class Senders:
    """Splits lines into sender and text, and returns display names."""

    def __init__(self, heads: Sequence[str], you: str | None = None) -> None:
        """Learn the names, some of which contain a colon, from all lines.

        `you` is the name of the owner, whom WhatsApp Web calls "You".
        """
        self._longer: set[str] = set()
        self._system: set[str] = set()
        names = self._learn(heads) | self._longer
        cleaned = map(clean_name, names - self._system)
        self._known = {name for name in cleaned if not name.startswith("~")}
        self._shown = {
            name: you if you and name in YOU else self._show(name) for name in names
        }

    def split(self, head: str) -> tuple[str | None, str]:
        """Return the sender and text of a line; no sender if the app wrote it."""
        name, colon, text = head.partition(_NAME_END)
        if not colon:
            # `Name:` is an empty message, `Name:.` one that has disappeared.
            bare = head.removesuffix(".")
            return (self._show(bare[:-1]), "") if bare[-1:] == ":" else (None, head)
        if name in self._system:
            return None, head
        if name in self._shown:
            return self._shown[name], text
        more, _, text = text.partition(_NAME_END)
        return self._show(f"{name}{_NAME_END}{more}"), text

    def handles(self) -> dict[str, set[str]]:
        """Return the written forms of names that are displayed differently."""
        found: dict[str, set[str]] = {}
        for raw, shown in self._shown.items():
            if (clean := clean_name(raw)) != shown:
                found.setdefault(shown, set()).add(clean)
        return found

    def _show(self, raw: str) -> str:
        """Return the display name.

        `~ Ann` is the name that a person chose for herself, if she is not in the
        owner's contacts. It is shown without the tilde unless there is another Ann.
        """
        clean = clean_name(raw)
        own = _PROFILE.sub("", clean, count=1)
        return own if clean[:1] == "~" and own and own not in self._known else clean

    def _learn(self, heads: Sequence[str]) -> set[str]:
        """Return the names that end at the first colon, and remember the others."""
        names: set[str] = set()
        longer: dict[str, Counter[str]] = {}
        closes_quote: dict[str, bool] = {}
        for head in heads:
            name, colon, text = head.partition(_NAME_END)
            if not colon or (name in names and not closes_quote.get(name)):
                continue
            if closes_quote.get(name, True) and _has_open_quote(name):
                # The app writes lines such as `Ann changed the subject to "A: B"`.
                closes_quote[name] = _has_open_quote(text)
            more, second, _ = text.partition(_NAME_END)
            if second and 0 < len(more) <= _MAX_NAME:
                longer.setdefault(name, Counter())[more] += 1
            else:
                names.add(name)
        self._system = {name for name, closes in closes_quote.items() if closes}
        for name in longer.keys() - names:
            # All lines of the person have it, unlike an occasional "PS: ".
            if min(longer[name].values()) >= _MIN_LINES_OF_NAME:
                self._longer |= {f"{name}{_NAME_END}{more}" for more in longer[name]}
            else:
                names.add(name)
        return names


class Chat:
    """The chat in a file."""

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
        """Build the messages from records and the days of their dates.

        `name` is the chat's name in the file name, `zone` the phone's time zone, and
        `owner` the name given by the user.
        """
        self.id, self.name = chat_id, name
        # The number of messages in older exports that newer ones repeat.
        self.duplicates = 0
        self.has_seconds = all(layout.has_seconds for layout in records.layouts)
        # The number of "You deleted this message" by sender, who is the owner.
        self.deletions: Counter[str] = Counter()
        # Whether each sender wrote a message, and is not only in the app's lines.
        self.has_written: dict[str, bool] = {}
        self.has_group_notice = False
        heads = [record.head for record in records.records]
        self.form = _form_of(records, heads)
        self._senders = Senders(heads, owner if self.form == "web" else None)
        self.handles = self._senders.handles()
        self.messages = list(self._read(records, heads, days, zone))
        self.lost = [
            Message(None, "", "", "unreadable") for _ in range(records.lost_lines)
        ]
        if self.lost and self.form == "web":
            self.lost[0] = Message(None, "", records.leading, "system")
        first = next(iter(self.messages), None)
        is_named = self.form == "ios" and first is not None and _is_notice(first)
        # The chat's name: on iPhones the sender of the first line.
        self.inner_name = first.sender or None if first and is_named else None

    @property
    def title(self) -> str | None:
        """The name of the chat."""
        return self.name or self.inner_name

    @property
    def people(self) -> list[str]:
        """The people who wrote, in the order of their first messages."""
        return [name for name, wrote in self.has_written.items() if name and wrote]

    @property
    def is_group(self) -> bool:
        """Whether the chat appears to be a group."""
        people, inner = self.people, self.inner_name
        is_silent = inner is not None and inner not in people
        return self.has_group_notice or len(people) + is_silent > _PAIR

    def owner(self, *, is_whole: bool = True) -> FoundOwner | None:
        """Return the owner, if the chat or its beginning shows who it is."""
        people = self.people
        if self.form == "web" and (you := [name for name in people if name in YOU]):
            return FoundOwner(you[0], "the sender You")
        for name, _ in self.deletions.most_common(1):
            return FoundOwner(name, "deleted messages")
        titles = {words_of_name(name) for name in (self.name, self.inner_name) if name}
        others = [name for name in people if words_of_name(name) not in titles]
        is_pair = len(people) == _PAIR
        if len(people) == 1 and is_whole and not self.is_group:
            is_pair = sum(map(_is_notice, self.messages)) <= _MAX_NOTICES_OF_PAIR
        # A chat of two is named after the other person.
        if titles and is_pair and len(others) == 1:
            return FoundOwner(others[0], "the chat's name")
        return None

    def add_older(self, older: "Chat") -> None:
        """Add the people and properties of an older export of the chat."""
        for name, wrote in self.has_written.items():
            older.has_written[name] = older.has_written.get(name, False) or wrote
        self.has_written = older.has_written
        self.deletions |= older.deletions
        self.inner_name = self.inner_name or older.inner_name
        self.has_group_notice = self.has_group_notice or older.has_group_notice
        self.handles |= older.handles
        self.lost += older.lost

    def pop_messages(self) -> Iterator[Message]:
        """Yield the messages, and keep no reference to them."""
        yield from self.lost
        people = {*self.people}
        self.messages.reverse()
        while self.messages:
            message = self.messages.pop()
            if message.kind == "system" and message.sender not in people:
                message.sender = ""  # On iPhones it is the group's name.
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
        split, is_web = self._senders.split, self.form == "web"
        read = ContentReader(self.form, is_mark_typed=_is_mark_typed(heads)).read
        has_written, clock = self.has_written, LocalClock(zone)
        to_utc, offset_of = clock.utc, clock.offsets.get
        for date, seconds, _, head, tail in records.records:
            day, time = days[date], None
            if day is not None:
                local = day * _DAY + seconds
                offset = offset_of(local // HOUR)
                utc = to_utc(local) if offset is None else local - offset
                time = None if utc is None else utc * _MICROSECONDS
            name, text = split(head)
            if name is None or (is_web and head.startswith(_WEB_SYSTEM)):
                name, text = None, head.removeprefix(_WEB_SYSTEM if is_web else "")
            if tail is not None:
                text = f"{text}\n{tail}" if text else tail
            if name is None:
                bare = plain_text(text).strip()
                content: Content | None = Content("system", bare, {"system": "notice"})
            else:
                content = read(text)
            if content is None:
                has_written[name or ""] = True
                yield Message(time, name or "", text)
            else:
                yield self._special(time, name or "", content)

    def _special(self, time: int | None, name: str, content: Content) -> Message:
        kind, text, extra = content.kind, content.text, content.extra or {}
        what = extra.get("system")
        wrote = self.has_written.get(name, False)
        self.has_written[name] = wrote or what in (None, "call")
        if what == "notice":
            # In every language, notices quote the group's name.
            quotes = sum(mark in _ALL_QUOTES for mark in text)
            self.has_group_notice = self.has_group_notice or quotes >= _PAIR
        elif kind == "unsent":
            if phrase_key(text) in DELETED_BY_OWNER:
                self.deletions[name] += 1
            text = ""  # The app wrote it.
        return Message(time, name, text, kind, extra=extra)


def _is_notice(message: Message) -> bool:
    return message.extra.get("system") == "notice"


def _form_of(records: Records, heads: Sequence[str]) -> str:
    """Return the exporter of a file: `ios`, `android` or `web`."""
    frame = records.layouts[0].frame
    if frame != "[":
        return "android" if frame == "-" else "ios"
    if any(f": {mark}" in head for head in heads for mark in APP_MARKS):
        return "ios"
    is_web = any(head.startswith(_WEB_SYSTEM) for head in heads)
    return "web" if is_web or records.leading else "ios"


def _is_mark_typed(heads: Sequence[str]) -> bool:
    """Return whether most texts begin with a right-to-left mark.

    If so, the phone's keyboard writes the mark, and not only the app.
    """
    with_mark = sum(": \u200f" in head for head in heads)
    return len(heads) >= _MIN_RECORDS_FOR_MARKS and with_mark * 2 > len(heads)


def _has_open_quote(text: str) -> bool:
    # Count each kind, since German closes quotations with an English opening mark.
    quotes = _QUOTES[:1] if text.isascii() else _QUOTES
    return any(sum(map(text.count, marks)) % 2 for marks in quotes)

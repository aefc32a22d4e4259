"""The messages, people and owner of a chat."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import cached_property

from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.messages import DetectedOwner, Message
from langchain_chatexports.chat_loaders.whatsapp.content import ContentReader
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    APP_MARKS,
    DELETED_BY_OWNER,
    YOU,
    phrase_key,
    to_plain_text,
)
from langchain_chatexports.chat_loaders.whatsapp.records import Records
from langchain_chatexports.chat_loaders.whatsapp.senders import (
    ALL_QUOTES,
    Senders,
    name_words,
)

_DAY = 86_400
_TWO_PEOPLE = 2
_QUOTE_PAIR = 2
_WEB_NOTICE_PREFIX = "- "
# The notice about encryption is the only one in one-to-one chats.
_MAX_ONE_TO_ONE_NOTICES = 1
# In a shorter chat, most messages may be from the app.
_MIN_RECORDS_FOR_MARKS = 10
_MIN_OMITTED = 3


@dataclass(frozen=True)
class Chat:
    """A chat, parsed from one export or merged from several."""

    id: str
    name: str | None
    """The name in the file name."""

    embedded_name: str | None
    """The name in an iPhone's first notice, whose sender is the chat."""

    exporter: str
    """`ios`, `android` or `web`."""

    has_seconds: bool
    messages: Sequence[Message]
    preamble: Sequence[Message]
    """The lines before the first message."""

    deletions: Counter[str]
    """Counts of "You deleted this message" by sender, who must be the owner."""

    handles: Mapping[str, set[str]]
    duplicates: int = 0
    """The number of messages found in more than one export."""

    @property
    def title(self) -> str | None:
        """The name of the chat."""
        return self.name or self.embedded_name

    @cached_property
    def people(self) -> list[str]:
        """The people who wrote messages, in the order of their first lines."""
        wrote_messages: dict[str, bool] = {}
        for message in self.messages:
            is_author = message.extra.get("system") in {None, "call"}
            wrote_messages[message.sender] = (
                wrote_messages.get(message.sender, False) or is_author
            )
        return [name for name, wrote in wrote_messages.items() if name and wrote]

    @property
    def is_group(self) -> bool:
        """Whether the chat appears to be a group."""
        people = {*self.people}
        if self.embedded_name is not None:
            people.add(self.embedded_name)  # In a one-to-one chat, the other person.
        # In every language, notices about groups quote the group's name.
        return len(people) > _TWO_PEOPLE or any(
            sum(mark in ALL_QUOTES for mark in message.text) >= _QUOTE_PAIR
            for message in self.messages
            if _is_notice(message)
        )

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
            notices = sum(map(_is_notice, self.messages))
            is_one_to_one = notices <= _MAX_ONE_TO_ONE_NOTICES
        # A one-to-one chat is named after the other person.
        if titles and is_one_to_one and len(other_people) == 1:
            return DetectedOwner(other_people[0], "the chat's name")
        return None

    def merge(self, older: "Chat", messages: Sequence[Message]) -> "Chat":
        """Return the chat with the `messages` of both this and an older export."""
        found = len(self.messages) + len(older.messages) - len(messages)
        return replace(
            self,
            embedded_name=self.embedded_name or older.embedded_name,
            has_seconds=self.has_seconds and older.has_seconds,
            messages=messages,
            preamble=[*self.preamble, *older.preamble],
            deletions=self.deletions | older.deletions,
            handles={**self.handles, **older.handles},
            duplicates=self.duplicates + older.duplicates + found,
        )

    def iter_messages(self) -> Iterator[Message]:
        """Yield the lines before the first message, the messages, and duplicates."""
        yield from self.preamble
        for message in self.messages:
            if message.kind == "system" and message.sender not in self.people:
                message.sender = ""  # iPhones write the group's name.
            yield message
        for _ in range(self.duplicates):
            yield Message(None, "", "", "duplicate")


def parse_chat(
    records: Records,
    name: str | None,
    *,
    zone: tzinfo | None = None,
    chat_id: str = "",
    owner: str | None = None,
) -> Chat:
    """Parse the records of a file, whose days are known.

    `name` is the chat's name from the file name, `zone` the phone's time zone, and
    `owner` the owner's name as given by the user.
    """
    heads = [record.head for record in records.records]
    exporter = _detect_exporter(records, heads)
    is_web = exporter == "web"
    senders = Senders(heads, owner if is_web else None, name)
    content_reader = ContentReader(
        exporter,
        keyboard_types_marks=_keyboard_types_marks(heads),
        omitted=_learn_omitted(heads, senders),
    )
    clock = LocalClock(zone)
    messages = list(_read_messages(records, senders, content_reader, clock))
    preamble = [Message(None, "", "", "unreadable") for _ in records.preamble]
    if preamble and is_web:
        preamble[0] = Message(None, "", records.preamble[0], "system")
    unsent = [message for message in messages if message.kind == "unsent"]
    deletions = Counter(
        message.sender
        for message in unsent
        if phrase_key(message.text) in DELETED_BY_OWNER
    )
    for message in unsent:
        message.text = ""  # Drop the app's phrase.
    has_embedded_name = exporter == "ios" and messages and _is_notice(messages[0])
    return Chat(
        id=chat_id,
        name=name,
        embedded_name=messages[0].sender or None if has_embedded_name else None,
        exporter=exporter,
        has_seconds=all(layout.has_seconds for layout in records.layouts),
        messages=messages,
        preamble=preamble,
        deletions=deletions,
        handles=senders.handles,
    )


def _read_messages(
    records: Records,
    senders: Senders,
    content_reader: ContentReader,
    clock: LocalClock,
) -> Iterator[Message]:
    for date, seconds, _, head, tail in records.records:
        day = records.days[date]
        time = None if day is None else clock.to_utc(day * _DAY + seconds)
        name, text = senders.split(head)
        if content_reader.is_web and head.startswith(_WEB_NOTICE_PREFIX):
            name, text = None, head.removeprefix(_WEB_NOTICE_PREFIX)
        if tail is not None:
            text = f"{text}\n{tail}" if text else tail
        if name is None:
            notice = to_plain_text(text).strip()
            yield Message(time, "", notice, "system", extra={"system": "notice"})
            continue
        message = content_reader.read(text) or Message(None, "", text)
        message.time, message.sender = time, name
        yield message


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
    return "web" if is_web or records.preamble else "ios"


def _learn_omitted(heads: Sequence[str], senders: Senders) -> frozenset[str]:
    """Return the app's phrases for omitted attachments in a language that is not known.

    People type in brackets, too, but not the same words again and again.
    """
    counts: Counter[str] = Counter()
    people: dict[str, set[str | None]] = defaultdict(set)
    for head in heads:
        if head.endswith(">"):
            name, text = senders.split(head)
            if text.startswith("<"):
                counts[text] += 1
                people[text].add(name)
    return frozenset(
        phrase_key(text)
        for text, count in counts.items()
        if count >= _MIN_OMITTED and len(people[text]) > 1
    )


def _keyboard_types_marks(heads: Sequence[str]) -> bool:
    """Return whether most messages begin with a right-to-left mark.

    If so, the mark is typed by the phone's keyboard, not only written by the app.
    """
    count = sum(": \u200f" in head for head in heads)
    return len(heads) >= _MIN_RECORDS_FOR_MARKS and count * 2 > len(heads)

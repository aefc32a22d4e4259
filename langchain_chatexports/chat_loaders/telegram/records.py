"""A message record of Telegram, and the message that it becomes.

Telegram Desktop's writer names the keys. Pages in HTML are read into the same records.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from operator import attrgetter
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.json_data import decode_record
from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.messages import (
    UNKNOWN_SENDER,
    Message,
    attachment,
    reactions,
)

_UNSET = msgspec.UNSET


class Record(msgspec.Struct, rename={"from_": "from"}):
    """A message, a service message (a call, a join, …), or one that is `unsupported`.

    Keys that are not read (sizes, durations, buttons, thumbnails, paths) are left to
    msgspec to skip. `Any` stands where only the presence of a key counts, or where its
    form depends on the version.
    """

    id: int | None = None
    """Unique in the chat; negative for messages of the group that a supergroup was."""

    type: str = ""
    """`message`, `service`, or `unsupported`, which has nothing but an id."""

    date: str | None = None
    """Local time of the computer that exported, ISO 8601 without a zone. In HTML an
    offset may follow."""

    date_unixtime: str | int | None = None
    """UTC seconds as a string, since about 2022; other programs write a number."""

    edited: Any = None
    edited_unixtime: Any = None

    from_: str | None = None
    """The display name at export time; null for deleted accounts and hidden names."""

    from_id: str | int | None = None
    """`user123`, `channel123` (anonymous admins, posts) or `chat123`; before about 2021
    a number. People are told apart by it and not by their names."""

    actor: str | None = None
    actor_id: str | int | None = None
    """Service messages have these two in place of `from` and `from_id`."""

    action: str | None = None
    """What a service message is about: `phone_call`, `pin_message`, …"""

    information_text: str | None = None
    """The text of a service message of another program, which has no `action`."""

    title: str | None = None
    """The name of a piece of music."""

    text: str | list[Any] | None = ""
    """A string, or a list of strings and objects with a `text`."""

    text_entities: msgspec.Raw = msgspec.Raw(b"[]")
    """The same text as a list of objects, since about 2022."""

    reply_to_message_id: int | None = None
    reply_to_peer_id: str | None = None
    """The chat of the message that is answered, if it is another one."""

    forwarded_from: str | msgspec.UnsetType | None = _UNSET
    saved_from: str | msgspec.UnsetType | None = _UNSET
    via_bot: str | None = None
    """The inline bot that wrote the text."""

    photo: Any = _UNSET
    file: Any = _UNSET
    """A path, or a sentence in parentheses if the file was not exported."""

    file_name: str | None = None
    media_type: str | None = None
    """`sticker`, `voice_message`, …; a plain document has none."""

    sticker_emoji: str | None = None
    poll: Any = _UNSET
    """Its `question` may be a list, like `text`."""

    location_information: Any = _UNSET
    live_location_period_seconds: Any = _UNSET
    place_name: str | msgspec.UnsetType | None = _UNSET
    contact_information: Any = _UNSET
    contact_vcard: Any = _UNSET
    game_title: Any = _UNSET
    invoice_information: Any = _UNSET
    giveaway_information: Any = _UNSET
    giveaway_results: Any = _UNSET
    paid_stars_amount: Any = _UNSET

    reactions: list["Reaction"] | None = None
    """Since version 5.6 (2024)."""


class Reaction(msgspec.Struct):
    """A kind of reaction to a message."""

    type: str = "emoji"
    """`emoji`, `custom_emoji` (a picture) or `paid` (a star)."""

    emoji: str | None = None
    count: int = 0
    recent: list["Reactor"] | None = None
    """The last few people who reacted so."""


class Reactor(msgspec.Struct, rename={"from_": "from"}):
    """A person who reacted."""

    from_: str | None = None
    from_id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat as one file or folder of pages has it."""

    id: str
    """Telegram's word for it (`user`, `chat` or `channel`) and a number; in HTML, which
    has no ids, its name."""

    name: str | None
    type: str
    """What Telegram calls its kind, such as `personal_chat`; empty in HTML."""

    place: str
    """Where it was read, for counts."""

    records: Callable[[], Iterator[Record | None]]
    """Reads its records; `None` stands for a damaged one."""

    is_html: bool = False

    @property
    def title(self) -> str | None:
        """The name to show."""
        return self.name or _TITLES.get(self.type)

    @property
    def is_personal(self) -> bool:
        """Whether it is between two people."""
        return self.type == "personal_chat" and not self.is_of_bot

    @property
    def is_group(self) -> bool | None:
        """Whether it is a group; `None` where the export does not say."""
        if self.type.endswith("group") or self.is_channel:
            return self.type in CHAT_TYPES or None
        return False if self.type in CHAT_TYPES else None

    @property
    def is_channel(self) -> bool:
        """Whether only its owners write in it."""
        return self.type in {"private_channel", "public_channel"}

    @property
    def is_of_bot(self) -> bool:
        """Whether a program is on the other side."""
        return self.type in {"bot_chat", "verify_codes"} or self.id == _SERVICE_ID


_SERVICE_ID = "user777000"  # Telegram's own account: login codes and notices.
_TITLES = {"saved_messages": "Saved Messages", "replies": "Replies"}
_PEERS = {
    "personal_chat": "user",
    "bot_chat": "user",
    "verify_codes": "user",
    "private_group": "chat",
    "public_group": "chat",
    "private_supergroup": "channel",
    "public_supergroup": "channel",
    "private_channel": "channel",
    "public_channel": "channel",
}

CHAT_TYPES = frozenset({*_PEERS, *_TITLES})
"""What the `type` of a chat can be."""

_MEDIA_TYPES = {
    "sticker": "sticker",
    "video_message": "video",
    "voice_message": "audio",
    "animation": "gif",
    "video_file": "video",
    "audio_file": "audio",
}
_OTHER_TYPES = {
    "poll": "poll",
    "location_information": "location",
    "live_location_period_seconds": "location",
    "place_name": "location",
    "contact_information": "contact",
    "contact_vcard": "contact",
    "game_title": "game",
    "invoice_information": "invoice",
    "giveaway_information": "giveaway",
    "giveaway_results": "giveaway",
    "paid_stars_amount": "paid_media",
}
_others = attrgetter(*_OTHER_TYPES)
_NONE = (_UNSET,) * len(_OTHER_TYPES)
_REACTIONS = {"custom_emoji": ":custom_emoji:", "paid": "⭐"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# So many messages of one person alone in a group are no accident.
_MIN_ONE_SIDED = 10
_MAX_DIGITS = 15  # Far after the year 9999.
_DECODER = msgspec.json.Decoder(Record)


def read_record(raw: msgspec.Raw) -> Record | None:
    """Decode a record; `None` if it is damaged, or of another shape."""
    return decode_record(_DECODER, raw)


def peer_of(kind: str, number: object, name: str) -> str:
    """Return a chat's id in the form of the ids of senders.

    Unlike `type` and number together, it stays the same when a group becomes public,
    and is what replies to other chats name. The name stands for an id that is missing.
    """
    if kind in _TITLES:
        return kind
    is_id = isinstance(number, (int, str)) and str(number).lstrip("-").isdecimal()
    return f"{_PEERS.get(kind, kind or 'chat')}{number if is_id else f':{name}'}"


def clean(value: object) -> str:
    """Return a name or another short text, empty if it is none."""
    return value.strip() if isinstance(value, str) else ""


def author_of(record: Record) -> str:
    """Return the id of the author; where there is none, the name."""
    return _person(record.from_id or record.actor_id, name_of(record))


def _person(number: str | int | None, name: str) -> str:
    if isinstance(number, str):
        return number or name
    return f"user{number}" if number else name


def name_of(record: Record) -> str:
    """Return the author's name, empty for deleted accounts."""
    return clean(record.from_ or record.actor)


def text_of(record: Record) -> str:
    """Return the text, its parts joined with nothing; empty if it is white space."""
    text = record.text
    if isinstance(text, list) or not text:
        text = joined(text or msgspec.json.decode(record.text_entities))
    return "" if text.isspace() else text


def joined(parts: object) -> str:
    """Join a text that may be a list of strings and objects with a `text`."""
    if isinstance(parts, str):
        return parts
    texts = (
        part.get("text") if isinstance(part, dict) else part
        for part in (parts if isinstance(parts, list) else ())
    )
    return "".join(text for text in texts if isinstance(text, str))


def is_forwarded(record: Record) -> bool:
    """Return whether the words are not the sender's own."""
    return record.forwarded_from is not _UNSET or record.saved_from is not _UNSET


def _attachments(record: Record) -> list[dict[str, str]]:
    # Paths are not passed on: nobody may open what an export names.
    found: dict[str, str] = {}
    if record.photo is not _UNSET:
        found["photo"] = ""
    if record.file is not _UNSET or record.media_type:
        kind = _MEDIA_TYPES.get(record.media_type or "", "file")
        name = clean(record.title) or clean(record.file_name)
        found[kind] = clean(record.sticker_emoji) if kind == "sticker" else name
    others = _others(record)
    if others != _NONE:
        for kind, value in zip(_OTHER_TYPES.values(), others, strict=True):
            if value is not _UNSET:
                found[kind] = ""
    if isinstance(record.poll, dict):
        found["poll"] = clean(joined(record.poll.get("question")))
    if "location" in found:
        found["location"] = clean(record.place_name)
    return [attachment(name, kind=kind) for kind, name in found.items()]


class Clock:
    """Reads the times of one chat's records, and notes how."""

    def __init__(self, zone: tzinfo | None) -> None:
        """Initialize the clock; `None` is this machine's zone."""
        self.used_zone = False
        """Whether a local time was read in the zone."""

        self.used_offset = False
        """Whether an offset in HTML was used, which may ignore daylight saving."""

        self._has_zone = zone is not None
        self._local = LocalClock(zone)

    def microseconds(self, record: Record) -> int | None:
        """Return when a message was sent, in microseconds since 1970."""
        stamp = record.date_unixtime
        with suppress(ValueError):
            if stamp and len(str(stamp)) <= _MAX_DIGITS:
                return int(stamp) * 1_000_000
        seconds = self._of_date(record.date or "")
        return None if seconds is None else seconds * 1_000_000

    def _of_date(self, date: str) -> int | None:
        try:
            moment = datetime.fromisoformat(date.replace("Z", "+00:00"))
            if moment.tzinfo is not None and not self._has_zone:
                self.used_offset = True
                return (moment - _EPOCH) // timedelta(seconds=1)
        except (OverflowError, ValueError):
            return None
        self.used_zone = True
        local = (moment.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(seconds=1)
        return self._local.utc(local)


class Reader:
    """Turns the records of one chat into messages."""

    def __init__(
        self,
        chat: Chat,
        clock: Clock,
        bots: frozenset[str],
        known: Mapping[str, Collection[str]],
    ) -> None:
        self.names: dict[str, str] = {}
        """The name of each id that was met."""

        self.handles: dict[str, tuple[str, ...]] = {}
        """Its number, and what the account knows of it."""

        self._chat = chat
        self._clock = clock
        self._bots = bots
        self._known = known
        self._kind = "channel" if chat.is_channel else "bot" if chat.is_of_bot else ""
        self._counts: Counter[str] = Counter()

    @property
    def is_one_sided(self) -> bool:
        """Whether one person wrote all messages of a group."""
        is_group = self._chat.is_group and not self._chat.is_channel
        total = self._counts.total()
        return bool(is_group and len(self._counts) == 1 and total >= _MIN_ONE_SIDED)

    def message(self, record: Record | None) -> Message:
        """Return a record as a message."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        author = author_of(record)
        if self.names.get(author, UNKNOWN_SENDER) == UNKNOWN_SENDER:
            self.meet(author, name_of(record))
        extra = self._extra(record)
        text = text_of(record)
        kind = "text"
        if record.type == "unsupported":
            kind = "empty"
        elif record.type != "message":
            kind = "system"
            extra["system"] = clean(record.action) or record.type or "unknown"
            text = text or clean(record.information_text)
            text = text or f"[{extra['system'].replace('_', ' ')}]"
        elif self._kind:
            kind = self._kind
        elif author in self._bots or (text and record.via_bot):
            kind = "bot"
        if kind == "text":
            self._counts[author] += 1
        return Message(
            self._clock.microseconds(record),
            author,
            text,
            kind,
            "" if record.id is None else f"{self._chat.id}:{record.id}",
            extra,
        )

    def meet(self, author: str, name: str) -> None:
        """Note the name of an id, empty for deleted accounts."""
        if author:
            self.names[author] = name or UNKNOWN_SENDER
            number = author.removeprefix("user")
            if number.isdecimal():
                # Namesakes are told apart by the first one.
                known = self._known.get(author, ())
                self.handles[author] = (author, number, *known)

    def _extra(self, record: Record) -> dict[str, Any]:
        """Return what else a message carries, for `additional_kwargs`."""
        extra: dict[str, Any] = {}
        if attachments := _attachments(record):
            extra["attachments"] = attachments
        if record.edited or record.edited_unixtime:
            extra["edited"] = True
        if is_forwarded(record):
            extra["forwarded"] = True
            if name := clean(record.forwarded_from) or clean(record.saved_from):
                extra["forwarded_from"] = name
        if record.reply_to_message_id is not None:
            place = record.reply_to_peer_id or self._chat.id
            extra["reply_to"] = {"id": f"{place}:{record.reply_to_message_id}"}
        if record.reactions:
            extra["reactions"] = list(self._reactions(record.reactions))
        return extra

    def _reactions(self, items: list[Reaction]) -> Iterator[dict[str, Any]]:
        for item in items:
            reaction = _REACTIONS.get(item.type) or clean(item.emoji)
            if not reaction:
                continue
            senders = []
            for person in item.recent or []:
                name = clean(person.from_)
                senders.append(
                    _person(person.from_id, name) if name else UNKNOWN_SENDER
                )
                if name and senders[-1] not in self.names:
                    self.meet(senders[-1], name)
            yield from reactions(reaction, senders, item.count)

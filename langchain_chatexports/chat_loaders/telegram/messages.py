"""Convert records to messages."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from operator import attrgetter
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders import schema
from langchain_chatexports.chat_loaders.json_data import clean_text
from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.messages import (
    Message,
    Person,
    attachment,
    filled,
    reactions,
)
from langchain_chatexports.chat_loaders.telegram.records import (
    Chat,
    Reaction,
    Record,
    get_person_id,
    join_text,
)
from langchain_chatexports.chat_loaders.times import MICROSECONDS, to_microseconds

_UNSET = msgspec.UNSET
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
_get_other_fields = attrgetter(*_OTHER_TYPES)
_NO_OTHER_FIELDS = (_UNSET,) * len(_OTHER_TYPES)
_REACTIONS = {"custom_emoji": ":custom_emoji:", "paid": "⭐"}
# A group with at least this many messages, all from one person, may be incomplete.
_MIN_ONE_SIDED = 10
_MAX_DIGITS = 15  # Long after the year 9999.


def _describe_attachments(record: Record) -> list[schema.Attachment]:
    items: dict[str, schema.Attachment] = {}
    if record.photo is not _UNSET:
        items["photo"] = attachment(kind="photo")
    if record.file is not _UNSET or record.media_type:
        kind = _MEDIA_TYPES.get(record.media_type or "", "file")
        title = record.sticker_emoji if kind == "sticker" else record.title
        name = "" if kind == "sticker" else clean_text(record.file_name)
        items[kind] = attachment(name, kind=kind, title=clean_text(title))
    fields = _get_other_fields(record)
    if fields != _NO_OTHER_FIELDS:
        for kind, value in zip(_OTHER_TYPES.values(), fields, strict=True):
            if value is not _UNSET:
                items[kind] = attachment(kind=kind, title=_get_title(kind, record))
    return list(items.values())


def _get_title(kind: str, record: Record) -> str:
    """Return the question of a poll, or the name of a place."""
    if kind == "poll" and isinstance(record.poll, dict):
        return clean_text(join_text(record.poll.get("question")))
    return clean_text(record.place_name) if kind == "location" else ""


class MessageConverter:
    """Converts the records of one chat to messages."""

    def __init__(
        self,
        chat: Chat,
        zone: tzinfo | None,
        bots: frozenset[str],
        known_handles: Mapping[str, Collection[str]],
    ) -> None:
        self.people: dict[str, Person] = {}
        """The people so far, by id. The handles are the id, its number, and those in
        the account's contacts."""

        self.clock = LocalClock(zone)
        self.used_offset = False
        """Whether offsets were used. In HTML, they may ignore daylight saving time."""

        self._chat = chat
        self._has_zone = zone is not None
        self._bots = bots
        self._known_handles = known_handles
        self._kind = "channel" if chat.is_channel else "bot" if chat.is_with_bot else ""
        self._counts: Counter[str] = Counter()

    @property
    def is_one_sided(self) -> bool:
        """Whether all messages in a group are from one person."""
        is_group = self._chat.is_group and not self._chat.is_channel
        total = self._counts.total()
        return bool(is_group and len(self._counts) == 1 and total >= _MIN_ONE_SIDED)

    def convert(self, record: Record | None) -> Message:
        """Convert a record; it is `None` if damaged."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        author = record.author_id
        person = self.people.get(author)
        if person is None or person.name == schema.UNKNOWN_SENDER:
            self.add_person(author, record.author_name)
        extra = self._build_extra(record)
        text = record.full_text
        kind = "text"
        if record.type == "unsupported":
            kind = "empty"
        elif record.type != "message":
            kind = "system"
            extra["system"] = clean_text(record.action) or record.type or "unknown"
            text = text or clean_text(record.information_text)
            text = text or f"[{extra['system'].replace('_', ' ')}]"
        elif self._kind:
            kind = self._kind
        elif author in self._bots or (text and record.via_bot):
            kind = "bot"
        if kind == "text":
            self._counts[author] += 1
        return Message(
            self._parse_time(record),
            author,
            text,
            kind,
            "" if record.id is None else f"{self._chat.id}:{record.id}",
            extra,
        )

    def add_person(self, author: str, name: str) -> None:
        """Add the name and handles of a person. Deleted accounts have an empty name."""
        if author:
            number = author.removeprefix("user")
            handles: tuple[str, ...] = ()
            if number.isdecimal():
                handles = (author, number, *self._known_handles.get(author, ()))
            self.people[author] = Person(name or schema.UNKNOWN_SENDER, handles)

    def _parse_time(self, record: Record) -> int | None:
        """Return when a message was sent, in microseconds since 1970."""
        stamp = record.date_unixtime
        with suppress(ValueError):
            if stamp and len(str(stamp)) <= _MAX_DIGITS:
                return int(stamp) * MICROSECONDS
        try:
            time = datetime.fromisoformat(record.date or "")
            if time.tzinfo is not None and not self._has_zone:
                self.used_offset = True
                return to_microseconds(time) // MICROSECONDS * MICROSECONDS
        except (OverflowError, ValueError):
            return None
        local = to_microseconds(time.replace(tzinfo=UTC)) // MICROSECONDS
        return self.clock.to_utc(local)

    def _build_extra(self, record: Record) -> dict[str, Any]:
        """Return the optional keys for `additional_kwargs`."""
        names = map(clean_text, (record.forwarded_from, record.saved_from))
        chat_id = record.reply_to_peer_id or self._chat.id
        target = record.reply_to_message_id
        return filled(
            attachments=_describe_attachments(record),
            edited=bool(record.edited or record.edited_unixtime),
            forwarded=record.is_forwarded,
            forwarded_from=record.is_forwarded and next(filter(None, names), ""),
            reactions=list(self._convert_reactions(record.reactions or ())),
            reply_to=None if target is None else {"id": f"{chat_id}:{target}"},
        )

    def _convert_reactions(
        self, items: Iterable[Reaction]
    ) -> Iterator[schema.Reaction]:
        for item in items:
            reaction = _REACTIONS.get(item.type) or clean_text(item.emoji)
            if not reaction:
                continue
            senders = []
            for person in item.recent or []:
                name = clean_text(person.from_)
                senders.append(
                    get_person_id(person.from_id, name)
                    if name
                    else schema.UNKNOWN_SENDER
                )
                if name and senders[-1] not in self.people:
                    self.add_person(senders[-1], name)
            yield from reactions(reaction, senders, item.count)

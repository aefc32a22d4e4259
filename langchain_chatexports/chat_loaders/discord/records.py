"""A message record of Discord, and the message that it becomes.

The keys and their first versions are those of DiscordChatExporter's JSON writer, 2.18
to 2.47.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.json_data import clean_text, decode_record
from langchain_chatexports.chat_loaders.messages import (
    UNKNOWN_SENDER,
    Message,
    attachment,
    reactions,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Kinds that the tool does not know are numbers, as Discord's API has them. Joins, pins,
# calls, boosts, results of polls and kinds that are new are Discord's own; they are
# never guessed from the text.
_WRITTEN = frozenset({"", "Default", "Reply", "0", "19"})
_REPLIES = frozenset({"Reply", "19"})
_BOT_ANSWERS = frozenset({"20", "23"})  # To slash commands and context menus.
# Raw markup, as `--markdown false` leaves it.
_TOKEN = re.compile(
    r"<(?:@!?(?P<user>\d{1,20})|@&(?P<role>\d{1,20})|#(?P<channel>\d{1,20})"
    r"|a?:(?P<emoji>\w{1,64}):\d{1,20}|/(?P<command>[\w -]{1,100}):\d{1,20}"
    r"|t:(?P<time>-?\d{1,13})(?::[a-zA-Z])?)>",
    re.ASCII,
)
# What DiscordChatExporter writes for an id that it cannot resolve.
_UNRESOLVED = {
    "user": "@Unknown",
    "role": "@deleted-role",
    "channel": "#deleted-channel",
    "time": "(a time)",
}


class User(msgspec.Struct, rename="camel"):
    """An author, or a person who is mentioned or reacted."""

    id: str | None = None
    name: str | None = None
    """The user name, which is unique but for deleted accounts."""

    nickname: str | None = None
    """Since 2.25: the name on this server, or the one to show."""

    is_bot: bool | None = None

    @property
    def shown(self) -> str:
        """The name that Discord shows."""
        return clean_text(self.nickname) or clean_text(self.name)


class Attached(msgspec.Struct, rename="camel"):
    """An attachment (`fileName`) or, since 2.33, a sticker (`name`)."""

    file_name: str | None = None
    name: str | None = None


class Emoji(msgspec.Struct):
    """An emoji: a custom one has an id, the name of others is the character."""

    id: str | None = None
    name: str | None = None


class Reaction(msgspec.Struct):
    """A reaction; there may be fewer `users` (since 2.40.4) than `count`."""

    emoji: Emoji | None = None
    count: int | None = None
    users: list[User] | None = None


class Embed(msgspec.Struct):
    """The preview of a link, or a bot's card."""

    title: str | None = None
    description: str | None = None


class Reference(msgspec.Struct, rename="camel"):
    """The message that a reply, a pin or a crosspost refers to."""

    message_id: str | None = None


class Content(msgspec.Struct, rename="camel"):
    """The content of a message, or since 2.47 of one that was forwarded."""

    content: str | None = None
    attachments: list[Attached] | None = None
    stickers: list[Attached] | None = None


class Record(Content, rename="camel"):
    """A message."""

    id: str | None = None
    type: str | int | None = None
    timestamp: Any = None
    """ISO 8601 with the offset of the machine that exported, or of UTC."""

    timestamp_edited: Any = None
    author: User | None = None
    embeds: list[Embed] | None = None
    reactions: list[Reaction] | None = None
    mentions: list[User] | None = None
    reference: Reference | None = None
    forwarded_message: Content | None = None

    @property
    def kind(self) -> str:
        """The export's word for what the message is."""
        return "" if self.type is None else str(self.type)


_RECORD = msgspec.json.Decoder(Record)


def read_record(raw: msgspec.Raw) -> Record | None:
    """Decode a record; `None` if it is damaged, or of another shape."""
    return decode_record(_RECORD, raw)


class Reader:
    """Turns the records of one channel into messages."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """The name of each id that was met."""

        self.handles: dict[str, tuple[str, ...]] = {}
        """The user name of each id."""

    def message(self, record: Record | None) -> Message:
        """Return a record as a message; `None` stands for a damaged one."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        author = record.author or User()
        person = author.id or ""
        if person and person not in self.names:
            self.names[person] = author.shown
            self.handles[person] = tuple(filter(None, [clean_text(author.name)]))
        written = record.kind
        kind, text = "text", plain_text(record, record.content, self.names)
        extra = _attachments(record)
        if written not in _WRITTEN and written not in _BOT_ANSWERS:
            kind, extra["system"] = "system", written
        elif author.is_bot or written in _BOT_ANSWERS:
            kind, text = "bot", text or _embed_text(record.embeds or ())
        if record.timestamp_edited:
            extra["edited"] = True
        if record.reactions:
            extra["reactions"] = [
                each for one in record.reactions for each in _reactions(one, self.names)
            ]
        # Pins, threads and crossposts refer to a message, too, and are no replies.
        if written in _REPLIES and record.reference and record.reference.message_id:
            extra["reply_to"] = {"id": record.reference.message_id}
        if forwarded := record.forwarded_message:
            # The words of another person: the message itself has none.
            text = text or plain_text(record, forwarded.content, self.names)
            extra = {**_attachments(forwarded), **extra, "forwarded": True}
        time = microseconds(record.timestamp)
        return Message(time, person, text, kind, record.id or "", extra)


def _attachments(content: Content) -> dict[str, Any]:
    if not content.attachments and not content.stickers:
        return {}
    attachments = [
        *(attachment(clean_text(file.file_name)) for file in content.attachments or ()),
        *(
            attachment(clean_text(one.name), kind="sticker")
            for one in content.stickers or ()
        ),
    ]
    return {"attachments": attachments}


def _reactions(reaction: Reaction, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    emoji = reaction.emoji or Emoji()
    shown = f":{clean_text(emoji.name)}:" if emoji.id else clean_text(emoji.name)
    if not shown:
        return
    senders = [
        user.id if user.id and user.id in names else user.shown or UNKNOWN_SENDER
        for user in reaction.users or []
    ]
    yield from reactions(shown, senders, reaction.count)


def _embed_text(embeds: Iterable[Embed]) -> str:
    texts = (text for one in embeds for text in (one.title, one.description))
    return "\n".join(filter(None, map(clean_text, texts)))


def plain_text(record: Record, text: str | None, names: Mapping[str, str]) -> str:
    """Return a text with names in place of ids; bold, spoilers and quotes stay."""
    if not text or "<" not in text:
        return text or ""
    mentioned = {user.id: user.shown for user in record.mentions or ()}

    def shown(match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        value = match[kind]
        if kind == "user" and (name := mentioned.get(value) or names.get(value)):
            return f"@{name}"
        if kind == "emoji":
            return f":{value}:"
        return f"/{value}" if kind == "command" else _UNRESOLVED[kind]

    return _TOKEN.sub(shown, text)


def microseconds(stamp: object) -> int | None:
    """Return a time as microseconds since 1970 in UTC; without an offset it is UTC."""
    try:
        moment = msgspec.convert(stamp, datetime)
    except msgspec.ValidationError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(microseconds=1)

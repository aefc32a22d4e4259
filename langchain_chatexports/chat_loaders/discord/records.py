"""Convert the messages of DiscordChatExporter's JSON.

The keys, and the versions that introduced them, are from the JSON writer of
DiscordChatExporter 2.18 to 2.47.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders import schema
from langchain_chatexports.chat_loaders.json_data import clean_text
from langchain_chatexports.chat_loaders.messages import (
    Message,
    Person,
    attachment,
    filled,
    reactions,
)
from langchain_chatexports.chat_loaders.times import to_microseconds

# The tool writes types that it does not know as the numbers in Discord's API. All other
# types (joins, pins, calls, boosts, poll results, new types) are Discord's own
# messages.
_USER_MESSAGE_TYPES = frozenset({"", "Default", "Reply", "0", "19"})
_REPLY_TYPES = frozenset({"Reply", "19"})
# Replies to slash commands and context menus.
_BOT_REPLY_TYPES = frozenset({"20", "23"})
# Raw markup, from exports with `--markdown false`.
_TOKEN = re.compile(
    r"<(?:@!?(?P<user>\d{1,20})|@&(?P<role>\d{1,20})|#(?P<channel>\d{1,20})"
    r"|a?:(?P<emoji>\w{1,64}):\d{1,20}|/(?P<command>[\w -]{1,100}):\d{1,20}"
    r"|t:(?P<time>-?\d{1,13})(?::[a-zA-Z])?)>",
    re.ASCII,
)
# DiscordChatExporter's placeholders for ids that it cannot resolve.
_UNRESOLVED = {
    "user": "@Unknown",
    "role": "@deleted-role",
    "channel": "#deleted-channel",
    "time": "(a time)",
}


class User(msgspec.Struct, rename="camel"):
    """The author of a message or reaction, or a mentioned person."""

    id: str | None = None
    name: str | None = None
    """The user name, unique except for deleted accounts."""

    nickname: str | None = None
    """The name on this server, or the display name; since 2.25."""

    is_bot: bool | None = None

    @property
    def display_name(self) -> str:
        """The name that Discord displays."""
        return clean_text(self.nickname) or clean_text(self.name)


class AttachedFile(msgspec.Struct, rename="camel"):
    """An attachment (`fileName`) or, since 2.33, a sticker (`name`)."""

    file_name: str | None = None
    file_size_bytes: Any = None
    name: str | None = None


class Emoji(msgspec.Struct):
    """An emoji; `name` is the character, or the name of a custom emoji with an id."""

    id: str | None = None
    name: str | None = None


class Reaction(msgspec.Struct):
    """A reaction; `users` (since 2.40.4) may have fewer people than `count`."""

    emoji: Emoji | None = None
    count: int | None = None
    users: list[User] | None = None


class Embed(msgspec.Struct):
    """A link preview, or a bot's card."""

    title: str | None = None
    description: str | None = None


class Reference(msgspec.Struct, rename="camel"):
    """A reference to another message, in replies, pins and crossposts."""

    message_id: str | None = None


class Body(msgspec.Struct, rename="camel"):
    """The content of a message or, since 2.47, of a forwarded one."""

    content: str | None = None
    attachments: list[AttachedFile] | None = None
    stickers: list[AttachedFile] | None = None


class Record(Body, rename="camel"):
    """A message."""

    id: str | None = None
    type: str | int | None = None
    timestamp: Any = None
    """ISO 8601 with the offset of the exporting machine, or UTC."""

    timestamp_edited: Any = None
    author: User | None = None
    embeds: list[Embed] | None = None
    reactions: list[Reaction] | None = None
    mentions: list[User] | None = None
    reference: Reference | None = None
    forwarded_message: Body | None = None

    @property
    def type_name(self) -> str:
        """The type of the message, as a string."""
        return "" if self.type is None else str(self.type)


class MessageReader:
    """Converts the records of a channel to messages."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        """The authors so far, by id."""

    def read(self, record: Record | None) -> Message:
        """Convert a record, which is `None` if it is damaged."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        author = record.author or User()
        handles = tuple(filter(None, [clean_text(author.name)]))
        person = author.id or ""
        if author.is_bot and handles:
            # A webhook has one id, and a name for each of the people it speaks for.
            earlier = self.people.get(person, Person(handles=handles))
            person = person if earlier.handles == handles else f"{person} {handles[0]}"
        if person and person not in self.people:
            self.people[person] = Person(author.display_name, handles)
        kind, forwarded = _classify(record), record.forwarded_message
        text = replace_ids(record, record.content, self.people)
        if kind == "bot":
            text = text or _get_card_text(record)
        if forwarded:  # The message itself has no text.
            text = text or replace_ids(record, forwarded.content, self.people)
        extra = self._collect_extra(record)
        if kind == "system":
            extra["system"] = record.type_name
        time = parse_time(record.timestamp)
        return Message(time, person, text, kind, record.id or "", extra)

    def _collect_extra(self, record: Record) -> dict[str, Any]:
        attachments = [*_list_attachments(record)]
        if forwarded := record.forwarded_message:
            attachments = attachments or [*_list_attachments(forwarded)]
        # Pins, threads and crossposts also have a reference, but are not replies.
        is_reply = record.type_name in _REPLY_TYPES
        target = record.reference.message_id if record.reference else None
        return filled(
            attachments=attachments,
            edited=bool(record.timestamp_edited),
            forwarded=bool(forwarded),
            reactions=[
                item
                for reaction in record.reactions or ()
                for item in _convert_reaction(reaction, self.people)
            ],
            reply_to={"id": target} if is_reply and target else None,
        )


def _classify(record: Record) -> str:
    is_bot_reply = record.type_name in _BOT_REPLY_TYPES
    if record.type_name not in _USER_MESSAGE_TYPES and not is_bot_reply:
        return "system"
    is_bot = is_bot_reply or (record.author and record.author.is_bot)
    return "bot" if is_bot else "text"


def _get_card_text(record: Record) -> str:
    cards = [(embed.title, embed.description) for embed in record.embeds or ()]
    return "\n".join(filter(None, map(clean_text, chain.from_iterable(cards))))


def _list_attachments(body: Body) -> Iterator[schema.Attachment]:
    for file in body.attachments or ():
        yield attachment(clean_text(file.file_name), size=file.file_size_bytes)
    for sticker in body.stickers or ():
        yield attachment(clean_text(sticker.name), kind="sticker")


def _convert_reaction(
    reaction: Reaction, people: Mapping[str, Person]
) -> Iterator[schema.Reaction]:
    emoji = reaction.emoji or Emoji()
    name = f":{clean_text(emoji.name)}:" if emoji.id else clean_text(emoji.name)
    if not name:
        return
    senders = [
        user.id
        if user.id and user.id in people
        else user.display_name or schema.UNKNOWN_SENDER
        for user in reaction.users or []
    ]
    yield from reactions(name, senders, reaction.count)


def replace_ids(record: Record, text: str | None, people: Mapping[str, Person]) -> str:
    """Replace the ids in message text with names; keep other markup."""
    if not text or "<" not in text:
        return text or ""
    mentioned = {user.id: user.display_name for user in record.mentions or ()}

    def get_replacement(match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        value = match[kind]
        listed = people.get(value, Person())
        if kind == "user" and (name := mentioned.get(value) or listed.name):
            return f"@{name}"
        if kind == "emoji":
            return f":{value}:"
        return f"/{value}" if kind == "command" else _UNRESOLVED[kind]

    return _TOKEN.sub(get_replacement, text)


def parse_time(stamp: object) -> int | None:
    """Convert a time to microseconds since 1970; without an offset, it is in UTC."""
    try:
        moment = msgspec.convert(stamp, datetime)
    except msgspec.ValidationError:
        return None
    return to_microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

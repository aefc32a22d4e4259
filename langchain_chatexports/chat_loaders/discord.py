"""Discord: channels that DiscordChatExporter saved as JSON.

Each file holds a channel, a thread or direct messages, or a part of one. The keys and
their first versions are those of DiscordChatExporter's JSON writer, 2.18 to 2.47.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    NOT_DECODED,
    clean_text,
    decode_head,
    decode_json,
    decode_record,
)
from langchain_chatexports.chat_loaders.messages import (
    UNKNOWN_SENDER,
    Conversation,
    Message,
    attachment,
    reactions,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_HEAD_BYTES = 64 * 2**10
# The writer indents by two spaces, so a message ends with a line indented by four.
_MESSAGE_END = b"\n    }"
# DiscordChatExporter's HTML, text and CSV, and messages of Discord's data package.
_REFUSED = re.compile(
    rb"(?s)(?:\xef\xbb\xbf)?(?:\s*<.*chatlog__|={62}\s+Guild: |AuthorID,Author,Date,"
    rb'|ID,Timestamp,Contents,|\s*\[\s*\{\s*"ID":[\s\d"]{1,40},\s*"Timestamp":)'
)
_OF_PACKAGE = frozenset({"messages.json", "messages.csv"})
_MAX_LOOKED_AT = 100
_MAX_MESSAGES_LOOKED_AT = 500  # Both sides of direct messages have written by then.
_MAX_ID_LENGTH = 20  # A 64-bit number.
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# The tool writes unknown types as numbers, as Discord's API has them. All other types
# (joins, pins, calls, boosts, poll results, new types) are messages of Discord itself.
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
# The texts of DiscordChatExporter for ids that it cannot resolve.
_UNRESOLVED = {
    "user": "@Unknown",
    "role": "@deleted-role",
    "channel": "#deleted-channel",
    "time": "(a time)",
}


class Guild(msgspec.Struct):
    """The server; `Direct Messages` if there is none."""

    name: str | None = None


class ChannelHead(msgspec.Struct):
    """A channel; direct messages have the name of the other person."""

    id: str
    type: str | None = None
    name: str | None = None
    category: str | None = None  # The category, or the channel of a thread.


class Head(msgspec.Struct, rename="camel"):
    """The beginning of a file, up to its messages."""

    guild: Guild
    channel: ChannelHead
    exported_at: Any = None  # Since 2.40.1.

    @property
    def is_direct(self) -> bool:
        """Whether the channel is between people, not on a server."""
        return self.channel.type in {"DirectTextChat", "DirectGroupTextChat"}


class Channel(NamedTuple):
    """The files of a channel: its parts, and exports of several days."""

    head: Head  # The head of the newest file.
    files: list[ExportFile]  # The newest export first.


class File(msgspec.Struct, rename="camel"):
    """The messages of a file, and their number."""

    messages: list[msgspec.Raw]
    message_count: Any = None

    @property
    def missing(self) -> int:
        """The number of missing messages, by the file's own count."""
        count = self.message_count if type(self.message_count) is int else 0
        return max(0, count - len(self.messages))


class User(msgspec.Struct, rename="camel"):
    """An author, or a person who is mentioned or who reacted."""

    id: str | None = None
    name: str | None = None  # The user name, unique except for deleted accounts.
    # Since 2.25: the name on this server, or the display name.
    nickname: str | None = None
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
    """An emoji: the name is the character, unless it is a custom one with an id."""

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
    """The content of a message or, since 2.47, of a forwarded one."""

    content: str | None = None
    attachments: list[Attached] | None = None
    stickers: list[Attached] | None = None


class Record(Content, rename="camel"):
    """A message."""

    id: str | None = None
    type: str | int | None = None
    timestamp: Any = None  # ISO 8601 with the offset of the exporting machine, or UTC.
    timestamp_edited: Any = None
    author: User | None = None
    embeds: list[Embed] | None = None
    reactions: list[Reaction] | None = None
    mentions: list[User] | None = None
    reference: Reference | None = None
    forwarded_message: Content | None = None

    @property
    def kind(self) -> str:
        """The type as a string."""
        return "" if self.type is None else str(self.type)


_HEAD = msgspec.json.Decoder(Head)
_FILE = msgspec.json.Decoder(File)
_RECORD = msgspec.json.Decoder(Record)


class Reader:
    """Turns the records of one channel into messages."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # The name of each id in the messages so far.
        self.handles: dict[str, tuple[str, ...]] = {}  # The user name of each id.

    def message(self, record: Record | None) -> Message:
        """Return a record as a message; `None` is a damaged record."""
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
            cards = [(one.title, one.description) for one in record.embeds or ()]
            shown = filter(None, map(clean_text, chain.from_iterable(cards)))
            kind, text = "bot", text or "\n".join(shown)
        if record.timestamp_edited:
            extra["edited"] = True
        if record.reactions:
            extra["reactions"] = [
                each for one in record.reactions for each in _reactions(one, self.names)
            ]
        # Pins, threads and crossposts also refer to a message, without being replies.
        if written in _REPLIES and record.reference and record.reference.message_id:
            extra["reply_to"] = {"id": record.reference.message_id}
        if forwarded := record.forwarded_message:
            # The text is another person's; the message itself has none.
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


class DiscordChatLoader(ChatExportLoader):
    """Load the channels of a Discord export.

    Each channel, thread and direct message that DiscordChatExporter saved as JSON is a
    session, joined from all its files. Sessions come in code-point order of the files'
    names. `owner` is the id, user name or nickname of the person who exported; without
    it, the owner is found where the export has direct messages.

    Discord's own data package holds one side of each conversation, and is not read.
    """

    platform = "discord"
    names_are_in_messages = True

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each channel."""
        channels = _find_channels(files)
        owner = find_owner(channels) if self.owner is None else None
        for channel in channels:
            reader = Reader()
            head = channel.head.channel
            name = clean_text(head.name) or head.id
            names = (head.name, channel.head.guild.name, head.category)
            yield Conversation(
                id=head.id,
                messages=_messages(channel, reader, files),
                title=name if channel.head.is_direct else f"#{name}",
                names=reader.names,
                handles=reader.handles,
                aliases=[alias for alias in map(clean_text, names) if alias],
                is_group=head.type != "DirectTextChat",
                owner=owner,
                owner_found_by=owner and "direct messages",
            )


def matches(files: Iterable[ExportFile]) -> bool:
    """Return whether files are a Discord export, by names and first bytes."""
    listed = list(files)
    named = [file for file in listed if file.name.lower().endswith(".json")]
    # Other formats are not supported, and the loader explains what to do.
    refused = [file for file in listed if file.name in _OF_PACKAGE]
    refused += [] if named else listed[:_MAX_LOOKED_AT]
    with suppress(ChatExportError):
        return any(map(_head, named[:_MAX_LOOKED_AT])) or any(
            _REFUSED.match(file.read(_HEAD_BYTES)) for file in refused
        )
    return False


def _head(file: ExportFile) -> Head | None:
    """Return the head of a channel's file; `None` for any other file.

    File names are not reliable: people rename files, and attachments may be JSON.
    """
    is_json = file.name.lower().endswith(".json")
    return decode_head(file.read(_HEAD_BYTES), _HEAD) if is_json else None


def _find_channels(files: ExportFiles) -> list[Channel]:
    """Return the channels in order of their files."""
    found: dict[str, list[tuple[int, Head, ExportFile]]] = defaultdict(list)
    files.details["other_files"] = 0
    for file in files:
        try:
            head = _head(file)
        except ChatExportError as error:
            files.skip(error)
            continue
        if head is None:
            files.details["other_files"] += 1
        else:
            exported_at = microseconds(head.exported_at) or 0
            found[head.channel.id].append((exported_at, head, file))
    if not found:
        msg = (
            f"{files.path} holds no messages of a Discord export that can be read. "
            "Discord's own data package has only your own messages, and other formats "
            "lack ids. Export channels with DiscordChatExporter, in the format JSON, "
            "and give the files or their folder."
        )
        raise ExportFormatError(msg, path=files.path)
    channels = []
    for parts in found.values():
        # The sort is stable: files without an export time stay in order of their names.
        parts.sort(key=lambda part: part[0])
        parts.reverse()
        channels.append(Channel(parts[0][1], [file for _, _, file in parts]))
    return channels


def _messages(
    channel: Channel, reader: Reader, files: ExportFiles
) -> Iterator[Message]:
    """Yield the messages of a channel in order of their ids, which grow with time."""
    rows: list[Message] = []
    for file in channel.files:
        try:
            content = read_file(file)
        except ChatExportError as error:
            files.skip(error)
            continue
        if missing := content.missing:
            files.details["missing"] = files.details.get("missing", 0) + missing
            files.warn(
                f"{file.label} lacks {plural(missing, 'message')} of its own count. "
                "Export the channel again."
            )
        for raw in content.messages:
            rows.append(reader.message(decode_record(_RECORD, raw)))
            files.check_count(len(rows))
    rows.sort(key=_number)
    yield from rows


def read_file(file: ExportFile) -> File:
    """Return the undecoded messages of a file, which may be truncated."""
    data = file.read().removeprefix(b"\xef\xbb\xbf")
    try:
        return decode_json(data, _FILE, file.label, file.path)
    except msgspec.ValidationError:
        msg = f"{file.label} has no list of messages. Export the channel again as JSON."
        raise ExportFormatError(msg, path=file.path) from None
    except ExportFormatError:
        end = data.rfind(_MESSAGE_END) + len(_MESSAGE_END)
        with suppress(*NOT_DECODED):
            return _FILE.decode(data[:end] + b",null]}")
        raise


def _number(message: Message) -> int:
    is_number = message.id.isdecimal() and len(message.id) <= _MAX_ID_LENGTH
    return int(message.id) if is_number else -1


def find_owner(channels: Iterable[Channel]) -> str | None:
    """Return the id of the one person who takes part in all direct messages.

    Direct messages are named after the other person.
    """
    candidates: list[set[str]] = []
    chats: Counter[str] = Counter()
    has_named_author = False
    for channel in channels:
        if not channel.head.is_direct:
            continue
        is_group = channel.head.channel.type == "DirectGroupTextChat"
        title = channel.head.channel.name or ""
        parts = title.split(", ") if is_group else [title]
        others = {part.casefold().strip() for part in parts} - {""}
        authors = _first_authors(channel)
        own = {
            person
            for person, user in authors.items()
            if others.isdisjoint({user.shown.casefold(), (user.name or "").casefold()})
        }
        has_named_author = has_named_author or len(own) < len(authors)
        candidates += [own] if own else []
        chats.update(() if is_group else own)
    # Two people share one chat, so only the owner can be in two chats.
    owners = {person for person, count in chats.items() if count > 1}
    if len(owners) != 1 and candidates and has_named_author:
        owners = set.intersection(*candidates)
    return owners.pop() if len(owners) == 1 else None


def _first_authors(channel: Channel) -> dict[str, User]:
    authors: dict[str, User] = {}
    for file in channel.files:
        with suppress(ChatExportError):  # It is counted when it is read.
            for raw in islice(read_file(file).messages, _MAX_MESSAGES_LOOKED_AT):
                record = decode_record(_RECORD, raw)
                author = record.author if record else None
                if author and author.id and not author.is_bot:
                    authors.setdefault(author.id, author)
    return authors

"""Load Discord channels that DiscordChatExporter exported as JSON.

Each file contains all or part of a channel, a thread or direct messages. The keys, and
the versions that introduced them, are from the JSON writer of DiscordChatExporter 2.18
to 2.47.
"""

import re
from codecs import BOM_UTF8
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders import schema
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    clean_text,
    decode_head,
    decode_json,
    decode_record,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
    attachment,
    reactions,
)
from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.times import to_microseconds
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_HEAD_BYTES = 64 * 2**10
# The JSON is indented by two spaces, so the last line of a message has four.
_MESSAGE_END = b"\n    }"
# DiscordChatExporter's HTML, text and CSV, and the messages in Discord's data package.
_OTHER_FORMATS = re.compile(
    rb"(?s)(?:\xef\xbb\xbf)?(?:\s*<.*chatlog__|={62}\s+Guild: |AuthorID,Author,Date,"
    rb'|ID,Timestamp,Contents,|\s*\[\s*\{\s*"ID":[\s\d"]{1,40},\s*"Timestamp":)'
)
_DATA_PACKAGE_FILES = frozenset({"messages.json", "messages.csv"})
_MAX_INSPECTED_FILES = 100
# Usually includes messages from both people in a direct chat.
_MAX_INSPECTED_MESSAGES = 500
_MAX_ID_LENGTH = 20  # A 64-bit number.
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


class Guild(msgspec.Struct):
    """The server; `Direct Messages` if there is none."""

    name: str | None = None


class ChannelHead(msgspec.Struct):
    """A channel; a direct chat is named after the other person."""

    id: str
    type: str | None = None
    name: str | None = None
    category: str | None = None
    """In a thread, the channel."""


class Head(msgspec.Struct, rename="camel"):
    """The keys that precede the messages in a file."""

    guild: Guild
    channel: ChannelHead
    exported_at: Any = None
    """Since 2.40.1."""

    @property
    def is_direct(self) -> bool:
        """Whether it is a direct chat of two people or a group."""
        return self.channel.type in {"DirectTextChat", "DirectGroupTextChat"}


class Channel(NamedTuple):
    """A channel's files, from partitions and repeated exports."""

    head: Head
    """The head of the newest file."""

    files: list[ExportFile]
    """The newest export first."""


class File(msgspec.Struct, rename="camel"):
    """The messages of a file, and the count that it declares."""

    messages: list[msgspec.Raw]
    message_count: Any = None
    is_cut: bool = False
    """Whether the end of the file is missing; not a key of the file."""

    @property
    def missing(self) -> int:
        """The number of messages missing according to the file's own count."""
        count = self.message_count if type(self.message_count) is int else 0
        return max(0, count - len(self.messages))


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


_HEAD_DECODER = msgspec.json.Decoder(Head)
_FILE_DECODER = msgspec.json.Decoder(File)
_RECORD_DECODER = msgspec.json.Decoder(Record)


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
        time = _parse_time(record.timestamp)
        return Message(time, person, text, kind, record.id or "", extra)

    def _collect_extra(self, record: Record) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        attachments = [*_list_attachments(record)]
        if forwarded := record.forwarded_message:
            attachments = attachments or [*_list_attachments(forwarded)]
            extra["forwarded"] = True
        if attachments:
            extra["attachments"] = attachments
        if record.timestamp_edited:
            extra["edited"] = True
        if record.reactions:
            extra["reactions"] = [
                item
                for reaction in record.reactions
                for item in _convert_reaction(reaction, self.people)
            ]
        # Pins, threads and crossposts also have a reference, but are not replies.
        is_reply = record.type_name in _REPLY_TYPES
        if is_reply and record.reference and record.reference.message_id:
            extra["reply_to"] = {"id": record.reference.message_id}
        return extra


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


def _parse_time(stamp: object) -> int | None:
    """Convert a time to microseconds since 1970; without an offset, it is in UTC."""
    try:
        moment = msgspec.convert(stamp, datetime)
    except msgspec.ValidationError:
        return None
    return to_microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


class DiscordChatLoader(ChatExportLoader):
    """Load the channels of a Discord export.

    Files must be in DiscordChatExporter's JSON format. Each channel, thread and direct
    chat is a session, combined from all of its files. Sessions are in
    code-point order of the file names. `owner` is the id, user name or nickname of the
    person who exported; it is detected by default if there are direct messages.

    Discord's own data package is not supported, since it only contains one side of each
    conversation.
    """

    platform = "discord"
    label = "Discord export"

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether files are a Discord export, by their names and first bytes."""
        json_files = [file for file in files if file.name.lower().endswith(".json")]
        # Also recognize unsupported formats, since the loader's error explains what to
        # do.
        others = [file for file in files if file.name in _DATA_PACKAGE_FILES]
        others += [] if json_files else files.files[:_MAX_INSPECTED_FILES]
        with suppress(ChatExportError):
            return any(map(_read_head, json_files[:_MAX_INSPECTED_FILES])) or any(
                _OTHER_FORMATS.match(file.read(_HEAD_BYTES)) for file in others
            )
        return False

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each channel."""
        channels = _find_channels(files)
        owner = find_owner(channels) if self.owner is None else None
        for channel in channels:
            reader = MessageReader()
            head = channel.head.channel
            name = clean_text(head.name) or head.id
            names = (head.name, channel.head.guild.name, head.category)
            messages = iter(_read_messages(channel, reader, files))
            if owner:  # Who may not write in this channel.
                reader.people.setdefault(owner.id, Person(owner.name))
            yield Conversation(
                id=head.id,
                messages=messages,
                title=name if channel.head.is_direct else f"#{name}",
                people=reader.people,
                aliases=[alias for alias in map(clean_text, names) if alias],
                is_group=head.type != "DirectTextChat",
                owner=owner,
            )


def _read_head(file: ExportFile) -> Head | None:
    """Read the head of a channel file; `None` for any other file.

    Ignores file names: people rename files, and attachments may be JSON.
    """
    is_json = file.name.lower().endswith(".json")
    return decode_head(file.read(_HEAD_BYTES), _HEAD_DECODER) if is_json else None


def _find_channels(files: ExportFiles) -> list[Channel]:
    """Group the files by channel, in the order of the files."""
    parts_by_channel: dict[str, list[tuple[int, Head, ExportFile]]] = defaultdict(list)
    others: list[ExportFile] = []
    for file in files:
        try:
            head = _read_head(file)
        except ChatExportError as error:
            files.skip(error, file)
            continue
        if head is None:
            others.append(file)
        else:
            exported_at = _parse_time(head.exported_at) or 0
            parts_by_channel[head.channel.id].append((exported_at, head, file))
    files.details["other_files"] = len(others)
    if not parts_by_channel:
        msg = (
            f"{files.path} contains no messages of a supported Discord export. "
            "Discord's own data package has only your own messages, and other formats "
            "lack ids. Export channels with DiscordChatExporter, in the format JSON, "
            "and pass the files or their folder."
        )
        raise ExportFormatError(msg, path=files.path)
    read = [file for parts in parts_by_channel.values() for *_, file in parts]
    files.report_ignored(others, read)
    channels = []
    for parts in parts_by_channel.values():
        # A stable sort keeps files without an export time in the order of their names.
        parts.sort(key=lambda part: part[0])
        parts.reverse()
        channels.append(Channel(parts[0][1], [file for _, _, file in parts]))
    return channels


def _read_messages(
    channel: Channel, reader: MessageReader, files: ExportFiles
) -> list[Message]:
    """Return the messages of a channel, sorted by id, which increases with time."""
    rows: list[Message] = []
    for file in channel.files:
        try:
            content = read_file(file)
        except ChatExportError as error:
            files.skip(error, file)
            continue
        if content.is_cut:
            files.report_cut(file)
        elif missing := content.missing:
            files.details["missing"] = files.details.get("missing", 0) + missing
            files.warn(
                f"{file.label} is missing {plural(missing, 'message')} according to "
                "its own count. Export the channel again."
            )
        for raw in content.messages:
            rows.append(reader.read(decode_record(_RECORD_DECODER, raw)))
            files.check_count(len(rows))
    rows.sort(key=_numeric_id)
    return rows


def read_file(file: ExportFile) -> File:
    """Read a possibly truncated file, without decoding its messages."""
    data = file.read()
    try:
        return decode_json(data, _FILE_DECODER, file.label, file.path)
    except msgspec.ValidationError:
        msg = f"{file.label} has no list of messages. Export the channel again as JSON."
        raise ExportFormatError(msg, path=file.path) from None
    except ExportFormatError:
        end = data.rfind(_MESSAGE_END) + len(_MESSAGE_END)
        with suppress(*DECODE_ERRORS):
            data = data[:end].removeprefix(BOM_UTF8) + b",null]}"
            return msgspec.structs.replace(_FILE_DECODER.decode(data), is_cut=True)
        raise


def _numeric_id(message: Message) -> int:
    is_number = message.id.isdecimal() and len(message.id) <= _MAX_ID_LENGTH
    return int(message.id) if is_number else -1


def find_owner(channels: Iterable[Channel]) -> DetectedOwner | None:
    """Return the only person in all direct chats.

    A direct chat is named after the other person.
    """
    candidates: list[set[str]] = []
    chats: Counter[str] = Counter()
    names: dict[str, str] = {}
    has_named_author = False
    for channel in channels:
        if not channel.head.is_direct:
            continue
        is_group = channel.head.channel.type == "DirectGroupTextChat"
        title = channel.head.channel.name or ""
        parts = title.split(", ") if is_group else [title]
        others = {*map(name_key, parts)} - {""}
        authors = _read_first_authors(channel)
        possible_owners = {
            person
            for person, user in authors.items()
            if others.isdisjoint(
                {name_key(user.display_name), name_key(user.name or "")}
            )
        }
        for person, user in authors.items():
            names.setdefault(person, user.display_name)
        has_named_author = has_named_author or len(possible_owners) < len(authors)
        candidates += [possible_owners] if possible_owners else []
        chats.update(() if is_group else possible_owners)
    # Each pair of people has only one chat, so a person in two chats is the owner.
    owners = {person for person, count in chats.items() if count > 1}
    if len(owners) != 1 and candidates and has_named_author:
        owners = set.intersection(*candidates)
    if len(owners) != 1:
        return None
    (owner,) = owners
    return DetectedOwner(owner, "direct messages", names[owner])


def _read_first_authors(channel: Channel) -> dict[str, User]:
    authors: dict[str, User] = {}
    for file in channel.files:
        with suppress(ChatExportError):  # Reported when the messages are read.
            for raw in islice(read_file(file).messages, _MAX_INSPECTED_MESSAGES):
                record = decode_record(_RECORD_DECODER, raw)
                author = record.author if record else None
                if author and author.id and not author.is_bot:
                    authors.setdefault(author.id, author)
    return authors

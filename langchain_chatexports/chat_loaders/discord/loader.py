"""Load Discord channels that DiscordChatExporter exported as JSON.

Each file contains all or part of a channel, a thread or direct messages.
"""

import re
from codecs import BOM_UTF8
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.discord.records import (
    MessageReader,
    Record,
    User,
    parse_time,
)
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
)
from langchain_chatexports.chat_loaders.names import name_key
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


_HEAD_DECODER = msgspec.json.Decoder(Head)
_FILE_DECODER = msgspec.json.Decoder(File)
_RECORD_DECODER = msgspec.json.Decoder(Record)


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
    remedy = (
        "Discord's own data package has only your own messages, and other formats lack "
        "ids. Export channels with DiscordChatExporter, in the format JSON, and pass "
        "the files or their folder."
    )

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
            rows = files.collect(_read_messages(channel, reader, files))
            # Ids increase with time. The iterator frees the list at its end.
            messages = iter(sorted(rows, key=_numeric_id))
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
    for file, head in files.read_each(files, _read_head):
        if head is None:
            others.append(file)
        else:
            exported_at = parse_time(head.exported_at) or 0
            parts_by_channel[head.channel.id].append((exported_at, head, file))
    files.details["other_files"] = len(others)
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
) -> Iterator[Message]:
    """Yield the messages of all files of a channel."""
    for file, content in files.read_each(channel.files, read_file):
        if content.is_cut:
            files.report_cut(file)
        elif missing := content.missing:
            files.details["missing"] = files.details.get("missing", 0) + missing
            files.warn(
                f"{file.label} is missing {plural(missing, 'message')} according to "
                "its own count. Export the channel again."
            )
        for raw in content.messages:
            yield reader.read(decode_record(_RECORD_DECODER, raw))


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

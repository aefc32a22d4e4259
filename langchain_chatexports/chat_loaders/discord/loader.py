"""Discord: channels that DiscordChatExporter saved as JSON.

Each file holds a channel, a thread or direct messages, or a part of one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.discord.records import (
    Reader,
    User,
    microseconds,
    read_record,
)
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    NOT_DECODED,
    clean_text,
    decode_head,
    decode_json,
)
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_HEAD_BYTES = 64 * 2**10
# The writer indents by two spaces: a message ends with a line that is indented by four.
_MESSAGE_END = b"\n    }"
# The names of the files of a channel that is written in parts.
_PART = re.compile(r"(.*) \[part (\d{1,6})\]\.json", re.IGNORECASE | re.DOTALL)
# DiscordChatExporter's HTML, text and CSV, and messages of Discord's data package.
_REFUSED = re.compile(
    rb"(?s)\s*<.*chatlog__|={62}\s+Guild: |AuthorID,Author,Date,Content,"
    rb'|ID,Timestamp,Contents,|\s*\[\s*\{\s*"ID":[\s\d"]{1,40},\s*"Timestamp":'
)
_MAX_LOOKED_AT = 100
_MAX_MESSAGES_LOOKED_AT = 500  # Both sides of direct messages have written by then.
_MAX_ID_LENGTH = 20  # A 64-bit number.


class Guild(msgspec.Struct):
    """The server; `Direct Messages` where there is none."""

    name: str | None = None


class ChannelHead(msgspec.Struct):
    """A channel; direct messages have the name of the other side."""

    id: str
    type: str | None = None
    name: str | None = None
    category: str | None = None
    """The category, or the channel that a thread is in."""


class Head(msgspec.Struct, rename="camel"):
    """The beginning of a file, up to its messages."""

    guild: Guild
    channel: ChannelHead
    exported_at: Any = None
    """Since 2.40.1."""

    @property
    def is_direct(self) -> bool:
        """Whether the channel is between people, not on a server."""
        return self.channel.type in {"DirectTextChat", "DirectGroupTextChat"}


class File(msgspec.Struct, rename="camel"):
    """The messages of a file, and the count that it ends with."""

    messages: list[msgspec.Raw]
    message_count: Any = None

    @property
    def missing(self) -> int:
        """How many messages the file lacks by its own count."""
        count = self.message_count if type(self.message_count) is int else 0
        return max(0, count - len(self.messages))


class Account(msgspec.Struct):
    """`account/user.json` of Discord's data package."""

    id: str
    username: str
    global_name: str | None = None


_HEAD = msgspec.json.Decoder(Head)
_FILE = msgspec.json.Decoder(File)
_ACCOUNT = msgspec.json.Decoder(Account)


@dataclass(slots=True)
class Channel:
    """The files of a channel: its parts, and exports of several days."""

    head: Head
    """That of the newest file."""

    files: list[ExportFile]
    """The newest export first."""


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
        channels, account = _find_channels(files)
        owner, found_by = None, None
        if account is not None:
            owner, found_by = account.id, "data package"
        elif self.owner is None and (owner := find_owner(channels)):
            found_by = "direct messages"
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
                owner_found_by=found_by,
            )


def matches(files: Iterable[ExportFile]) -> bool:
    """Return whether files are a Discord export, by names and first bytes."""
    listed = list(files)
    named = [file for file in listed if file.name.lower().endswith(".json")]
    with suppress(ChatExportError):
        if any(map(_is_of_package, listed)) or any(map(_head, named[:_MAX_LOOKED_AT])):
            return True
        # Other formats cannot be read, but the loader names the remedy.
        looked_at = [] if named else listed[:_MAX_LOOKED_AT]
        return any(is_refused(file.read(_HEAD_BYTES)) for file in looked_at)
    return False


def _find_channels(files: ExportFiles) -> tuple[list[Channel], Account | None]:
    """Return the channels in order of their files, and whose data package is beside."""
    found: dict[str, list[tuple[int, Head, ExportFile]]] = defaultdict(list)
    account, is_package = None, False
    files.details["other_files"] = 0
    for file in files:
        try:
            head = _head(file)
        except ChatExportError as error:
            files.skip(error)
            continue
        if head is not None:
            exported_at = microseconds(head.exported_at) or 0
            found[head.channel.id].append((exported_at, head, file))
            continue
        files.details["other_files"] += 1
        is_package = is_package or _is_of_package(file)
        if account is None and _is_account(file):
            with suppress(ChatExportError, msgspec.ValidationError):
                account = decode_json(file.read(), _ACCOUNT, file.label, file.path)
    if not found:
        raise _nothing_to_read(files, is_package=is_package)
    channels = []
    for parts in found.values():
        # A stable sort: without a time of export, the order of the names counts.
        parts.sort(key=lambda part: part[0])
        parts.reverse()
        channels.append(Channel(parts[0][1], [file for _, _, file in parts]))
    return channels, account


def _messages(
    channel: Channel, reader: Reader, files: ExportFiles
) -> Iterator[Message]:
    """Yield the messages of a channel by id: ids grow with time."""
    _warn_of_missing_parts(channel, files)
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
            rows.append(reader.message(read_record(raw)))
            files.check_count(len(rows))
    rows.sort(key=_number)
    yield from rows


def _head(file: ExportFile) -> Head | None:
    """Return the head of a file of a channel; `None` if it is something else.

    The file's name does not count: people rename files, and some assets that a message
    carries are JSON, too.
    """
    is_json = file.name.lower().endswith(".json")
    return decode_head(file.read(_HEAD_BYTES), _HEAD) if is_json else None


def read_file(file: ExportFile) -> File:
    """Return the undecoded messages of a file, of one that was cut off, too."""
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
    """Return the id of who is on this side of all direct messages, if that is one.

    Direct messages are named after the other side.
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
    # Two people have one chat with each other: only the owner is in two of them.
    owners = {person for person, count in chats.items() if count > 1}
    if len(owners) != 1 and candidates and has_named_author:
        owners = set.intersection(*candidates)
    return owners.pop() if len(owners) == 1 else None


def _first_authors(channel: Channel) -> dict[str, User]:
    authors: dict[str, User] = {}
    for file in channel.files:
        with suppress(ChatExportError):  # It is counted when it is read.
            for raw in islice(read_file(file).messages, _MAX_MESSAGES_LOOKED_AT):
                record = read_record(raw)
                author = record.author if record else None
                if author and author.id and not author.is_bot:
                    authors.setdefault(author.id, author)
    return authors


def _warn_of_missing_parts(channel: Channel, files: ExportFiles) -> None:
    """Warn of parts that are not there, by the names of the others."""
    parts: dict[tuple[int, tuple[str, ...], str], set[int]] = defaultdict(set)
    for file in channel.files:
        match = _PART.fullmatch(file.name)
        stem = match[1] if match else file.name.rpartition(".")[0]
        parts[file.part, file.folders, stem].add(int(match[2]) if match else 1)
    for (_, _, stem), numbers in parts.items():
        if count := max(numbers) - len(numbers):
            files.warn(
                f"Of {stem} in {files.path} {plural(count, 'part')} of "
                f"{max(numbers):,} cannot be found by name, and the messages in it are "
                "missing. Put all parts into the folder."
            )


def _nothing_to_read(files: ExportFiles, *, is_package: bool) -> ExportFormatError:
    if is_package:
        msg = (
            f"{files.path} is Discord's data package, which holds only your own "
            "messages: the other half of each conversation is missing. Export with "
            "DiscordChatExporter, in the format JSON."
        )
    else:
        msg = (
            f"{files.path} holds no messages of a Discord export. Export channels with "
            "DiscordChatExporter, in the format JSON, and give the files or their "
            "folder."
        )
    return ExportFormatError(msg, path=files.path)


def is_refused(head: bytes) -> bool:
    """Return whether a file's first bytes are of a form that the loader refuses."""
    return _REFUSED.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def _is_of_package(file: ExportFile) -> bool:
    """Return whether a file is one of Discord's data package."""
    # The names are in lower case until 2024, with a capital since.
    folder = file.folders[-1].lower() if file.folders else ""
    if file.name == "index.json" and folder == "messages":
        return True
    if file.name in {"messages.json", "messages.csv"}:
        return is_refused(file.read(_HEAD_BYTES))
    return _is_account(file) and b'"username"' in file.read(_HEAD_BYTES)


def _is_account(file: ExportFile) -> bool:
    folder = file.folders[-1].lower() if file.folders else ""
    return file.name == "user.json" and folder == "account"

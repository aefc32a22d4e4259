"""Slack: exports of a workspace, and what slackdump writes.

An export has a folder for each conversation with a file for each day, and lists of
people and conversations beside the folders. slackdump writes the same layout, or one
file for each conversation (its "dump").
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.conversation import distinct_names
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    NOT_DECODED,
    clean_text,
    decode_head,
    decode_json,
)
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.chat_loaders.people import name_key
from langchain_chatexports.chat_loaders.slack.records import (
    Dump,
    Listed,
    Reader,
    Record,
    User,
    microseconds,
    read_record,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.json", re.ASCII)
_USERS = ("users.json", "org_users.json")
_LISTS = {
    "channels.json": "channel",
    "groups.json": "channel",  # Private channels.
    "mpims.json": "group",  # Direct messages of several people.
    "dms.json": "dm",
}
_TEXT_FOLDERS = frozenset({"channels", "dms"})
_ATTACHED = frozenset({"attachments", "__uploads"})  # Where slackdump saves files.
_HEAD_BYTES = 4096
_MAX_LOOKED_AT = 20
_DIRECT_ID = re.compile("D[A-Z0-9]{6,}")
_EDITED = 2**40  # More than the size of any record.
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_USER = msgspec.json.Decoder(User)
_LISTED = msgspec.json.Decoder(Listed)
_MESSAGES = msgspec.json.Decoder(list[msgspec.Raw] | Dump)
_DUMP = msgspec.json.Decoder(Dump)
Folder = tuple[int, tuple[str, ...]]


@dataclass(slots=True)
class Channel:
    """A channel (public or private), a group of people or direct messages."""

    id: str
    name: str
    kind: str
    members: list[str] = field(default_factory=list)
    partner: str | None = None
    files: list[ExportFile] = field(default_factory=list)

    @property
    def is_direct(self) -> bool:
        """Whether it is between people, and its threads stay inside."""
        return self.kind != "channel"


class SlackChatLoader(ChatExportLoader):
    """Load the conversations of a Slack export.

    Each channel and direct message is a session, joined from its files of all days. A
    thread in a channel is a session of its own: otherwise unrelated threads would
    interleave. Its first message also stays in the channel, where people saw it; in the
    thread it is context. Ids in texts become names, and links what people saw.

    Sessions come in code-point order of the folders' names, each channel before its
    threads. `owner` is the id, handle, name or e-mail address of the person who
    exported; the export shows it only where it has direct messages.
    """

    platform = "slack"
    suffixes = (".json", ".txt")

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each channel, then its threads."""
        workspace = Workspace(files)
        owner = (
            workspace.owner() if self.owner is None else workspace.person(self.owner)
        )
        for channel in workspace.channels:
            for conversation in workspace.conversations(channel, owner):
                conversation.owner = owner
                conversation.owner_found_by = "direct messages"
                yield conversation


def matches(files: Iterable[ExportFile]) -> bool:
    """Return whether files are a Slack export, by their names and first bytes."""
    listed = list(files)
    names: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for file in listed:
        names[file.folders].add(file.name)
    if any(found & set(_USERS) and found & set(_LISTS) for found in names.values()):
        return True
    days = [file for file in listed if _DAY_FILE.fullmatch(file.name)]
    if days:
        return any(map(_starts_with_messages, days[:3]))
    dumps = [file for file in listed if file.name.lower().endswith(".json")]
    if dumps:
        return any(map(_dump, dumps[:_MAX_LOOKED_AT]))
    # A text export cannot be read, but the loader names the remedy.
    return any(map(_is_text_export, listed))


class Workspace:
    """The people and conversations of an export."""

    def __init__(self, files: ExportFiles) -> None:
        self._files = files
        self._users: dict[str, User] = {}
        self._direct_messages: list[Channel] = []
        self._channel_names: dict[str, str] = {}
        files.details["other_files"] = 0
        self.channels = self._channels()
        """Those with files, in code-point order of their folders' names."""

        self._reader = Reader(self._users, self._channel_names)
        self._names, self._handles = self._reader.names, self._reader.handles
        self._distinct = distinct_names(self._names, self._handles)

    def _channels(self) -> list[Channel]:
        days: dict[Folder, list[ExportFile]] = defaultdict(list)
        lists: dict[Folder, dict[str, Channel]] = defaultdict(dict)
        others = []
        for file in self._files:
            if file.name in _USERS:
                users = self._entries(file, _USER)
                self._users |= {user.id: user for user in users}
            elif file.name in _LISTS:
                lists[file.part, file.folders] |= self._listed(file)
            elif _DAY_FILE.fullmatch(file.name):
                days[file.part, file.folders].append(file)
            elif file.name.lower().endswith(".json"):
                others.append(file)
        listed = {
            key: one for channels in lists.values() for key, one in channels.items()
        }
        found: dict[str, Channel] = {}
        for (part, folders), of_folder in sorted(days.items(), key=lambda x: x[0][1]):
            # Workspaces of one organization may have channels of one name: the list
            # beside the folder comes first.
            beside = lists.get((part, folders[:-1]), {})
            if not beside and _is_attached(of_folder[0]):
                self._files.details["other_files"] += len(of_folder)
                continue
            name = folders[-1] if folders else "messages"
            channel = beside.get(name) or listed.get(name) or _unlisted(name)
            found.setdefault(channel.id, channel).files += of_folder
        self._add_dumps(others, listed, found)
        if not found:
            raise _no_messages(self._files)
        return list(found.values())

    def _add_dumps(
        self,
        files: Iterable[ExportFile],
        listed: Mapping[str, Channel],
        found: dict[str, Channel],
    ) -> None:
        for file in files:
            if (dump := _dump(file)) is None:
                self._files.details["other_files"] += 1
                continue
            channel = listed.get(dump.channel_id) or _unlisted(dump.channel_id)
            if channel.name == channel.id:
                channel.name = clean_text(dump.name) or channel.id
            found.setdefault(channel.id, channel).files.append(file)

    def _entries(
        self, file: ExportFile, decoder: "msgspec.json.Decoder[Any]"
    ) -> Iterator[Any]:
        try:
            entries = decode_json(file.read(), _LIST, file.label, file.path)
        except msgspec.ValidationError:
            return
        except ChatExportError as error:
            self._files.skip(error)
            return
        for entry in entries:
            with suppress(*NOT_DECODED):
                yield decoder.decode(entry)

    def _listed(self, file: ExportFile) -> dict[str, Channel]:
        """Return the conversations in a list, by id and by name."""
        kind = _LISTS[file.name]
        listed: dict[str, Channel] = {}
        for entry in self._entries(file, _LISTED):
            name = clean_text(entry.name) or entry.id
            members = entry.members or ([entry.user] if entry.user else [])
            channel = Channel(entry.id, name, kind, members, entry.user)
            if kind == "dm":
                self._direct_messages.append(channel)
            elif kind == "channel":
                self._channel_names[channel.id] = name
            listed.setdefault(name, channel)
            listed.setdefault(channel.id, channel)
        return listed

    def person(self, given: str) -> str | None:
        """Return the id of the person with an id, handle, name or address."""
        key = name_key(given)
        for person, handles in self._handles.items():
            if key in map(name_key, (person, *handles)):
                return person
        return None

    def owner(self) -> str | None:
        """Return the id of the person who takes part in all direct messages."""
        pairs = [set(dm.members) for dm in self._direct_messages]
        pairs = [pair for pair in pairs if len(pair) > 1]
        # With one partner only, it could be either.
        common = set.intersection(*pairs) if pairs else set()
        if len(common) != 1:
            common = set(self._authors_beside_partners())
        return common.pop() if len(common) == 1 else None

    def _authors_beside_partners(self) -> Iterator[str]:
        for channel in self.channels:
            for file in channel.files if channel.partner else ():
                with suppress(ChatExportError):  # It is counted when it is read.
                    records = map(read_record, _raws(file) or ())
                    users = {one.user for one in records if one and not one.subtype}
                    yield from (
                        user
                        for user in users - {channel.partner}
                        if user and not self._reader.is_bot(user)
                    )

    def conversations(
        self, channel: Channel, owner: str | None
    ) -> Iterator[Conversation]:
        """Yield a channel, then the threads that its messages are in."""
        threads: dict[str, list[Message]] = defaultdict(list)
        others = [who for who in channel.members if who != owner] or channel.members
        names = dict.fromkeys(f"@{self._distinct.get(who, who)}" for who in others)
        title = ", ".join(names) or channel.name
        conversation = Conversation(
            id=channel.id,
            messages=self._messages(channel, threads),
            title=title if channel.is_direct else f"#{channel.name}",
            members=channel.members if channel.is_direct else (),
            names=self._names,
            handles=self._handles,
            aliases=(channel.id, channel.name, f"#{channel.name}"),
            is_group=channel.kind != "dm",
        )
        yield conversation
        for thread in sorted(threads, key=_time_of_thread):
            messages = threads.pop(thread)
            if all(message.is_repeat for message in messages):
                continue  # Its replies are not in the export.
            title = f"#{channel.name}, thread of {_minute(_time_of_thread(thread)[0])}"
            yield replace(conversation, id=thread, messages=messages, title=title)

    def _messages(
        self, channel: Channel, threads: dict[str, list[Message]]
    ) -> Iterator[Message]:
        """Yield what stands in a channel itself, and gather its threads."""
        rows: list[tuple[int, Message]] = []
        for size, record in self._records(channel):
            weight = size + (_EDITED if record and record.edited else 0)
            rows.append((weight, self._reader.message(channel.id, record)))
            self._files.check_count(len(rows))
        if len({row.id for _, row in rows}) < len(rows):
            # Of two copies the first counts: the edited one, or that with more in it.
            rows.sort(key=itemgetter(0), reverse=True)
        for _, row in rows:
            thread = "" if channel.is_direct else _thread_of(row)
            if not thread:
                yield row
            elif thread == row.id:
                repeat = copy(row)
                repeat.is_repeat = True
                threads[thread].append(repeat)
                yield row
            else:
                threads[thread].append(row)

    def _records(self, channel: Channel) -> Iterator[tuple[int, Record | None]]:
        """Yield the size and content of each record; `None` if it is damaged."""
        for file in channel.files:
            try:
                raws = _raws(file)
            except ChatExportError as error:
                self._files.skip(error)
                continue
            if raws is None:
                self._files.details["other_files"] += 1
                continue
            for raw in raws:
                record = read_record(raw)
                yield len(raw), record
                # slackdump puts the replies into the first message of a thread.
                for reply in (record and record.slackdump_thread_replies) or ():
                    yield len(reply), read_record(reply)


def _raws(file: ExportFile) -> list[msgspec.Raw] | None:
    """Return the undecoded messages of a file; `None` if it is other JSON."""
    try:
        content = decode_json(file.read(), _MESSAGES, file.label, file.path)
    except msgspec.ValidationError:
        return None
    raws = content.messages if isinstance(content, Dump) else content
    return raws if not raws or any(b'"ts"' in bytes(raw) for raw in raws) else None


def _thread_of(message: Message) -> str:
    """Return the id of the thread that a message is in."""
    reply_to = message.extra.get("reply_to")
    return str(reply_to["id"] if reply_to else message.extra.get("thread", ""))


def _time_of_thread(thread: str) -> tuple[int, str]:
    return microseconds(thread.rpartition(":")[2]) or 0, thread


def _minute(time: int) -> str:
    # Not the first words, which are a person's text.
    try:
        moment = datetime.fromtimestamp(time // 1_000_000, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return "an unknown day"
    return f"{moment:%Y-%m-%d %H:%M}"


def _unlisted(name: str) -> Channel:
    if name.startswith("mpdm-"):
        return Channel(name, name, "group")
    return Channel(name, name, "dm" if _DIRECT_ID.fullmatch(name) else "channel")


def _no_messages(files: ExportFiles) -> ExportFormatError:
    if any(file.name.lower().endswith(".txt") for file in files):
        msg = (
            f"{files.path} is a Slack export as text, which has no ids and no threads. "
            "Export again with the format set to JSON."
        )
    else:
        msg = (
            f"{files.path} holds no messages of a Slack export: there is no folder of "
            "a channel with a file a day, such as general/2024-05-01.json. Give the "
            "zip from Slack, or the folder that it unpacks to."
        )
    return ExportFormatError(msg, path=files.path)


def _is_attached(file: ExportFile) -> bool:
    folders = file.folders[file.given :] or file.folders[-1:]
    return not _ATTACHED.isdisjoint(folders)


def _is_text_export(file: ExportFile) -> bool:
    folders = file.folders[file.given :]
    is_text = file.name.lower().endswith(".txt")
    return is_text and not _TEXT_FOLDERS.isdisjoint(folders[:2])


def _starts_with_messages(file: ExportFile) -> bool:
    head = _head(file)
    return head.startswith(b"[") and b'"ts"' in head


def _dump(file: ExportFile) -> Dump | None:
    """Return the head of a file that slackdump wrote for a channel, if it is one."""
    is_json = file.name.lower().endswith(".json")
    return decode_head(_head(file), _DUMP) if is_json else None


def _head(file: ExportFile) -> bytes:
    try:
        return file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except ChatExportError:
        return b""

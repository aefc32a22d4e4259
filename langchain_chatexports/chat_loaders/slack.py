"""Slack: exports of a workspace, and the files of slackdump.

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
from html import escape
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
    decode_record,
    dicts_of,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    Message,
    attachment,
    reactions,
)
from langchain_chatexports.chat_loaders.people import name_key
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.json", re.ASCII)
_USERS = ("users.json", "org_users.json")
_LISTS = {
    "channels.json": "channel",
    "groups.json": "channel",  # Private channels.
    "mpims.json": "group",  # Direct messages of several people.
    "dms.json": "dm",
}
_ATTACHED = frozenset({"attachments", "__uploads"})  # Where slackdump saves files.
_HEAD_BYTES = 4096
_MAX_LOOKED_AT = 20
_DIRECT_ID = re.compile("D[A-Z0-9]{6,}")
_EDITED = 2**40  # Larger than the size of any record.
# Seconds and microseconds as text: a float would lose the last digit of 16.
_TS = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
_NO_FILE = frozenset({"tombstone", "hidden_by_limit"})
_RICH_TEXT = {"user_id": "<@{}>", "channel_id": "<#{}>", "name": ":{}:", "range": "@{}"}
# Replaced in one pass: a typed `<@U1>` is stored as `&lt;@U1&gt;` and stays text.
_TOKEN = re.compile(r"<([^<>\n]*)>|&(lt|gt|amp);")
_ENTITY = re.compile(r"&(lt|gt|amp);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}
_EVERYBODY = frozenset({"here", "channel", "everyone", "group"})
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]{0,20}:(?://)?)?", re.IGNORECASE)
_SLACKBOT = "USLACKBOT"  # Slack's own bot, missing in lists of users.
# All other subtypes of Slack's API (joins, topics, pins, calls, new subtypes) are
# messages of Slack itself.
_WRITTEN = frozenset({"me_message", "thread_broadcast", "file_share", "file_comment"})
_BOT_SUBTYPES = frozenset({"bot_message", "slackbot_response"})
# The text of a shared file until about 2017, which includes the comment.
_OLD_SHARE = re.compile(
    r"<@\w+(?:\|[^>]*)?> (?:uploaded|shared) a file: <[^>]*>"
    r"(?: and commented: (?P<comment>.*))?",
    re.DOTALL,
)


class Profile(msgspec.Struct):
    """The names of a person or bot; those of a person may be empty."""

    display_name: str | None = None
    real_name: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def shown(self) -> str:
        """The name that Slack shows."""
        return _first(self.display_name, self.real_name, self.name)


class User(msgspec.Struct):
    """An entry of `users.json`; ids begin with U, or with W in an Enterprise Grid."""

    id: str
    name: str | None = None  # The handle.
    real_name: str | None = None
    is_bot: bool | None = None
    profile: Profile | None = None

    @property
    def shown(self) -> str:
        """The name that Slack shows."""
        shown = self.profile.shown if self.profile else ""
        return shown or _first(self.real_name, self.name)

    @property
    def handles(self) -> tuple[str, ...]:
        """All names, the unique ones first."""
        profile = self.profile or Profile()
        unique = (self.name, profile.email)
        names = (self.real_name, profile.real_name, profile.display_name)
        return tuple(dict.fromkeys(filter(None, map(clean_text, unique + names))))


class Listed(msgspec.Struct):
    """An entry of a list of conversations."""

    id: str
    name: str | None = None
    members: list[str] | None = None
    # The other person in direct messages, where slackdump lists no members.
    user: str | None = None


class Attachment(msgspec.Struct):
    """A file of a message; hidden and deleted ones have no name."""

    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    mode: str | None = None


class Unfurl(msgspec.Struct):
    """A link preview, a bot's card or, if one of the flags is set, a shared message."""

    is_share: bool | None = None
    is_msg_unfurl: bool | None = None
    from_url: str | None = None
    text: Any = None


class Reaction(msgspec.Struct):
    """A reaction; there may be fewer `users` than `count`."""

    name: str
    users: list[str] | None = None
    count: int | None = None


class Comment(msgspec.Struct):
    """A comment on a file, until 2018 an object inside the message."""

    user: str | None = None
    comment: str | None = None


class Record(msgspec.Struct):
    """A message; Slack's API documents its keys with the event `message`."""

    ts: Any = None  # The time of sending, which is also its id in the conversation.
    # The `ts` of its thread's first message, also set in that message.
    thread_ts: str | None = None
    user: str | None = None
    # The author's profile: people of other workspaces are not in the lists.
    user_profile: Profile | None = None
    text: str | None = None
    subtype: str | None = None
    username: str | None = None
    bot_id: str | None = None
    bot_profile: Profile | None = None
    bot_link: str | None = None
    comment: Comment | None = None
    edited: Any = None
    reactions: list[Reaction] | None = None
    files: list[Attachment] | None = None
    file: Attachment | None = None
    attachments: list[Unfurl] | None = None
    blocks: list[Any] | None = None
    slackdump_thread_replies: list[msgspec.Raw] | None = None


class Dump(msgspec.Struct):
    """A channel, or one of its threads, in a file of slackdump's `dump`."""

    channel_id: str
    name: str | None = None
    messages: list[msgspec.Raw] = []


_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_USER = msgspec.json.Decoder(User)
_LISTED = msgspec.json.Decoder(Listed)
_MESSAGES = msgspec.json.Decoder(list[msgspec.Raw] | Dump)
_DUMP = msgspec.json.Decoder(Dump)
_RECORD = msgspec.json.Decoder(Record)
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
        """Whether it is a chat between people, whose threads are not split off."""
        return self.kind != "channel"


class SlackChatLoader(ChatExportLoader):
    """Load the conversations of a Slack export.

    Each channel and direct message is a session, joined from its files of all days. A
    thread in a channel is a session of its own: otherwise unrelated threads would
    interleave. Its first message is in the channel as well; in the thread it is
    context. In texts, ids become names, and links become their visible text.

    Sessions are in code-point order of the folder names, each channel before its
    threads. `owner` is the id, handle, name or e-mail address of the person who
    exported; it is found automatically only if there are direct messages.
    """

    platform = "slack"

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each channel, then its threads."""
        workspace = Workspace(files)
        owner = (
            workspace.owner() if self.owner is None else workspace.person(self.owner)
        )
        for channel in workspace.channels:
            yield from workspace.conversations(channel, owner)


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
        heads = (file.head(_HEAD_BYTES) for file in days[:3])
        return any(head.startswith(b"[") and b'"ts"' in head for head in heads)
    dumps = [file for file in listed if file.name.lower().endswith(".json")]
    return any(map(_dump, dumps[:_MAX_LOOKED_AT]))


class Workspace:
    """The people and conversations of an export."""

    def __init__(self, files: ExportFiles) -> None:
        self._files = files
        self._users: dict[str, User] = {}
        self._direct_messages: list[Channel] = []
        self._channel_names: dict[str, str] = {}
        files.details["other_files"] = 0
        # The channels with files, in code-point order of their folder names.
        self.channels = self._channels()
        known = self._users.values()
        # The name of each id; guests are added as their messages are read.
        self._names = {user.id: shown for user in known if (shown := user.shown)}
        self._handles = {user.id: user.handles for user in known}
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
                lists[file.part, file.folders] |= self._read_list(file)
            elif _DAY_FILE.fullmatch(file.name):
                days[file.part, file.folders].append(file)
            else:
                others.append(file)
        listed = {
            key: one for channels in lists.values() for key, one in channels.items()
        }
        found: dict[str, Channel] = {}
        for (part, folders), of_folder in sorted(days.items(), key=lambda x: x[0][1]):
            # Workspaces of one organization may have channels with one name, so prefer
            # the list next to the folder.
            beside = lists.get((part, folders[:-1]), {})
            inner = folders[of_folder[0].given :] or folders[-1:]
            if not beside and not _ATTACHED.isdisjoint(inner):
                self._files.details["other_files"] += len(of_folder)
                continue
            name = folders[-1] if folders else "messages"
            channel = beside.get(name) or listed.get(name) or _unlisted(name)
            found.setdefault(channel.id, channel).files += of_folder
        self._add_dumps(others, listed, found)
        if not found:
            path = self._files.path
            msg = (
                f"{path} holds no messages of a Slack export in JSON: there is no "
                "channel folder with a file per day, such as general/2024-05-01.json. "
                "Give the zip from Slack, or the folder that it unpacks to."
            )
            raise ExportFormatError(msg, path=path)
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

    def _read_list(self, file: ExportFile) -> dict[str, Channel]:
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
        # In chats with one partner only, it could be either of the two.
        common = set.intersection(*pairs) if pairs else set()
        if len(common) != 1:
            common = set(self._authors_beside_partners())
        return common.pop() if len(common) == 1 else None

    def _authors_beside_partners(self) -> Iterator[str]:
        for channel in self.channels:
            for file in channel.files if channel.partner else ():
                with suppress(ChatExportError):  # Counted when it is read.
                    records = (decode_record(_RECORD, raw) for raw in _raws(file) or ())
                    users = {one.user for one in records if one and not one.subtype}
                    yield from (
                        user
                        for user in users - {channel.partner}
                        if user and not self._is_bot(user)
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
            owner=owner,
            owner_found_by="direct messages",
        )
        yield conversation
        for thread in sorted(threads, key=_time_of_thread):
            messages = threads.pop(thread)
            if all(message.is_repeat for message in messages):
                continue  # The export has no replies.
            title = f"#{channel.name}, thread of {_minute(_time_of_thread(thread)[0])}"
            yield replace(conversation, id=thread, messages=messages, title=title)

    def _messages(
        self, channel: Channel, threads: dict[str, list[Message]]
    ) -> Iterator[Message]:
        """Yield the messages of a channel itself, and collect its threads."""
        rows: list[tuple[int, Message]] = []
        for size, record in self._records(channel):
            weight = size + (_EDITED if record and record.edited else 0)
            rows.append((weight, self._message(channel.id, record)))
            self._files.check_count(len(rows))
        if len({row.id for _, row in rows}) < len(rows):
            # The first of two copies is kept: prefer edited and larger records.
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
                record = decode_record(_RECORD, raw)
                yield len(raw), record
                # slackdump stores the replies in the first message of a thread.
                for reply in (record and record.slackdump_thread_replies) or ():
                    yield len(reply), decode_record(_RECORD, reply)

    def _is_bot(self, user: str) -> bool:
        known = self._users.get(user)
        return user == _SLACKBOT or bool(known and known.is_bot)

    def _message(self, channel: str, record: Record | None) -> Message:
        """Return a record as a message; `None` is a damaged record."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        time, kind = microseconds(record.ts), self._kind_of(record)
        user, text = self._author_and_text(record, kind)
        extra = _extra(record)
        if kind == "system":
            extra["system"] = record.subtype
        if record.thread_ts:
            thread = f"{channel}:{record.thread_ts}"
            is_first = record.thread_ts == record.ts
            extra |= {"thread": thread} if is_first else {"reply_to": {"id": thread}}
        message_id = "" if time is None else f"{channel}:{record.ts}"
        return Message(time, user, text, kind, message_id, extra)

    def _author_and_text(self, record: Record, kind: str) -> tuple[str, str]:
        blocks = filter(None, map(_block_text, dicts_of(record.blocks)))
        user, text = record.user or "", record.text or "\n".join(blocks)
        if record.subtype == "file_comment" and record.comment is not None:
            user, text = record.comment.user or "", record.comment.comment or ""
        elif record.subtype == "file_share" and (old := _OLD_SHARE.fullmatch(text)):
            text = old["comment"] or ""
        if kind == "bot":
            user = _bot_name(record)
        elif record.user_profile and user and user not in self._names:
            self._names[user] = record.user_profile.shown or user
        if kind == "unsent":  # The text is "This message was deleted."
            user = text = ""
        return user, plain_text(text, self._names, self._channel_names)

    def _kind_of(self, record: Record) -> str:
        subtype = record.subtype
        if subtype and subtype not in _WRITTEN and subtype not in _BOT_SUBTYPES:
            # A tombstone replaces the deleted first message of a thread.
            return "unsent" if subtype == "tombstone" else "system"
        user = record.user or ""
        if (
            subtype in _BOT_SUBTYPES
            or self._is_bot(user)
            # With both ids, a person posted through an app.
            or (record.bot_id and user not in self._users)
        ):
            return "bot"
        return "text"


def _raws(file: ExportFile) -> list[msgspec.Raw] | None:
    """Return the undecoded messages of a file; `None` for other JSON."""
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
    # Titles must not quote a message, so use the time.
    try:
        moment = datetime.fromtimestamp(time // 1_000_000, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return "an unknown day"
    return f"{moment:%Y-%m-%d %H:%M}"


def _unlisted(name: str) -> Channel:
    if name.startswith("mpdm-"):
        return Channel(name, name, "group")
    return Channel(name, name, "dm" if _DIRECT_ID.fullmatch(name) else "channel")


def _dump(file: ExportFile) -> Dump | None:
    """Return the head of a channel file by slackdump; `None` for other files."""
    return decode_head(file.head(_HEAD_BYTES), _DUMP)


def _bot_name(record: Record) -> str:
    label = (record.bot_link or "").partition("|")[2].rstrip(">")
    profile = record.bot_profile or Profile()
    return _first(record.username, profile.name, label, record.user, record.bot_id)


def microseconds(ts: object) -> int | None:
    """Convert a `ts` such as `1714550400.000100` without loss."""
    match = _TS.fullmatch(ts) if isinstance(ts, str) else None
    if match is None:
        return None
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0"))


def plain_text(text: str, names: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """Return a text as people see it, with names instead of ids and links as labels.

    Bold, italics, code, quotes and `:emoji:` names stay as typed.
    """

    def shown(match: re.Match[str]) -> str:
        token, entity = match.groups()
        if entity:
            return _ENTITIES[entity]
        target, _, label = token.partition("|")
        label = _unescaped(label)
        kind, rest = target[:1], target[1:]
        if kind == "@":
            return f"@{names.get(rest) or label or rest}"
        if kind == "#":
            return f"#{channels.get(rest) or label or rest}"
        if kind == "!":
            if rest.startswith("date^") or (label and rest not in _EVERYBODY):
                return label
            return f"@{rest.removeprefix('subteam^')}"
        return _link(_unescaped(target), label) if target else match.group()

    return _TOKEN.sub(shown, text) if "<" in text or "&" in text else text


def _link(target: str, label: str) -> str:
    scheme = _SCHEME.match(target)
    bare = target[scheme.end() :] if scheme else target
    if target.lower().startswith(("mailto:", "tel:")):
        return label or bare
    # Slack itself labels links with their shortened address.
    return label if label and label not in {bare, bare.rstrip("/")} else target


def _unescaped(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)


def _block_text(block: Mapping[str, Any]) -> str:
    """Return the text of Block Kit, where bots often have their only text."""
    if block.get("type") == "rich_text":
        return _rich_text(block).rstrip("\n")
    texts = dicts_of([block.get("text"), *dicts_of(block.get("fields"))])
    return "\n".join(filter(None, (clean_text(text.get("text")) for text in texts)))


def _rich_text(element: Mapping[str, Any]) -> str:
    """Return an element of a text in the markup of `text`."""
    parts = dicts_of(element.get("elements"))
    if element.get("type") == "rich_text_section":  # A paragraph, or an item of a list.
        return "".join(map(_rich_text, parts)) + "\n"
    for key, markup in _RICH_TEXT.items():
        if value := clean_text(element.get(key)):
            return markup.format(value)
    text = element.get("text") or element.get("url")
    escaped = escape(text, quote=False) if isinstance(text, str) else ""
    return escaped + "".join(map(_rich_text, parts))


def _extra(record: Record) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    files = record.files or ([record.file] if record.file else [])
    attachments = []
    for file in files:
        name = "" if file.mode in _NO_FILE else _first(file.name, file.title)
        attachments.append(attachment(name, clean_text(file.mimetype)))
    for item in record.attachments or ():
        # Another person's text is an attachment, not content.
        if item.is_share or item.is_msg_unfurl:
            shared = {"uri": clean_text(item.from_url), "text": clean_text(item.text)}
            kept = {key: value for key, value in shared.items() if value}
            attachments.append({"type": "link", **kept})
    if attachments:
        extra["attachments"] = attachments
    if record.edited:
        extra["edited"] = True
    if record.reactions:
        extra["reactions"] = [
            each
            for one in record.reactions
            for each in reactions(f":{one.name}:", one.users or [], one.count)
        ]
    return extra


def _first(*names: str | None) -> str:
    return next((text for name in names if (text := clean_text(name))), "")

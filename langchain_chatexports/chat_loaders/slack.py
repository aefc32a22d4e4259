"""Load exports of a Slack workspace, and files from slackdump.

An export has a folder per conversation with a file per day, and lists of people and
conversations next to these folders. slackdump writes the same layout, or one file per
conversation (a "dump").
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html import escape
from operator import itemgetter
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    clean_text,
    decode_head,
    decode_json,
    decode_record,
    iter_dicts,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    Message,
    Person,
    attachment,
    link,
    reactions,
)
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.json", re.ASCII)
_USERS = ("users.json", "org_users.json")
_LISTS = {
    "channels.json": "channel",
    "groups.json": "channel",  # Private channels.
    "mpims.json": "group",  # Direct messages between several people.
    "dms.json": "dm",
}
_ATTACHMENT_FOLDERS = frozenset({"attachments", "__uploads"})  # From slackdump.
_HEAD_BYTES = 4096
_MAX_INSPECTED_FILES = 20
_DIRECT_ID = re.compile("D[A-Z0-9]{6,}")
_EDITED_WEIGHT = 2**40  # Exceeds the size of any record.
# Seconds and microseconds; a float would lose the last of 16 digits.
_TS = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
_UNAVAILABLE_MODES = frozenset({"tombstone", "hidden_by_limit"})
_RICH_TEXT = {"user_id": "<@{}>", "channel_id": "<#{}>", "name": ":{}:", "range": "@{}"}
# Replaced in one pass, so that a typed `<@U1>`, stored as `&lt;@U1&gt;`, is kept.
_TOKEN = re.compile(r"<([^<>\n]*)>|&(lt|gt|amp);")
_ENTITY = re.compile(r"&(lt|gt|amp);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}
_BROADCASTS = frozenset({"here", "channel", "everyone", "group"})
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]{0,20}:(?://)?)?", re.IGNORECASE)
_SLACKBOT = "USLACKBOT"  # Slack's own bot, which is missing in lists of users.
# All other subtypes in Slack's API (joins, topics, pins, calls, new subtypes) are
# Slack's own messages.
_USER_SUBTYPES = frozenset(
    {"me_message", "thread_broadcast", "file_share", "file_comment"}
)
_BOT_SUBTYPES = frozenset({"bot_message", "slackbot_response"})
# The text of a shared file until about 2017; it includes the comment.
_OLD_SHARE = re.compile(
    r"<@\w+(?:\|[^>]*)?> (?:uploaded|shared) a file: <[^>]*>"
    r"(?: and commented: (?P<comment>.*))?",
    re.DOTALL,
)


class Profile(msgspec.Struct):
    """The names of a person or bot, which may be empty."""

    display_name: str | None = None
    real_name: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def visible_name(self) -> str:
        """The name that Slack displays."""
        return _get_first_text(self.display_name, self.real_name, self.name)


class User(msgspec.Struct):
    """An entry of `users.json`; ids begin with U, or with W in Enterprise Grid."""

    id: str
    name: str | None = None  # The handle.
    real_name: str | None = None
    is_bot: bool | None = None
    profile: Profile | None = None

    @property
    def visible_name(self) -> str:
        """The name that Slack displays."""
        name = self.profile.visible_name if self.profile else ""
        return name or _get_first_text(self.real_name, self.name)

    @property
    def handles(self) -> tuple[str, ...]:
        """All names, unique ones first."""
        profile = self.profile or Profile()
        unique = (self.name, profile.email)
        names = (self.real_name, profile.real_name, profile.display_name)
        return tuple(dict.fromkeys(filter(None, map(clean_text, unique + names))))


class ListedChannel(msgspec.Struct):
    """An entry in a list of conversations."""

    id: str
    name: str | None = None
    members: list[str] | None = None
    # The other person in a direct chat; slackdump writes it instead of `members`.
    user: str | None = None


class Attachment(msgspec.Struct):
    """An attached file; hidden and deleted files have no name."""

    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    size: Any = None
    mode: str | None = None


class Unfurl(msgspec.Struct):
    """A link preview or a bot's card; with either flag, a shared message."""

    is_share: bool | None = None
    is_msg_unfurl: bool | None = None
    from_url: str | None = None
    text: Any = None


class Reaction(msgspec.Struct):
    """A reaction; `users` may have fewer people than `count`."""

    name: str
    users: list[str] | None = None
    count: int | None = None


class Comment(msgspec.Struct):
    """A comment on a file, which was an object in messages until 2018."""

    user: str | None = None
    comment: str | None = None


class Record(msgspec.Struct):
    """A message; Slack's API documents the keys under the event `message`."""

    ts: Any = None  # The time sent, which is also the id in the conversation.
    # The `ts` of the thread's first message, also set in the first message.
    thread_ts: str | None = None
    user: str | None = None
    # The author's profile, since `users.json` omits people from other workspaces.
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
    """A file written by `slackdump dump`: a channel, or one of its threads."""

    channel_id: str
    name: str | None = None
    messages: list[msgspec.Raw] = []


_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_USER_DECODER = msgspec.json.Decoder(User)
_LISTED_DECODER = msgspec.json.Decoder(ListedChannel)
_MESSAGES_DECODER = msgspec.json.Decoder(list[msgspec.Raw] | Dump)
_DUMP_DECODER = msgspec.json.Decoder(Dump)
_RECORD_DECODER = msgspec.json.Decoder(Record)
Folder = tuple[int, tuple[str, ...]]


@dataclass(slots=True)
class Channel:
    """A public or private channel, a group, or direct messages."""

    id: str
    name: str
    kind: str
    members: list[str] = field(default_factory=list)
    partner: str | None = None
    files: list[ExportFile] = field(default_factory=list)

    @property
    def is_direct(self) -> bool:
        """Whether it is a direct chat, whose threads are not split off."""
        return self.kind != "channel"


class SlackChatLoader(ChatExportLoader):
    """Load the conversations of a Slack export.

    Each channel and direct chat is a session, combined from the files of all days.
    Threads in channels are separate sessions, so that they do not interleave. The first
    message of a thread is in both sessions, and only context in the thread. In message
    text, ids are replaced with names, and links with their visible text.

    Sessions are in code-point order of the folder names, each channel before its
    threads. `owner` is the id, handle, name or e-mail address of the person who
    exported; it is detected by default if there are direct messages.
    """

    platform = "slack"
    label = "Slack export"

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether files are a Slack export, by their names and first bytes."""
        names_by_folder: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for file in files:
            names_by_folder[file.folders].add(file.name)
        if any(
            names & set(_USERS) and names & set(_LISTS)
            for names in names_by_folder.values()
        ):
            return True
        days = [file for file in files if _DAY_FILE.fullmatch(file.name)]
        if days:
            heads = (file.head(_HEAD_BYTES) for file in days[:3])
            return any(head.startswith(b"[") and b'"ts"' in head for head in heads)
        dumps = [file for file in files if file.name.lower().endswith(".json")]
        return any(map(_read_dump_head, dumps[:_MAX_INSPECTED_FILES]))

    def list_people(self, files: ExportFiles) -> Iterator[Mapping[str, Person]]:
        """Yield the people in `users.json`, without those of other workspaces."""
        yield Workspace(files).people

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each channel, followed by its threads."""
        workspace = Workspace(files)
        owner = (
            workspace.find_owner()
            if self.owner is None
            else workspace.find_person(self.owner)
        )
        for channel in workspace.channels:
            yield from workspace.conversations(channel, owner)


class Workspace:
    """The people and conversations of an export."""

    def __init__(self, files: ExportFiles) -> None:
        self._files = files
        self._users: dict[str, User] = {}
        self._direct_messages: list[Channel] = []
        self._channel_names: dict[str, str] = {}
        files.details["other_files"] = 0
        # Channels with files, in code-point order of the folder names.
        self.channels = self._find_channels()
        # By id. Guests are added in a new list, since conversations share a list.
        self.people = {
            user.id: Person(user.visible_name, user.handles)
            for user in self._users.values()
        }

    def _find_channels(self) -> list[Channel]:
        days: dict[Folder, list[ExportFile]] = defaultdict(list)
        lists: dict[Folder, dict[str, Channel]] = defaultdict(dict)
        others = []
        for file in self._files:
            if file.name in _USERS:
                users = self._read_entries(file, _USER_DECODER)
                self._users |= {user.id: user for user in users}
            elif file.name in _LISTS:
                lists[file.part, file.folders] |= self._read_list(file)
            elif _DAY_FILE.fullmatch(file.name):
                days[file.part, file.folders].append(file)
            else:
                others.append(file)
        listed_channels = {
            key: channel
            for entries in lists.values()
            for key, channel in entries.items()
        }
        channels: dict[str, Channel] = {}
        for (part, folders), day_files in sorted(days.items(), key=lambda x: x[0][1]):
            # Several workspaces in an organization may have a channel with this name,
            # so prefer the list next to the folder.
            nearby = lists.get((part, folders[:-1]), {})
            inner_folders = folders[day_files[0].given_depth :] or folders[-1:]
            if not nearby and not _ATTACHMENT_FOLDERS.isdisjoint(inner_folders):
                self._files.details["other_files"] += len(day_files)
                continue
            name = folders[-1] if folders else "messages"
            channel = (
                nearby.get(name) or listed_channels.get(name) or _make_channel(name)
            )
            channels.setdefault(channel.id, channel).files += day_files
        self._add_dumps(others, listed_channels, channels)
        if not channels:
            path = self._files.path
            msg = (
                f"{path} contains no messages of a Slack export in JSON: there is no "
                "channel folder with a file per day, such as general/2024-05-01.json. "
                "Pass the zip from Slack, or the folder that it unpacks to."
            )
            raise ExportFormatError(msg, path=path)
        return list(channels.values())

    def _add_dumps(
        self,
        files: Iterable[ExportFile],
        listed_channels: Mapping[str, Channel],
        channels: dict[str, Channel],
    ) -> None:
        for file in files:
            if (dump := _read_dump_head(file)) is None:
                self._files.details["other_files"] += 1
                continue
            channel = listed_channels.get(dump.channel_id) or _make_channel(
                dump.channel_id
            )
            if channel.name == channel.id:
                channel.name = clean_text(dump.name) or channel.id
            channels.setdefault(channel.id, channel).files.append(file)

    def _read_entries(
        self, file: ExportFile, decoder: "msgspec.json.Decoder[Any]"
    ) -> Iterator[Any]:
        try:
            entries = decode_json(file.read(), _LIST_DECODER, file.label, file.path)
        except msgspec.ValidationError:
            return
        except ChatExportError as error:
            self._files.skip(error, file)
            return
        for entry in entries:
            with suppress(*DECODE_ERRORS):
                yield decoder.decode(entry)

    def _read_list(self, file: ExportFile) -> dict[str, Channel]:
        """Read a list of conversations; the keys are ids and names."""
        kind = _LISTS[file.name]
        channels: dict[str, Channel] = {}
        for entry in self._read_entries(file, _LISTED_DECODER):
            name = clean_text(entry.name) or entry.id
            members = entry.members or ([entry.user] if entry.user else [])
            channel = Channel(entry.id, name, kind, members, entry.user)
            if kind == "dm":
                self._direct_messages.append(channel)
            elif kind == "channel":
                self._channel_names[channel.id] = name
            channels.setdefault(name, channel)
            channels.setdefault(channel.id, channel)
        return channels

    def find_person(self, name: str) -> str | None:
        """Look up a person's id by id, handle, name or e-mail address."""
        people = {id_: (id_, p.name, *p.handles) for id_, p in self.people.items()}
        found = NameIndex(people).find_same(name)
        return found[0] if len(found) == 1 else None

    def find_owner(self) -> str | None:
        """Return the id of the only person in all direct chats."""
        pairs = [set(dm.members) for dm in self._direct_messages]
        pairs = [pair for pair in pairs if len(pair) > 1]
        # If all chats are with the same partner, either person could be the owner.
        common = set.intersection(*pairs) if pairs else set()
        if len(common) != 1:
            common = set(self._authors_in_direct_messages())
        return common.pop() if len(common) == 1 else None

    def _authors_in_direct_messages(self) -> Iterator[str]:
        for channel in self.channels:
            for file in channel.files if channel.partner else ():
                with suppress(ChatExportError):  # Reported when it is read.
                    raws = _read_raw_messages(file) or ()
                    records = (decode_record(_RECORD_DECODER, raw) for raw in raws)
                    users = {r.user for r in records if r and not r.subtype}
                    yield from (
                        user
                        for user in users - {channel.partner}
                        if user and not self._is_bot(user)
                    )

    def conversations(
        self, channel: Channel, owner: str | None
    ) -> Iterator[Conversation]:
        """Yield a channel, followed by its threads."""
        threads: dict[str, list[Message]] = defaultdict(list)
        # Read before people are listed, since messages contain guests.
        messages = self._files.collect(self._read_messages(channel, threads))
        others = [id_ for id_ in channel.members if id_ != owner] or channel.members
        names = dict.fromkeys(f"@{self._get_name(id_) or id_}" for id_ in others)
        title = ", ".join(names) or channel.name
        conversation = Conversation(
            id=channel.id,
            messages=messages,
            title=title if channel.is_direct else f"#{channel.name}",
            members=channel.members if channel.is_direct else (),
            people=self.people,
            aliases=(channel.id, channel.name, f"#{channel.name}"),
            is_group=channel.kind != "dm",
            owner=owner,
            owner_found_by="direct messages",
        )
        yield conversation
        for thread in sorted(threads, key=_thread_sort_key):
            replies = threads.pop(thread)
            if all(message.is_repeat for message in replies):
                continue  # The export does not contain the replies.
            minute = _format_minute(_thread_sort_key(thread)[0])
            title = f"#{channel.name}, thread of {minute}"
            yield replace(conversation, id=thread, messages=replies, title=title)

    def _read_messages(
        self, channel: Channel, threads: dict[str, list[Message]]
    ) -> Iterator[Message]:
        """Yield the messages outside threads, and collect those inside threads."""
        rows: list[tuple[int, Message]] = []
        for size, record in self._read_records(channel):
            weight = size + (_EDITED_WEIGHT if record and record.edited else 0)
            rows.append((weight, self._convert(channel.id, record)))
            self._files.check_count(len(rows))
        if len({row.id for _, row in rows}) < len(rows):
            # Only the first duplicate is kept, so put edited and larger records first.
            rows.sort(key=itemgetter(0), reverse=True)
        for _, row in rows:
            thread = "" if channel.is_direct else _thread_id(row)
            if not thread:
                yield row
            elif thread == row.id:
                repeat = copy(row)
                repeat.is_repeat = True
                threads[thread].append(repeat)
                yield row
            else:
                threads[thread].append(row)

    def _read_records(self, channel: Channel) -> Iterator[tuple[int, Record | None]]:
        """Yield the size and content of each record; `None` if it is damaged."""
        for file in channel.files:
            try:
                raws = _read_raw_messages(file)
            except ChatExportError as error:
                self._files.skip(error, file)
                continue
            if raws is None:
                self._files.details["other_files"] += 1
                continue
            for raw in raws:
                record = decode_record(_RECORD_DECODER, raw)
                yield len(raw), record
                # slackdump stores the replies in the first message of a thread.
                for reply in (record and record.slackdump_thread_replies) or ():
                    yield len(reply), decode_record(_RECORD_DECODER, reply)

    def _is_bot(self, user: str) -> bool:
        listed_user = self._users.get(user)
        return user == _SLACKBOT or bool(listed_user and listed_user.is_bot)

    def _convert(self, channel: str, record: Record | None) -> Message:
        """Convert a record, which is `None` if it is damaged."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        time, kind = to_microseconds(record.ts), self._classify(record)
        user, text = self._author_and_text(record, kind)
        extra = _collect_extra(record)
        if kind == "system":
            extra["system"] = record.subtype
        if record.thread_ts:
            thread = f"{channel}:{record.thread_ts}"
            is_first = record.thread_ts == record.ts
            extra |= {"thread": thread} if is_first else {"reply_to": {"id": thread}}
        message_id = "" if time is None else f"{channel}:{record.ts}"
        return Message(time, user, text, kind, message_id, extra)

    def _author_and_text(self, record: Record, kind: str) -> tuple[str, str]:
        blocks = filter(None, map(_render_block, iter_dicts(record.blocks)))
        user, text = record.user or "", record.text or "\n".join(blocks)
        if record.subtype == "file_comment" and record.comment is not None:
            user, text = record.comment.user or "", record.comment.comment or ""
        elif record.subtype == "file_share" and (old := _OLD_SHARE.fullmatch(text)):
            text = old["comment"] or ""
        if kind == "bot":
            user = _get_bot_name(record)
        elif record.user_profile and user and not self._get_name(user):
            handles = self.people.get(user, Person()).handles
            guest = Person(record.user_profile.visible_name or user, handles)
            self.people = {**self.people, user: guest}
        if kind == "unsent":  # The text is "This message was deleted."
            user = text = ""
        return user, render_markup(text, self._get_name, self._channel_names)

    def _get_name(self, user: str) -> str:
        """Return a person's name; empty if it is unknown."""
        return self.people[user].name if user in self.people else ""

    def _classify(self, record: Record) -> str:
        subtype = record.subtype
        if subtype and subtype not in _USER_SUBTYPES and subtype not in _BOT_SUBTYPES:
            # A tombstone replaces the deleted first message of a thread.
            return "unsent" if subtype == "tombstone" else "system"
        user = record.user or ""
        if (
            subtype in _BOT_SUBTYPES
            or self._is_bot(user)
            # A message with both ids was posted by a person through an app.
            or (record.bot_id and user not in self._users)
        ):
            return "bot"
        return "text"


def _read_raw_messages(file: ExportFile) -> list[msgspec.Raw] | None:
    """Read the messages of a file, without decoding them; `None` for other JSON."""
    try:
        content = decode_json(file.read(), _MESSAGES_DECODER, file.label, file.path)
    except msgspec.ValidationError:
        return None
    raws = content.messages if isinstance(content, Dump) else content
    return raws if not raws or any(b'"ts"' in bytes(raw) for raw in raws) else None


def _thread_id(message: Message) -> str:
    """Return the id of a message's thread; empty if it is not in one."""
    reply_to = message.extra.get("reply_to")
    return str(reply_to["id"] if reply_to else message.extra.get("thread", ""))


def _thread_sort_key(thread: str) -> tuple[int, str]:
    return to_microseconds(thread.rpartition(":")[2]) or 0, thread


def _format_minute(time: int) -> str:
    # Titles contain the time, since they must not quote messages.
    try:
        moment = datetime.fromtimestamp(time // 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return "an unknown day"
    return f"{moment:%Y-%m-%d %H:%M}"


def _make_channel(name: str) -> Channel:
    if name.startswith("mpdm-"):
        return Channel(name, name, "group")
    return Channel(name, name, "dm" if _DIRECT_ID.fullmatch(name) else "channel")


def _read_dump_head(file: ExportFile) -> Dump | None:
    """Read the head of a slackdump file; `None` for other files."""
    return decode_head(file.head(_HEAD_BYTES), _DUMP_DECODER)


def _get_bot_name(record: Record) -> str:
    label = (record.bot_link or "").partition("|")[2].rstrip(">")
    profile = record.bot_profile or Profile()
    return _get_first_text(
        record.username, profile.name, label, record.user, record.bot_id
    )


def to_microseconds(ts: object) -> int | None:
    """Convert a `ts` such as `1714550400.000100` to microseconds, without rounding."""
    match = _TS.fullmatch(ts) if isinstance(ts, str) else None
    if match is None:
        return None
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0"))


def render_markup(
    text: str, get_name: Callable[[str], str | None], channels: Mapping[str, str]
) -> str:
    """Replace the ids in message text with names, and links with their labels.

    Keeps bold, italics, code, quotes and `:emoji:` names.
    """

    def get_replacement(match: re.Match[str]) -> str:
        token, entity = match.groups()
        if entity:
            return _ENTITIES[entity]
        target, _, label = token.partition("|")
        label = _unescape(label)
        kind, value = target[:1], target[1:]
        if kind == "@":
            return f"@{get_name(value) or label or value}"
        if kind == "#":
            return f"#{channels.get(value) or label or value}"
        if kind == "!":
            if value.startswith("date^") or (label and value not in _BROADCASTS):
                return label
            return f"@{value.removeprefix('subteam^')}"
        return _render_link(_unescape(target), label) if target else match.group()

    return _TOKEN.sub(get_replacement, text) if "<" in text or "&" in text else text


def _render_link(target: str, label: str) -> str:
    scheme = _SCHEME.match(target)
    address = target[scheme.end() :] if scheme else target
    if target.lower().startswith(("mailto:", "tel:")):
        return label or address
    # Slack's default label of a link is the shortened address.
    return label if label and label not in {address, address.rstrip("/")} else target


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)


def _render_block(block: Mapping[str, Any]) -> str:
    """Return the text of a Block Kit block, often the only text of a bot."""
    if block.get("type") == "rich_text":
        return _render_rich_text(block).rstrip("\n")
    elements = iter_dicts([block.get("text"), *iter_dicts(block.get("fields"))])
    return "\n".join(filter(None, (clean_text(e.get("text")) for e in elements)))


def _render_rich_text(element: Mapping[str, Any]) -> str:
    """Convert a rich text element to the markup of `text`."""
    parts = iter_dicts(element.get("elements"))
    if element.get("type") == "rich_text_section":  # A paragraph or list item.
        return "".join(map(_render_rich_text, parts)) + "\n"
    for key, markup in _RICH_TEXT.items():
        if value := clean_text(element.get(key)):
            return markup.format(value)
    text = element.get("text") or element.get("url")
    escaped = escape(text, quote=False) if isinstance(text, str) else ""
    return escaped + "".join(map(_render_rich_text, parts))


def _collect_extra(record: Record) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    files = record.files or ([record.file] if record.file else [])
    attachments = []
    for file in files:
        name = (
            ""
            if file.mode in _UNAVAILABLE_MODES
            else _get_first_text(file.name, file.title)
        )
        attachments.append(attachment(name, clean_text(file.mimetype), size=file.size))
    for item in record.attachments or ():
        # Treat a shared message as an attachment, since another person wrote it.
        if item.is_share or item.is_msg_unfurl:
            text = clean_text(item.text)
            attachments.append(link(clean_text(item.from_url), text=text))
    if attachments:
        extra["attachments"] = attachments
    if record.edited:
        extra["edited"] = True
    if record.reactions:
        extra["reactions"] = [
            item
            for reaction in record.reactions
            for item in reactions(
                f":{reaction.name}:", reaction.users or [], reaction.count
            )
        ]
    return extra


def _get_first_text(*names: str | None) -> str:
    return next((text for name in names if (text := clean_text(name))), "")

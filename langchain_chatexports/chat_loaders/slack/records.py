"""The records of a Slack export, and the texts in them as people saw them."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.json_data import (
    clean_text,
    decode_record,
    dicts_of,
)
from langchain_chatexports.chat_loaders.messages import (
    Message,
    attachment,
    reactions,
)

# Seconds and microseconds as text: a float would lose the last digit of 16.
_TS = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
_NO_FILE = frozenset({"tombstone", "hidden_by_limit"})
_RICH_TEXT = {"user_id": "<@{}>", "channel_id": "<#{}>", "name": ":{}:", "range": "@{}"}
# One pass: what is typed as `<@U1>` is stored as `&lt;@U1&gt;`, and must stay text.
_TOKEN = re.compile(r"<([^<>\n]*)>|&(lt|gt|amp);")
_ENTITY = re.compile(r"&(lt|gt|amp);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}
_EVERYBODY = frozenset({"here", "channel", "everyone", "group"})
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]{0,20}:(?://)?)?", re.IGNORECASE)
_SLACKBOT = "USLACKBOT"  # Slack's own bot, which no list of users has.
# Slack's API lists the subtypes: joins, topics, pins, calls and kinds that are new are
# Slack's own; they are never guessed from the text.
_WRITTEN = frozenset({"me_message", "thread_broadcast", "file_share", "file_comment"})
_BOT_SUBTYPES = frozenset({"bot_message", "slackbot_response"})
# How Slack worded a shared file until about 2017: `text` has the comment in it.
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
    """An entry of `users.json`; ids begin with U, of an Enterprise also with W."""

    id: str
    name: str | None = None
    """The handle."""

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
    user: str | None = None
    """The other side of direct messages: slackdump names no members."""


class Attachment(msgspec.Struct):
    """A file of a message; hidden and deleted ones have no name."""

    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    mode: str | None = None


class Unfurl(msgspec.Struct):
    """A link's preview, a bot's card or, with one of two signs, a shared message."""

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
    """A comment on a file: until 2018 a record of its own inside of the message."""

    user: str | None = None
    comment: str | None = None


class Record(msgspec.Struct):
    """A message; Slack's API documents its keys with the event `message`."""

    ts: Any = None
    """When it was sent, which is also its id in the conversation."""

    thread_ts: str | None = None
    """The `ts` of its thread's first message, which has it, too."""

    user: str | None = None
    user_profile: Profile | None = None
    """What it says of its author: people of other workspaces are in no list."""

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


_RECORD = msgspec.json.Decoder(Record)


def read_record(raw: msgspec.Raw) -> Record | None:
    """Decode a record; `None` if it is damaged, or of another shape."""
    return decode_record(_RECORD, raw)


class Reader:
    """Turns the records of a workspace into messages."""

    def __init__(self, users: dict[str, User], channels: Mapping[str, str]) -> None:
        known = users.values()
        self.names = {user.id: shown for user in known if (shown := user.shown)}
        """The name of each id; guests are added when their messages are read."""

        self.handles = {user.id: user.handles for user in known}
        self._users = users
        self._channels = channels

    def is_bot(self, user: str) -> bool:
        """Return whether an id is a program's."""
        known = self._users.get(user)
        return user == _SLACKBOT or bool(known and known.is_bot)

    def message(self, channel: str, record: Record | None) -> Message:
        """Return a record of a channel as a message; `None` is a damaged one."""
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
        user, text = record.user or "", record.text or blocks_text(record.blocks)
        if record.subtype == "file_comment" and record.comment is not None:
            user, text = record.comment.user or "", record.comment.comment or ""
        elif record.subtype == "file_share" and (old := _OLD_SHARE.fullmatch(text)):
            text = old["comment"] or ""
        if kind == "bot":
            user = _bot_name(record)
        elif record.user_profile and user and user not in self.names:
            self.names[user] = record.user_profile.shown or user
        if kind == "unsent":  # Slack says: "This message was deleted."
            user = text = ""
        return user, plain_text(text, self.names, self._channels)

    def _kind_of(self, record: Record) -> str:
        subtype = record.subtype
        if subtype and subtype not in _WRITTEN and subtype not in _BOT_SUBTYPES:
            # "This message was deleted.": it stands for a thread's first message.
            return "unsent" if subtype == "tombstone" else "system"
        user = record.user or ""
        if (
            subtype in _BOT_SUBTYPES
            or self.is_bot(user)
            # What a person posts through an app has both ids, and is the person's.
            or (record.bot_id and user not in self._users)
        ):
            return "bot"
        return "text"


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
    """Return what people saw: names in place of ids, the labels of links.

    Bold, italics, code and quotes stay as people typed them, and so do `:emoji:` names.
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
    # A label that is the address itself was not typed: Slack shortens addresses.
    return label if label and label not in {bare, bare.rstrip("/")} else target


def _unescaped(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)


def blocks_text(blocks: list[Any] | None) -> str:
    """Return the text of Block Kit: bots often have it there only, people twice."""
    return "\n".join(filter(None, map(_block_text, dicts_of(blocks))))


def _block_text(block: Mapping[str, Any]) -> str:
    if block.get("type") == "rich_text":
        return _rich_text(block).rstrip("\n")
    texts = dicts_of([block.get("text"), *dicts_of(block.get("fields"))])
    return "\n".join(filter(None, (clean_text(text.get("text")) for text in texts)))


def _rich_text(element: Mapping[str, Any]) -> str:
    """Return a part of a text with its markup, as it would be in `text`."""
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
    attachments = [_attachment(file) for file in files]
    for item in record.attachments or ():
        # The words of another person: an attachment, never content.
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


def _attachment(file: Attachment) -> dict[str, str]:
    name = "" if file.mode in _NO_FILE else _first(file.name, file.title)
    return attachment(name, clean_text(file.mimetype))


def _first(*names: str | None) -> str:
    return next((text for name in names if (text := clean_text(name))), "")

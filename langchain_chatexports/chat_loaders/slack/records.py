"""The records of a Slack export, and the texts in them as people saw them."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.json_data import clean_text, dicts_of
from langchain_chatexports.chat_loaders.messages import attachment, reactions

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


class Profile(msgspec.Struct):
    """The names of a person or bot; those of a person may be empty."""

    display_name: str | None = None
    real_name: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def shown(self) -> str:
        """The name that Slack shows."""
        return first_text(self.display_name, self.real_name, self.name)


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
        return shown or first_text(self.real_name, self.name)

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


def extra_of(record: Record) -> dict[str, Any]:
    """Return files, edits and reactions, for `additional_kwargs`."""
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
    name = "" if file.mode in _NO_FILE else first_text(file.name, file.title)
    return attachment(name, clean_text(file.mimetype))


def first_text(*names: str | None) -> str:
    """Return the first that is not empty."""
    return next((text for name in names if (text := clean_text(name))), "")

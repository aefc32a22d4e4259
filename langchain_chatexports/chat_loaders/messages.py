"""The conversations, people and messages that a loader reads from an export."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import msgspec

from langchain_chatexports.chat_loaders.schema import (
    UNKNOWN_SENDER,
    Attachment,
    Reaction,
    SessionMetadata,
)

KINDS = frozenset(
    {
        *("text", "reaction", "system", "unsent", "media", "bot", "channel", "draft"),
        *("empty", "deleted", "spam", "auto_reply", "orphan", "duplicate", "section"),
        *("unreadable", "undated", "failed", "bulk", "forwarded"),
    }
)
"""The kinds of messages: `text`, or the reason to skip them by default."""

_TYPES = {"image": "photo", "video": "video", "audio": "audio"}
_SUFFIX_TYPES = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "heic", "bmp"), "photo"),
    **dict.fromkeys(("mp4", "mov", "mkv", "webm"), "video"),
    **dict.fromkeys(("aac", "flac", "m4a", "mp3", "ogg", "opus", "wav"), "audio"),
    "gif": "gif",
}


class Message(msgspec.Struct, gc=False):
    """A message record of an export, before the loader's options apply."""

    time: int | None
    """Microseconds since 1970-01-01 UTC; `None` if the export has no time."""

    sender: str
    """The author's id within the conversation, or the name if the format has no ids;
    empty if unknown."""

    text: str
    """The text without markup. Kinds skipped by default also have text (`Loved
    "Hello"`), in case the user keeps them. A message with attachments but no text
    becomes `media`, with `placeholder_text`."""

    kind: str = "text"
    """One of `KINDS`."""

    id: str = ""
    """The id in the export; if empty, the loader generates one."""

    extra: dict[str, Any] = {}
    """Further `MessageKeys`: `attachments`, `reactions`, `reply_to`, … `sender` in
    these two is also an id."""

    is_repeat: bool = False
    """Whether the record is counted in another conversation and only serves as context
    here, with weight 0."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person in an export."""

    name: str = ""
    """The display name; if empty, the id is displayed."""

    handles: Collection[str] = ()
    """Phone numbers, user names, e-mail addresses and other names. The first one
    distinguishes people with the same name."""


class DetectedOwner(NamedTuple):
    """The owner of an export, found by its loader."""

    id: str
    """The id, or the name if the format has no ids."""

    found_by: str = "the export"
    """How the owner was found: `direct messages`, `the chat's name`, …"""

    name: str = ""
    """The display name, if the format has ids."""


@dataclass(slots=True)
class Conversation:
    """A conversation of an export."""

    id: str
    """An id that is stable across exports."""

    messages: Iterable[Message]
    """The messages in any order, read once and before the next conversation."""

    title: str | None = None
    """The title in the app, if any. An untitled direct chat is titled with the other
    person's name."""

    members: Collection[str] = ()
    """Ids of the participants, if the export lists them."""

    people: Mapping[str, Person] = field(default_factory=dict)
    """The people by id; a sender who is not listed is displayed by id. Conversations
    may share the list, which then distinguishes namesakes in the entire export."""

    aliases: Collection[str] = ()
    """Other names for `include` and `exclude`."""

    is_group: bool | None = None
    """Whether it is a group; if `None`, this depends on the number of participants."""

    platform: str | None = None
    """The platform, if an export contains several."""

    owner: DetectedOwner | None = None
    """The export's owner, if known."""

    is_ordered: bool = False
    """Whether to keep the order of the messages instead of sorting them by time, for
    example if times are rounded or late messages are listed on arrival."""

    metadata: SessionMetadata = field(default_factory=SessionMetadata)
    """Further `SessionMetadata`."""


def filled(**keys: object) -> dict[str, Any]:
    """Return `extra` with those keys that have a value."""
    return {key: value for key, value in keys.items() if value}


def reactions(
    emoji: str, senders: Sequence[str], count: int | None
) -> Iterator[Reaction]:
    """Yield the items of `extra["reactions"]` for one emoji.

    `senders` contains the ids listed in the export, `count` is the total number.
    """
    for sender in senders:
        yield {"reaction": emoji, "sender": sender}
    if (unlisted := (count or 0) - len(senders)) > 0:
        yield {"reaction": emoji, "sender": UNKNOWN_SENDER, "count": unlisted}


def attachment(
    name: str = "",
    mime_type: str = "",
    kind: str = "",
    *,
    size: object = None,
    title: str = "",
) -> Attachment:
    """Return an item of `extra["attachments"]`.

    Args:
        name: The file's name. Folders are dropped, so that no code opens a path that
            the export's author chose.
        mime_type: The media type.
        kind: The type in the export: `sticker`, `contact`, `poll`, … By default,
            guessed from the media type or the name: `photo`, `video`, `audio`, `gif` or
            `file`.
        size: The size in bytes; ignored unless it is a positive integer.
        title: The title of a song, the question of a poll, or the name of a place.
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    if not kind and mime_type:
        kind = _TYPES.get(mime_type.partition("/")[0], "file")
        kind = "gif" if mime_type == "image/gif" else kind
    kind = kind or _SUFFIX_TYPES.get(name.rpartition(".")[2].lower(), "file")
    size = size if type(size) is int and size > 0 else None
    keys = filled(name=name, mime_type=mime_type, size=size, title=title)
    return cast("Attachment", {"type": kind, **keys})


def link(
    uri: str = "", *, title: str = "", text: str = "", site: str = ""
) -> Attachment:
    """Return a shared link or message as an item of `extra["attachments"]`."""
    keys = filled(uri=uri, title=title, text=text, site=site)
    return cast("Attachment", {"type": "link", **keys})


def placeholder_text(attachments: Iterable[Attachment]) -> str:
    """Return the text of a message that only has attachments: `[photo] [video]`."""
    types = [item["type"] for item in attachments]
    return " ".join(f"[{name}]" for name in types) or "[attachment]"

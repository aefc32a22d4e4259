"""What a format yields: conversations and their messages, as the export has them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

UNKNOWN_SENDER = "unknown"

KINDS = frozenset(
    {
        *("text", "reaction", "system", "unsent", "media", "bot", "channel", "draft"),
        *("empty", "deleted", "spam", "auto_reply", "orphan", "duplicate", "section"),
        "unreadable",
    }
)
"""What a message can be: `text`, or why it is skipped by default."""

_TYPES = {"image": "photo", "video": "video", "audio": "audio"}
_SUFFIX_TYPES = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "heic", "bmp"), "photo"),
    **dict.fromkeys(("mp4", "mov", "mkv", "webm"), "video"),
    **dict.fromkeys(("aac", "flac", "m4a", "mp3", "ogg", "opus", "wav"), "audio"),
    "gif": "gif",
}


class Message(msgspec.Struct, gc=False):
    """A message record of an export, before any option of a loader applies."""

    time: int | None
    """Microseconds since 1970-01-01 UTC; `None` where the export has no time."""

    sender: str
    """The author's id within the conversation; a name where the format has no ids,
    empty where the author is unknown."""

    text: str
    """The text, without markup; of a record that is skipped by default, what stands for
    it if it is kept (`Loved "Hello"`). A message without text but with attachments
    becomes `media`, and its text `[photo]`."""

    kind: str = "text"
    """One of `KINDS`."""

    id: str = ""
    """The export's own id; where it is empty, the loader makes one."""

    extra: dict[str, Any] = {}
    """Further keys of `additional_kwargs` in JSON types: `reactions`, `reply_to`, …
    A `sender` in these two is an id, too."""

    is_repeat: bool = False
    """Whether the same record stands in another conversation, too, and is counted
    there. Here it is context: it has weight 0."""


@dataclass(slots=True)
class Conversation:
    """A conversation of an export."""

    id: str
    """The same in the next export of this conversation."""

    messages: Iterable[Message]
    """Its messages in any order; read once, before the next conversation."""

    title: str | None = None
    """What the app calls it; `None` where it has no name of its own."""

    members: Collection[str] = ()
    """Ids of the people who take part, if the export lists them."""

    names: Mapping[str, str] = field(default_factory=dict)
    """The name to show of each id; an id without one is shown as it is. It may grow
    while the messages are read."""

    handles: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Further names of each id by which a user may mean that person: phone numbers,
    user names, e-mail addresses. The first one tells namesakes apart."""

    aliases: Collection[str] = ()
    """Further names by which a user may choose the conversation."""

    is_group: bool | None = None
    """What the export says; `None`: a group if more than two people take part."""

    platform: str | None = None
    """The platform, where an export holds conversations of several."""

    owner: str | None = None
    """Id of the person whose export it is, if known."""

    owner_found_by: str | None = None
    """What shows that, for people: `direct messages`, `the file's name`, …"""

    is_ordered: bool = False
    """Whether the messages come in their order, which times do not always show: they
    have minutes only, or late messages stand where they arrived."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the session's metadata, in JSON types."""


def reactions(
    shown: str, senders: Sequence[str], count: int | None
) -> Iterator[dict[str, Any]]:
    """Yield items of the key `reactions` of a message's `extra`, for one emoji.

    `senders` are the ids of who reacted, as far as the export lists them, and `count`
    is how many people did.
    """
    for sender in senders:
        yield {"reaction": shown, "sender": sender}
    if (rest := (count or 0) - len(senders)) > 0:
        yield {"reaction": shown, "sender": UNKNOWN_SENDER, "count": rest}


def attachment(name: str = "", mime_type: str = "", kind: str = "") -> dict[str, str]:
    """Return an item of the key `attachments` of a message's `extra`.

    Args:
        name: The file's name, if there is one.
        mime_type: Its media type.
        kind: Its type, if the export has it: `sticker`, `contact`, `link`, … Otherwise
            the media type or the name decides between `photo`, `video`, `audio`, `gif`
            and `file`.
    """
    if not kind and mime_type:
        kind = _TYPES.get(mime_type.partition("/")[0], "file")
        kind = "gif" if mime_type == "image/gif" else kind
    kind = kind or _SUFFIX_TYPES.get(name.rpartition(".")[2].lower(), "file")
    found = {"type": kind, "name": name, "mime_type": mime_type}
    return {key: value for key, value in found.items() if value}

"""The conversations and messages that a format yields."""

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
"""The kinds of messages: `text`, or the reason to skip it by default."""

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
    """The author's id within the conversation; the name if the format has no ids, and
    empty if the author is unknown."""

    text: str
    """The text without markup. For records that are skipped by default, the text to use
    if they are kept (`Loved "Hello"`). A message with attachments but no text becomes
    `media`, with a text such as `[photo]`."""

    kind: str = "text"
    """One of `KINDS`."""

    id: str = ""
    """The export's id; if empty, the loader makes one."""

    extra: dict[str, Any] = {}
    """Further keys of `additional_kwargs` in JSON types: `reactions`, `reply_to`, …
    A `sender` in these two is an id as well."""

    is_repeat: bool = False
    """Whether the record also occurs in another conversation and is counted there. Here
    it is context, with weight 0."""


@dataclass(slots=True)
class Conversation:
    """A conversation of an export."""

    id: str
    """The same in the next export of this conversation."""

    messages: Iterable[Message]
    """Its messages in any order; read once, before the next conversation."""

    title: str | None = None
    """The title in the app; `None` if it has none."""

    members: Collection[str] = ()
    """The ids of the participants, if the export lists them."""

    names: Mapping[str, str] = field(default_factory=dict)
    """The display name of each id; an id without a name is shown itself. The mapping
    may grow while the messages are read."""

    handles: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Other ways to name the person of each id: phone numbers, user names, e-mail
    addresses. The first one tells namesakes apart."""

    aliases: Collection[str] = ()
    """Other names by which a user may choose the conversation."""

    is_group: bool | None = None
    """Whether it is a group; if `None`, the number of participants decides."""

    platform: str | None = None
    """The platform, if an export contains several."""

    owner: str | None = None
    """The id of the export's owner, if known."""

    owner_found_by: str | None = None
    """How the owner was found: `direct messages`, `the file's name`, …"""

    is_ordered: bool = False
    """Whether the messages are already in order. Times may be too coarse to sort by, or
    late messages may be at the position where they arrived."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the session's metadata, in JSON types."""


def reactions(
    shown: str, senders: Sequence[str], count: int | None
) -> Iterator[dict[str, Any]]:
    """Yield the items of `extra["reactions"]` for one emoji.

    `senders` are the ids of the people who reacted, if the export lists them, and
    `count` is their number.
    """
    for sender in senders:
        yield {"reaction": shown, "sender": sender}
    if (rest := (count or 0) - len(senders)) > 0:
        yield {"reaction": shown, "sender": UNKNOWN_SENDER, "count": rest}


def attachment(name: str = "", mime_type: str = "", kind: str = "") -> dict[str, str]:
    """Return an item of `extra["attachments"]`.

    Args:
        name: The file's name, if there is one.
        mime_type: Its media type.
        kind: Its type, if the export has one: `sticker`, `contact`, `link`, … By
            default the media type or the name decides between `photo`, `video`,
            `audio`, `gif` and `file`.
    """
    if not kind and mime_type:
        kind = _TYPES.get(mime_type.partition("/")[0], "file")
        kind = "gif" if mime_type == "image/gif" else kind
    kind = kind or _SUFFIX_TYPES.get(name.rpartition(".")[2].lower(), "file")
    found = {"type": kind, "name": name, "mime_type": mime_type}
    return {key: value for key, value in found.items() if value}

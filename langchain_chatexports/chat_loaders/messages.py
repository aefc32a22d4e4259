"""The conversations and messages that a loader reads from an export."""

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
    becomes `media`, with a placeholder such as `[photo]`."""

    kind: str = "text"
    """One of `KINDS`."""

    id: str = ""
    """The id in the export; if empty, the loader generates one."""

    extra: dict[str, Any] = {}
    """Additional keys of `additional_kwargs` in JSON types: `reactions`, `reply_to`, …
    `sender` in these two is also an id."""

    is_repeat: bool = False
    """Whether the record is counted in another conversation and only serves as context
    here, with weight 0."""


@dataclass(slots=True)
class Conversation:
    """A conversation of an export."""

    id: str
    """An id that is stable across exports."""

    messages: Iterable[Message]
    """The messages in any order, read once and before the next conversation."""

    title: str | None = None
    """The title in the app, if any."""

    members: Collection[str] = ()
    """Ids of the participants, if the export lists them."""

    names: Mapping[str, str] = field(default_factory=dict)
    """The display name of each id, by default the id itself. Entries may be added
    while the messages are read."""

    handles: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Phone numbers, user names and e-mail addresses by id. The first one distinguishes
    people with the same name."""

    aliases: Collection[str] = ()
    """Other names for `include` and `exclude`."""

    is_group: bool | None = None
    """Whether it is a group; if `None`, this depends on the number of participants."""

    platform: str | None = None
    """The platform, if an export contains several."""

    owner: str | None = None
    """The id of the export's owner, if known."""

    owner_found_by: str | None = None
    """How the owner was found: `direct messages`, `the file's name`, …"""

    is_ordered: bool = False
    """Whether to keep the order of the messages instead of sorting them by time, for
    example if times are rounded or late messages are listed on arrival."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Additional keys of the session's metadata, in JSON types."""


def reactions(
    emoji: str, senders: Sequence[str], count: int | None
) -> Iterator[dict[str, Any]]:
    """Yield the items of `extra["reactions"]` for one emoji.

    `senders` contains the ids listed in the export, `count` is the total number.
    """
    for sender in senders:
        yield {"reaction": emoji, "sender": sender}
    if (unlisted := (count or 0) - len(senders)) > 0:
        yield {"reaction": emoji, "sender": UNKNOWN_SENDER, "count": unlisted}


def attachment(name: str = "", mime_type: str = "", kind: str = "") -> dict[str, str]:
    """Return an item of `extra["attachments"]`.

    Args:
        name: The file's name, if there is one.
        mime_type: The media type.
        kind: The type in the export: `sticker`, `contact`, `link`, … By default,
            guessed from the media type or the name: `photo`, `video`, `audio`, `gif` or
            `file`.
    """
    if not kind and mime_type:
        kind = _TYPES.get(mime_type.partition("/")[0], "file")
        kind = "gif" if mime_type == "image/gif" else kind
    kind = kind or _SUFFIX_TYPES.get(name.rpartition(".")[2].lower(), "file")
    item = {"type": kind, "name": name, "mime_type": mime_type}
    return {key: value for key, value in item.items() if value}

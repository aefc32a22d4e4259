"""Records of a channel: one message each, small enough to sort a channel."""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports._fast.strings import new_tuple
from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.discord.markup import plain_text
from langchain_chatexports.chat_loaders.discord.record_kinds import (
    BOT,
    PERSON,
    kind_of_type,
)
from langchain_chatexports.chat_loaders.json_data import (
    clean_text,
    dicts_of,
    without_lone_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Record", "RecordReader", "microseconds"]

# The offset is that of the machine that exported, or of UTC.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d):(\d\d)(?:\.(\d{1,9}))?\s?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SUFFIX_TYPES = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "heic", "bmp"), "photo"),
    **dict.fromkeys(("mp4", "mov", "mkv", "webm"), "video"),
    **dict.fromkeys(("aac", "flac", "m4a", "mp3", "ogg", "opus", "wav"), "audio"),
    "gif": "gif",
}
# What a message has besides its text; most have none of it.
_NOTABLE_KEYS = (
    "attachments",
    "forwardedMessage",
    "reactions",
    "reference",
    "stickers",
    "timestampEdited",
)
_MAX_ID_LENGTH = 20  # A 64-bit number.


class Record(NamedTuple):
    """One message.

    Attributes:
        order: Its id as a number: ids grow with time.
        id: The id as it stands, or empty.
        time: Microseconds since 1970 in UTC, if the message has a time.
        author: The author's id.
        text: What was written.
        kind: Who wrote it: a person, a bot or Discord itself.
        type: The message's own word for its kind.
        extra: What else it carries, as it will be in `additional_kwargs`. `None` in
            most: garbage collections pass over tuples that hold no dictionary.
    """

    order: int
    id: str
    time: int | None
    author: str
    text: str
    kind: str
    type: str
    extra: dict[str, Any] | None


class RecordReader:
    """Reads the messages of one channel, and remembers who wrote them."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """The name to show of each author, by id."""

        self.handles: dict[str, str] = {}
        """The user name of each author, by id."""

    def record(self, raw: dict[str, Any]) -> Record:
        """Read one message."""
        author_id, is_bot = self.author(raw)
        kind_name, content = raw.get("type"), raw.get("content")
        if not isinstance(kind_name, str):
            kind_name = str(kind_name) if isinstance(kind_name, int) else ""
        kind = PERSON if kind_name == "Default" else kind_of_type(kind_name)
        if is_bot and kind == PERSON:
            kind = BOT
        text = content if isinstance(content, str) else ""
        if "<" in text or not text.isascii():
            text = self._text(raw, text)
        extra: dict[str, Any] | None = None
        if any(map(raw.get, _NOTABLE_KEYS)):
            extra = self._extra(raw, kind_name)
            forwarded = raw.get("forwardedMessage")
            if isinstance(forwarded, dict):
                # Somebody else's words: the message itself has none.
                text = text or self._text(forwarded, forwarded.get("content"))
                extra = {**_extra_of_media(forwarded), **extra, "forwarded": True}
        if kind == BOT and not text:
            text = "\n".join(_embed_texts(raw.get("embeds")))
        raw_id = raw.get("id")
        message_id = raw_id if isinstance(raw_id, str) else ""
        return new_tuple(
            Record,
            (
                _number(message_id),
                message_id,
                microseconds(raw.get("timestamp")),
                author_id,
                "" if text.isspace() else text,
                kind,
                kind_name,
                extra,
            ),
        )

    def author(self, raw: dict[str, Any]) -> tuple[str, bool]:
        """Return the id of who wrote a message, and whether it is a bot's."""
        author = raw.get("author")
        if not isinstance(author, dict):
            return "", False
        author_id, handle = author.get("id"), author.get("name")
        if not isinstance(author_id, str):
            return "", False
        if author_id not in self.names:
            nickname = author.get("nickname")
            shown = nickname if isinstance(nickname, str) and nickname else handle
            self.names[author_id] = clean_text(shown)
            self.handles[author_id] = clean_text(handle)
        return author_id, author.get("isBot") is True

    def _text(self, raw: dict[str, Any], content: object) -> str:
        if not isinstance(content, str) or not content:
            return ""
        if "<" in content:
            content = plain_text(content, self._mentioned(raw.get("mentions")))
        return content if content.isascii() else without_lone_surrogates(content)

    def names_told_apart(self) -> dict[str, str]:
        """Return the name to show of each author, by id; nobody's is another's."""
        counts = Counter(self.names.values())
        return {
            author: f"{name} ({self.handles[author] or author})"
            if counts[name] > 1 and self.handles[author] != name
            else f"{name} ({author})"
            if counts[name] > 1
            else name
            for author, name in self.names.items()
            if name
        }

    def ids_of(self, person: str) -> list[str]:
        """Return the authors whose id, user name or shown name is this.

        Args:
            person: Any of them, without regard to case; a user name also with its `@`.
                An id comes before a user name, and that before a shown name.
        """
        wanted = person.casefold().strip()
        handle = wanted.removeprefix("@")
        shown = self.names_told_apart()
        of_handle = [
            key for key, one in self.handles.items() if one.casefold() == handle
        ]
        of_name = [
            key
            for key, name in self.names.items()
            if wanted in {name.casefold(), shown.get(key, "").casefold()}
        ]
        return [wanted] if wanted in self.names else of_handle or of_name

    def _mentioned(self, mentions: object) -> Mapping[str, str]:
        names: dict[str, str] = {}
        for user in mentions if isinstance(mentions, list) else ():
            if isinstance(user, dict) and isinstance(user.get("id"), str):
                shown = clean_text(user.get("nickname")) or clean_text(user.get("name"))
                names[user["id"]] = shown
        return ChainMap(names, self.names)

    def _extra(self, raw: dict[str, Any], kind_name: str) -> dict[str, Any]:
        extra = _extra_of_media(raw)
        if raw.get("timestampEdited"):
            extra["edited"] = True
        if raw.get("reactions") and (found := list(_reactions(raw["reactions"]))):
            extra["reactions"] = found
        reference = raw.get("reference")
        # Pins, threads and crossposts refer to a message, too, and are no replies.
        if isinstance(reference, dict) and kind_name in {"Reply", "19"}:
            target = reference.get("messageId")
            if isinstance(target, str) and target:
                extra["reply_to"] = {"id": target}
        return extra


def microseconds(stamp: object) -> int | None:
    """Return a time as microseconds since 1970 in UTC; without an offset it is UTC."""
    if not isinstance(stamp, str):
        return None
    try:
        gap = datetime.fromisoformat(stamp) - _EPOCH
    except (ValueError, OverflowError, TypeError):
        return _odd_time(stamp)
    return (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds


def _odd_time(stamp: str) -> int | None:
    # Seven digits or `Z` before Python 3.11, and times without an offset.
    match = _TIME.fullmatch(stamp)
    if match is None:
        return None
    day, minute, second, fraction, offset = match.groups()
    base = _minute(f"{day}T{minute}:00{'+00:00' if offset in (None, 'Z') else offset}")
    if base is None:
        return None
    part = int((fraction or "0").ljust(6, "0")[:6])
    return base + int(second) * 1_000_000 + part


@lru_cache(maxsize=4096)
def _minute(text: str) -> int | None:
    try:
        gap = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return (gap.days * 86_400 + gap.seconds) * 1_000_000


def _number(message_id: str) -> int:
    if len(message_id) > _MAX_ID_LENGTH:
        return -1
    try:
        return int(message_id)
    except ValueError:
        return -1


def _extra_of_media(raw: dict[str, Any]) -> dict[str, Any]:
    attachments: list[dict[str, str]] = []
    for file in dicts_of(raw.get("attachments")):
        name = clean_text(file.get("fileName"))
        suffix = name.rpartition(".")[2].lower()
        attachment = {"type": _SUFFIX_TYPES.get(suffix, "file")}
        attachments.append({**attachment, "name": name} if name else attachment)
    for sticker in dicts_of(raw.get("stickers")):
        name = clean_text(sticker.get("name"))
        attachment = {"type": "sticker"}
        attachments.append({**attachment, "name": name} if name else attachment)
    return {"attachments": attachments} if attachments else {}


def _reactions(listed: object) -> Iterator[dict[str, Any]]:
    for item in dicts_of(listed):
        emoji = item.get("emoji")
        name = clean_text(emoji.get("name")) if isinstance(emoji, dict) else ""
        if not name:
            continue
        # A custom emoji has an id; others are the character itself.
        reaction = f":{name}:" if isinstance(emoji, dict) and emoji.get("id") else name
        users = list(dicts_of(item.get("users")))
        for user in users:
            sender = clean_text(user.get("nickname")) or clean_text(user.get("name"))
            yield {"reaction": reaction, "sender": sender or UNKNOWN_SENDER}
        count = item.get("count")
        if isinstance(count, int) and count > len(users):
            rest = {"sender": UNKNOWN_SENDER, "count": count - len(users)}
            yield {"reaction": reaction, **rest}


def _embed_texts(embeds: object) -> Iterator[str]:
    for embed in dicts_of(embeds):
        for key in ("title", "description"):
            if text := clean_text(embed.get(key)):
                yield text

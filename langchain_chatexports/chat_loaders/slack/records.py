"""Records of a conversation: one message each, small enough to sort a channel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports._fast.strings import new_tuple
from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.json_data import (
    dicts_of,
    without_lone_surrogates,
)
from langchain_chatexports.chat_loaders.slack.people import first_text
from langchain_chatexports.chat_loaders.slack.record_kinds import (
    BOT,
    PERSON,
    kind_of_subtype,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from langchain_chatexports.chat_loaders.slack.markup import Markup
    from langchain_chatexports.chat_loaders.slack.people import People

__all__ = ["Record", "RecordReader"]

# Seconds and microseconds as text: a float would lose the last digit of 16.
_TS = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
# How Slack worded a shared file until about 2017: `text` has the comment in it.
_OLD_SHARE = re.compile(
    r"<@\w+(?:\|[^>]*)?> (?:uploaded|shared) a file: <[^>]*>"
    r"(?: and commented: (?P<comment>.*))?",
    re.DOTALL,
)
_TYPES = {"image": "photo", "video": "video", "audio": "audio"}
_NO_FILE = frozenset({"tombstone", "hidden_by_limit"})
# A message with none of these keys is a text and its author.
_NOTABLE_KEYS = frozenset(
    {
        "attachments",
        "edited",
        "file",
        "files",
        "reactions",
        "subtype",
    }
)
_NOTHING: dict[str, Any] = {}
_LENGTH, _POINT = 17, 10  # Of a `ts`: 1714550400.000100


class Record(NamedTuple):
    """One message.

    Attributes:
        time: Microseconds since 1970 in UTC, if the message has a time.
        ts: The export's id of the message in its conversation, or empty.
        sender: The name to show.
        user: The author's id, if there is one.
        text: What was written, as plain text.
        kind: Who wrote it: a person, a bot or Slack itself.
        subtype: The message's own word for its kind.
        thread: The `ts` of the first message of its thread, if it is in one.
        extra: What else it carries, as it will be in `additional_kwargs`.
        weight: The more, the more a copy of the message knows.
    """

    time: int | None
    ts: str
    sender: str
    user: str | None
    text: str
    kind: str
    subtype: str
    thread: str | None
    extra: dict[str, Any]
    weight: tuple[bool, int]

    @property
    def is_first_of_thread(self) -> bool:
        """Whether a thread hangs on it."""
        return self.thread is not None and self.thread == self.ts


class RecordReader:
    """Reads the messages of day files."""

    def __init__(self, people: People, markup: Markup) -> None:
        self._people = people
        self._humans = people.humans
        self._plain = markup.plain

    def records(self, messages: list[Any], skipped: Counter[str]) -> Iterator[Record]:
        """Read the messages of one file, in its order.

        Args:
            messages: As they are in the file.
            skipped: Where to count what is no message, as `unreadable`.

        Yields:
            A record each, and one for each reply that slackdump put into it.
        """
        for raw in messages:
            if not isinstance(raw, dict):
                skipped["unreadable"] += 1
                continue
            yield self._record(raw)
            replies = raw.get("slackdump_thread_replies")
            for reply in replies if isinstance(replies, list) else ():
                if isinstance(reply, dict):
                    yield self._record(reply)
                else:
                    skipped["unreadable"] += 1

    def _record(self, raw: dict[str, Any]) -> Record:
        ts, text, user = raw.get("ts"), raw.get("text"), raw.get("user")
        time = _microseconds(ts)
        thread = raw.get("thread_ts")
        sender = self._humans.get(user) if isinstance(user, str) else None
        if sender and text and isinstance(text, str) and _NOTABLE_KEYS.isdisjoint(raw):
            # Most messages: a listed person's plain text.
            plain = self._plain(text)
            return new_tuple(
                Record,
                (
                    time,
                    "" if time is None else ts,
                    sender,
                    user,
                    "" if plain.isspace() else plain,
                    PERSON,
                    "",
                    thread if isinstance(thread, str) and thread else None,
                    _NOTHING,
                    (False, len(raw)),
                ),
            )
        subtype = raw.get("subtype")
        kind = kind_of_subtype(subtype)
        author = raw
        if subtype == "file_comment" and isinstance(raw.get("comment"), dict):
            # Until 2018 the comment was a record of its own inside of the message.
            comment = raw["comment"]
            author = {"user": comment.get("user"), "text": comment.get("comment")}
        user = author.get("user")
        if kind == PERSON and self._is_bot(raw, user):
            kind = BOT
        text = _text_of(author)
        if subtype == "file_share" and (old := _OLD_SHARE.fullmatch(text)):
            text = old["comment"] or ""
        sender = self._people.name(user, raw.get("user_profile"))
        if kind == BOT:
            sender = self._bot_name(raw, sender)
        plain = self._plain(text)
        return Record(
            time=time,
            ts=ts if time is not None and isinstance(ts, str) else "",
            sender=sender,
            user=user if isinstance(user, str) else None,
            text="" if plain.isspace() else plain,
            kind=kind,
            subtype=subtype if isinstance(subtype, str) else "",
            thread=thread if isinstance(thread, str) and thread else None,
            extra=self._extra(raw),
            weight=("edited" in raw, len(raw)),
        )

    def _is_bot(self, raw: Mapping[str, Any], user: object) -> bool:
        # What a person posts through an app has both ids, and is the person's.
        if self._people.is_bot(user):
            return True
        return bool(raw.get("bot_id")) and not self._people.knows(user)

    def _bot_name(self, raw: Mapping[str, Any], sender: str) -> str:
        profile = raw.get("bot_profile")
        name = profile.get("name") if isinstance(profile, dict) else None
        link = raw.get("bot_link")
        shown = link.partition("|")[2].rstrip(">") if isinstance(link, str) else None
        named = first_text(raw.get("username"), name, shown)
        if named or sender != UNKNOWN_SENDER:
            return named or sender
        return first_text(raw.get("bot_id")) or UNKNOWN_SENDER

    def _extra(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if attachments := [*_files(raw), *_shared_messages(raw)]:
            extra["attachments"] = attachments
        if raw.get("edited"):
            extra["edited"] = True
        if reactions := list(self._reactions(raw.get("reactions"))):
            extra["reactions"] = reactions
        return extra

    def _reactions(self, listed: object) -> Iterator[dict[str, Any]]:
        for item in listed if isinstance(listed, list) else ():
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                continue
            reaction = f":{without_lone_surrogates(item['name'])}:"
            users = item.get("users")
            users = users if isinstance(users, list) else []
            for user in users:
                yield {"reaction": reaction, "sender": self._people.name(user)}
            # Slack lists some of the people only, where there are many.
            count = item.get("count")
            if isinstance(count, int) and count > len(users):
                rest = {"sender": UNKNOWN_SENDER, "count": count - len(users)}
                yield {"reaction": reaction, **rest}


def _microseconds(ts: object) -> int | None:
    if isinstance(ts, str) and len(ts) == _LENGTH and ts[_POINT] == ".":
        digits = ts.replace(".", "")
        if digits.isdecimal() and digits.isascii() and len(digits) == _LENGTH - 1:
            return int(digits)
    match = _TS.fullmatch(ts) if isinstance(ts, str) else None
    if match is None:
        return None
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0"))


def _text_of(raw: Mapping[str, Any]) -> str:
    text = raw.get("text")
    if isinstance(text, str) and text:
        return text
    return "\n".join(filter(None, map(_block_text, dicts_of(raw.get("blocks")))))


def _block_text(block: Mapping[str, Any]) -> str:
    # Bots often write into blocks only; those of people repeat the text.
    if block.get("type") == "rich_text":
        return "".join(map(_rich_text, dicts_of(block.get("elements"))))
    texts = [block.get("text"), *dicts_of(block.get("fields"))]
    return "\n".join(
        filter(None, (first_text(one.get("text")) for one in dicts_of(texts)))
    )


def _rich_text(section: Mapping[str, Any]) -> str:
    parts = []
    for element in dicts_of(section.get("elements")):
        kind = element.get("type")
        if kind == "user":
            parts.append(f"<@{first_text(element.get('user_id'))}>")
        elif kind == "channel":
            parts.append(f"<#{first_text(element.get('channel_id'))}>")
        elif kind == "emoji":
            parts.append(f":{first_text(element.get('name'))}:")
        elif kind == "broadcast":
            parts.append(f"@{first_text(element.get('range'))}")
        elif kind == "rich_text_section":
            # An item of a list.
            parts.append(_rich_text({"elements": element.get("elements")}) + "\n")
        else:
            text = element.get("text")
            text = text if isinstance(text, str) else first_text(element.get("url"))
            # As it would be in `text`, so that both are read in one way.
            escaped = text.replace("&", "&amp;").replace("<", "&lt;")
            parts.append(escaped.replace(">", "&gt;"))
    return "".join(parts)


def _files(raw: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    files = raw.get("files")
    listed = files if isinstance(files, list) else [raw.get("file")]
    for file in dicts_of(listed):
        mime_type = first_text(file.get("mimetype"))
        attachment = {"type": _TYPES.get(mime_type.partition("/")[0], "file")}
        if mime_type == "image/gif":
            attachment["type"] = "gif"
        name = first_text(file.get("name"), file.get("title"))
        if name and first_text(file.get("mode")) not in _NO_FILE:
            attachment["name"] = name
        if mime_type:
            attachment["mime_type"] = mime_type
        yield attachment


def _shared_messages(raw: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    # Somebody else's words: an attachment, never content.
    for item in dicts_of(raw.get("attachments")):
        if item.get("is_share") or item.get("is_msg_unfurl"):
            shared = {"type": "link"}
            if uri := first_text(item.get("from_url")):
                shared["uri"] = uri
            if text := first_text(item.get("text")):
                shared["text"] = text
            yield shared

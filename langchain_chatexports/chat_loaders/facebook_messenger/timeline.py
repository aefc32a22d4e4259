"""Join the messages of a thread's files: order, duplicates, system lines."""

from collections import Counter
from collections.abc import Collection
from operator import attrgetter
from typing import Any

from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    ThreadDocument,
    has_url,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    LineReader,
)
from langchain_chatexports.chat_loaders.messages import Message

_SECOND = 1_000_000
_MAX_PLACEHOLDER_LENGTH = 100
_KINDS = {"attachment": "media", "reaction": "reaction"}  # Others are `system`.


def merged(files: list[ThreadDocument]) -> list[Message]:
    """Join the messages of a thread's files, oldest first.

    Messages with equal times keep the order of their file, starting at its oldest end.
    Messages without a time come first, in the order of their file.
    """
    _mark_duplicates(files)
    for file in files:
        for message in file.messages if file.is_skipped else ():
            if message.kind == "text":
                message.kind = "section"
    directions = [_is_newest_first(file.messages) for file in files]
    usual = next((d for d in directions if d is not None), None)
    if usual is None:
        # All times within each file are equal, so use the order of their numbers.
        usual = _is_newest_first([m for file in reversed(files) for m in file.messages])
    undated: list[Message] = []
    dated: list[Message] = []
    for file, direction in zip(files, directions, strict=True):
        undated += [m for m in file.messages if m.time is None]
        if usual if direction is None else direction:
            file.messages.reverse()
        dated += [m for m in file.messages if m.time is not None]
    dated.sort(key=attrgetter("time"))
    return undated + dated


def find_system_lines(messages: list[Message], reader: LineReader) -> None:
    """Set the kinds of system lines, in messages sorted oldest first."""
    placeholders = _placeholders(messages)
    for message in messages:
        text = message.text
        if message.kind != "text" or not text:
            continue
        has_attachment = "attachments" in message.extra
        if placeholders and text in placeholders:
            line: str | None = "attachment"
        else:
            line = reader.kind_of(text, message.sender, has_attachment=has_attachment)
        if line is None:
            continue
        message.kind = _KINDS.get(line, "system")
        if message.kind == "media":
            message.text = "" if has_attachment else "[attachment]"
        else:
            message.extra[message.kind] = line if message.kind == "system" else True


def _is_newest_first(messages: list[Message]) -> bool | None:
    times = (m.time for m in messages if m.time is not None)
    backwards = (m.time for m in reversed(messages) if m.time is not None)
    first, last = next(times, None), next(backwards, None)
    return None if first is None or last is None or first == last else first > last


def _mark_duplicates(files: list[ThreadDocument]) -> None:
    """Mark messages that another file contains as well.

    Duplicates have the same sender, time, text and attachments, but in different files:
    within one file, the person really wrote the same text twice.
    """
    # The exports of 2018 round to seconds; later ones have milliseconds.
    unit = _SECOND if any(file.is_coarse for file in files) else 1
    shared = _shared_times(files, unit)
    seen: dict[object, list[Message]] = {}
    best_first = sorted(files, key=lambda file: (file.is_skipped, file.is_coarse))
    for file in best_first if shared else ():
        counts: Counter[object] = Counter()
        for message in file.messages:
            time = None if message.time is None else message.time // unit
            if time not in shared or not (message.text or message.extra):
                continue
            content = time, *_content(message)
            copies, nth = seen.setdefault(content, []), counts[content]
            counts[content] += 1
            if nth == len(copies):  # The n-th in one file is the n-th in the others.
                copies.append(message)
                continue
            if _knowledge(message) > _knowledge(copies[nth]):
                copies[nth].kind, copies[nth].extra = message.kind, message.extra
            message.kind = "duplicate"


def _shared_times(files: list[ThreadDocument], unit: int) -> set[int | None]:
    seen: set[int | None] = set()
    shared: set[int | None] = set()
    for file in files if len(files) > 1 else ():
        times = {None if m.time is None else m.time // unit for m in file.messages}
        shared |= times & seen
        seen |= times
    return shared


def _content(message: Message) -> tuple[object, ...]:
    attachments = message.extra.get("attachments", ())
    return message.sender, message.text, tuple(map(_attachment_key, attachments))


def _attachment_key(attachment: dict[str, str]) -> tuple[str, ...]:
    kind, uri = attachment["type"], attachment.get("uri", "")
    if kind != "link":
        # Folder names differ between the kinds of exports.
        uri = uri.rpartition("/")[2]
    return kind, uri, attachment.get("text", "")


def _knowledge(message: Message) -> tuple[bool, int]:
    """Rank copies of a message by the information in their export.

    A later export marks unsent messages, and has more reactions; an older one has
    fields of system lines that later ones lack.
    """
    return message.kind != "text", len(message.extra.get("reactions", ()))


def _placeholders(messages: Collection[Message]) -> set[str]:
    """Return the placeholder texts of shared attachments, in any language.

    They are short, and occur several times, but only in messages with a share.
    """
    on_shares = Counter(
        message.text
        for message in messages
        if message.extra  # Most messages have none, so check this first.
        and message.kind == "text"
        and _has_share(message.extra)
        and len(message.text) <= _MAX_PLACEHOLDER_LENGTH
    )
    repeated = {
        text for text, count in on_shares.items() if count > 1 and not has_url(text)
    }
    if not repeated:
        return repeated
    return repeated.difference(m.text for m in messages if not _has_share(m.extra))


def _has_share(extra: dict[str, Any]) -> bool:
    return any(item["type"] == "link" for item in extra.get("attachments", ()))

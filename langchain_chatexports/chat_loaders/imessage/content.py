"""The content of a message whose text alone is not enough: edits, media, replies."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.chat_loaders.imessage.app_messages import (
    app_placeholder,
    link_preview,
)
from langchain_chatexports.chat_loaders.imessage.attachments import (
    describe_attachments,
    media_placeholder,
)
from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributes,
)
from langchain_chatexports.chat_loaders.imessage.edits import read_edit_history
from langchain_chatexports.chat_loaders.imessage.reactions import target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.chat_loaders.imessage.edits import EditHistory
    from langchain_chatexports.chat_loaders.imessage.rows import (
        AttachmentRow,
        Details,
    )

__all__ = [
    "Content",
    "LeftOut",
    "is_unsent",
    "links",
    "needs_care",
    "read_content",
    "read_placeholder",
]

_logger = logging.getLogger(__name__)

_ATTACHMENT_MARK, _APP_MARK = "\ufffc", "\ufffd"
_BETWEEN_TEXTS = re.compile(r"(?<=[^\s\ufffc])\ufffc+(?=[^\s\ufffc])")
_QUOTE = "“"
_TRANSCRIPT, _FILE = "IMAudioTranscription", "__kIMFileTransferGUIDAttributeName"
_FIRST_ABOUT_ANOTHER = 1000
_MAX_PART_DIGITS = 9  # A part of -1 has twenty: 64 bits without a sign.


class LeftOut(Exception):  # noqa: N818 - not an error: the row is counted, that is all
    """Raised for a row that is left out, with the reason that `inspect` shows."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Content(NamedTuple):
    """The text of a message, its attachments and other details."""

    text: str
    extra: dict[str, Any]


def needs_care(text: Any) -> bool:
    """Return whether a text needs a closer look before it becomes a message.

    It is empty, or has marks of attachments, other line ends, or a quotation that may
    make it a reaction in words.
    """
    return (
        type(text) is not str
        or _ATTACHMENT_MARK in text
        or _QUOTE in text
        or "\r" in text
        or not text
        or text.isspace()
    )


def is_unsent(details: Details, text: str | None) -> bool:
    """Return whether a message was unsent and nothing is left of it."""
    if _ATTACHMENT_MARK in (text or "") or _own_text(details, text):
        return False
    return _was_unsent(details, read_edit_history(details.message_summary_info))


def read_content(
    details: Details,
    text: str | None,
    attachment_rows: Sequence[AttachmentRow],
    *,
    include_media: bool,
    include_unsent: bool,
) -> Content:
    """Read a message that somebody wrote.

    Args:
        details: The row's rare columns.
        text: Its text as stored, if there is one.
        attachment_rows: Its attachments.
        include_media: Whether a placeholder stands for attachments without a text.
        include_unsent: Whether to keep unsent messages.

    Returns:
        The content.

    Raises:
        LeftOut: If nothing is left to read.
    """
    stored = text or ""
    extra = links(details)
    said = _said(details, stored, extra, include_unsent=include_unsent)
    is_audio = details.is_audio_message == 1
    shown = _in_order_of_text(attachment_rows, details.attributedBody)
    attachments = describe_attachments(shown, is_audio=is_audio)
    preview = link_preview(details.payload_data)
    if preview:
        said = said or preview.get("uri", "")
        attachments.append({"type": "link", **preview})
    subject = _clean(details.subject or "", has_app=False)
    if subject:
        extra["subject"] = subject
        said = f"{subject}\n{said}" if said else subject
    if not said:
        if not attachments and _ATTACHMENT_MARK not in stored:
            if text is not None or details.attributedBody is None:
                raise LeftOut(reason="empty")
            _logger.info("The text of message %s cannot be read.", details.message_id)
            raise LeftOut(reason="unreadable")
        if not include_media:
            raise LeftOut(reason="media")
        said = media_placeholder(attachments, is_audio=is_audio)
    if attachments:
        extra["attachments"] = attachments
    return Content(said, extra)


def read_placeholder(details: Details, kind: str) -> Content:
    """Return a placeholder for an app's message, a sticker or a vote."""
    extra = links(details)
    if kind != "app":
        return Content(f"[{kind}]", extra)
    line = app_placeholder(details.balloon_bundle_id, details.payload_data)
    return Content(line, extra)


def links(details: Details) -> dict[str, Any]:
    """Return the message that this one answers or reacts to, as `reply_to`."""
    number = details.associated_message_type
    # Smaller numbers are an app's updates of its own message.
    is_about_another = isinstance(number, int) and number >= _FIRST_ABOUT_ANOTHER
    if details.associated_message_guid and is_about_another:
        return {"reply_to": {"id": target_of(details.associated_message_guid)}}
    # `reply_to_guid` is no reply: it links most messages to the one before.
    if not details.thread_originator_guid:
        return {}
    reply: dict[str, Any] = {"id": details.thread_originator_guid}
    part = (details.thread_originator_part or "").partition(":")[0]
    if part.isascii() and part.isdigit() and len(part) <= _MAX_PART_DIGITS:
        reply["part"] = int(part)
    return {"reply_to": reply}


def _in_order_of_text(
    rows: Sequence[AttachmentRow], body: bytes | None
) -> Sequence[AttachmentRow]:
    """Sort attachments by their marks in the text; the rows are in no useful order."""
    if len(rows) < 2 or not isinstance(body, bytes):  # noqa: PLR2004 - no order of one
        return rows
    decoded = decode_attributes(body)
    runs = decoded.runs if decoded is not None else []
    files = (run.attributes.get(_FILE) for run in runs)
    places = {file: place for place, file in enumerate(files) if isinstance(file, str)}
    return sorted(rows, key=lambda row: places.get(row.guid or "", len(runs)))


def _said(
    details: Details, stored: str, extra: dict[str, Any], *, include_unsent: bool
) -> str:
    """Return what was written or spoken, and note edits in `extra`."""
    said = _own_text(details, stored)
    if said and not details.date_edited:
        return said
    history = read_edit_history(details.message_summary_info)
    if not said and _ATTACHMENT_MARK in stored:
        said = _transcript(details.attributedBody)
    elif not said:
        said = _from_history(details, history, extra, include_unsent=include_unsent)
    # `date_edited` alone is no sign: it also changes when a part is unsent.
    if history is not None and history.is_edited:
        extra["edited"] = True
        if history.earlier:
            extra["edits"] = history.earlier
    return said


def _from_history(
    details: Details,
    history: EditHistory | None,
    extra: dict[str, Any],
    *,
    include_unsent: bool,
) -> str:
    """Find the text of a message without a body in its edit history."""
    if not _was_unsent(details, history):
        return history.current if history is not None else ""
    if history is None or not history.unsent or not include_unsent:
        raise LeftOut(reason="unsent")
    extra["unsent"] = True
    return history.unsent


def _was_unsent(details: Details, history: EditHistory | None) -> bool:
    """Return whether a message without a body was unsent."""
    if history is not None and (history.is_unsent or history.current):
        return history.is_unsent
    # Up to macOS 15; since then it stays 0.
    return bool(details.date_retracted)


def _own_text(details: Details, text: str | None) -> str:
    return _clean(text or "", has_app=bool(details.balloon_bundle_id))


def _transcript(body: bytes | None) -> str:
    decoded = decode_attributes(body) if isinstance(body, bytes) else None
    if decoded is None:
        return ""
    spoken = (run.attributes.get(_TRANSCRIPT) for run in decoded.runs)
    texts = dict.fromkeys(text.strip() for text in spoken if isinstance(text, str))
    return "\n".join(text for text in texts if text)


def _clean(text: str, *, has_app: bool) -> str:
    """Remove the marks of attachments and apps, and bring line ends into one form."""
    # Between two texts the mark stands for a bubble of its own.
    clean = _BETWEEN_TEXTS.sub("\n", text).replace(_ATTACHMENT_MARK, "")
    if has_app:
        clean = clean.replace(_APP_MARK, "")
    clean = clean.replace("\r\n", "\n").replace("\r", "\n")
    return clean.strip() if clean != text or clean.isspace() else clean

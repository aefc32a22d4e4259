"""Rows of a Messages database, as the queries return them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Activity", "AttachmentRow", "Chat", "Details", "Handle"]


class Handle(NamedTuple):
    """An address that messages came from or went to."""

    row_id: int
    address: str
    person: str | None


class Chat(NamedTuple):
    """A row of `chat`; everything but `row_id` may be missing."""

    row_id: Any
    guid: str | None = None
    style: int | None = None
    identifier: str | None = None
    service: str | None = None
    title: str | None = None
    group_id: str | None = None


class Activity(NamedTuple):
    """What one pass over the joined rows says of a chat."""

    chat_id: Any
    rows: int
    latest: int | None
    """Microseconds since 1970 of its newest message."""

    speakers: tuple[Any, Any]
    """Two handles that other people wrote from; the same twice if there is only one."""


@dataclass(frozen=True)
class Details:
    """Columns that few messages use, read for one message at a time."""

    message_id: int | None = None
    handle_id: Any = None
    subject: str | None = None
    attributedBody: bytes | None = None  # noqa: N815 - the column's name
    item_type: int | None = None
    group_title: str | None = None
    group_action_type: int | None = None
    other_handle: Any = None
    share_status: int | None = None
    share_direction: int | None = None
    associated_message_guid: str | None = None
    associated_message_type: int | None = None
    associated_message_emoji: str | None = None
    balloon_bundle_id: str | None = None
    payload_data: bytes | None = None
    message_summary_info: bytes | None = None
    thread_originator_guid: str | None = None
    thread_originator_part: str | None = None
    date_edited: int | None = None
    date_retracted: int | None = None
    is_audio_message: int | None = None


class AttachmentRow(NamedTuple):
    """A row of `attachment`."""

    guid: str | None
    filename: str | None
    uti: str | None
    mime_type: str | None
    transfer_name: str | None
    is_sticker: int | None
    is_hidden: int | None

"""The content of a message: text, edits, media, apps, links, events."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from langchain_chatexports._fast.strings import format_iso_time
from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
    decode_attributes,
)
from langchain_chatexports.chat_loaders.imessage.plists import (
    get_text,
    read_archive,
    read_plist,
)
from langchain_chatexports.chat_loaders.imessage.queries import (
    APPLE_EPOCH_SECONDS,
    AttachmentRow,
    Details,
)
from langchain_chatexports.chat_loaders.messages import (
    Message,
    attachment,
    link,
    placeholder_text,
)
from langchain_chatexports.chat_loaders.schema import Attachment
from langchain_chatexports.chat_loaders.times import MICROSECONDS

_ATTACHMENT_PLACEHOLDER, _APP_PLACEHOLDER = "\ufffc", "\ufffd"
_BETWEEN_BUBBLES = re.compile(r"(?<=[^\s\ufffc])\ufffc+(?=[^\s\ufffc])")
_TRANSCRIPT, _FILE = "IMAudioTranscription", "__kIMFileTransferGUIDAttributeName"
_MIN_RELATED_TYPE = 1000  # Lower types are updates that an app made to its message.
_MAX_PART_DIGITS = 9  # Part -1 is stored as an unsigned 64-bit number.
_MAX_SECONDS = 10**12
# The app allows five edits per part. A hostile history may repeat one endlessly.
_MAX_HISTORY_BYTES, _MIN_VERSION_BYTES = 1 << 22, 1 << 10
_MAX_PART = 10**9
# Images in link previews and app messages, which the sender did not attach.
_PREVIEW_SUFFIX = ".pluginPayloadAttachment"
_MIME_TYPE_OF_UTI = {
    "com.adobe.pdf": "application/pdf",
    "com.apple.coreaudio-format": "audio/x-caf",
    "com.apple.quicktime-movie": "video/quicktime",
    "com.compuserve.gif": "image/gif",
    "public.heic": "image/heic",
    "public.jpeg": "image/jpeg",
    "public.mpeg-4": "video/mp4",
    "public.png": "image/png",
    "public.vcard": "text/vcard",
}
_POLL = "com.apple.messages.Polls"
_HAND_DRAWN = {
    "com.apple.Handwriting.HandwritingProvider": "handwriting",
    "com.apple.DigitalTouchBalloonProvider": "drawing",
}
_MEMBERS, _RENAMED, _LOCATION = 1, 2, 4
# By `item_type` and `group_action_type`. Sources disagree on the background events.
_EVENTS = {
    (1, 0): "added {other}",
    (1, 1): "removed {other}",
    (2, 0): "removed the group name",
    (3, 0): "left the conversation",
    (3, 1): "changed the group photo",
    (3, 2): "removed the group photo",
    (3, 3): "changed the background",
    (3, 4): "changed the background",
    (3, 6): "changed the background",
    (5, 0): "kept an audio message",
    (6, 0): "started FaceTime or SharePlay",
}


def is_plain_text(text: object) -> bool:
    """Return whether text needs no cleaning: no placeholders or carriage returns."""
    return (
        type(text) is str
        and _ATTACHMENT_PLACEHOLDER not in text
        and "\r" not in text
        and bool(text)
        and not text.isspace()
    )


def read_content(
    message: Message,
    details: Details,
    text: str | None,
    attachments: Sequence[AttachmentRow],
) -> None:
    """Set the text and kind of a message that a person wrote, and its other keys.

    `text` is the stored text, if any.
    """
    stored_text = text or ""
    extra = message.extra
    body = details.attributedBody if isinstance(details.attributedBody, bytes) else None
    display_text = typed_text = _clean_text(
        stored_text, has_app=bool(details.balloon_bundle_id)
    )
    history = None
    if details.date_edited or not typed_text:
        history = _read_history(details.message_summary_info)
    if not typed_text and _ATTACHMENT_PLACEHOLDER in stored_text:
        display_text = _read_transcript(body)
    elif not typed_text and _is_unsent(details, history):
        extra["unsent"] = True
        message.text, message.kind = history.unsent_text if history else "", "unsent"
        return
    elif history is not None:
        display_text = typed_text or history.current_text
    if history is not None:
        extra.update(history.edits)
    is_audio = details.is_audio_message == 1
    descriptions = _describe_attachments(
        _sort_by_position(attachments, body), is_audio=is_audio
    )
    preview = _read_link_preview(details.payload_data)
    descriptions += preview
    display_text = display_text or "".join(item.get("uri", "") for item in preview)
    if subject := _clean_text(details.subject or "", has_app=False):
        extra["subject"] = subject
        display_text = f"{subject}\n{display_text}" if display_text else subject
    if descriptions:
        extra["attachments"] = descriptions
    if not display_text and (descriptions or _ATTACHMENT_PLACEHOLDER in stored_text):
        message.kind = "media"
        unlisted = [attachment(kind="audio")] if is_audio else []
        display_text = placeholder_text(descriptions or unlisted)
    elif not display_text:
        is_damaged = text is None and details.attributedBody is not None
        message.kind = "unreadable" if is_damaged else "empty"
    message.text = display_text


def read_reply_to(details: Details) -> dict[str, Any]:
    """Return the `reply_to` entry of a reply or reaction, or an empty dictionary."""
    kind, target = details.associated_message_type, details.associated_message_guid
    if target and isinstance(kind, int) and kind >= _MIN_RELATED_TYPE:
        return {"reply_to": {"id": parse_target(target)}}
    # Ignore `reply_to_guid`, which links most messages to the previous one.
    if not details.thread_originator_guid:
        return {}
    reply: dict[str, Any] = {"id": details.thread_originator_guid}
    part = (details.thread_originator_part or "").partition(":")[0]
    if part.isascii() and part.isdigit() and len(part) <= _MAX_PART_DIGITS:
        reply["part"] = int(part)
    return {"reply_to": reply}


def parse_target(associated_message_guid: str) -> str:
    """Parse the guid in `p:<part>/<guid>`, `bp:<guid>` or `<guid>`."""
    return associated_message_guid.rpartition("/")[2].rpartition(":")[2]


def describe_event(details: Details, other: str) -> str:
    """Describe an event in brackets, such as `[added Ann]`."""
    kind, action = details.item_type, details.group_action_type or 0
    action_text = _EVENTS.get((kind, action), "changed the conversation")
    if kind == _MEMBERS and not action and details.other_handle == details.handle_id:
        action_text = "changed their address"
    elif kind == _RENAMED and details.group_title:
        action_text = f"named the conversation “{details.group_title}”"
    elif kind == _LOCATION:
        verb = "stopped" if details.share_status == 1 else "started"
        action_text = f"{verb} sharing location"
    return f"[{action_text.replace('{other}', other)}]"


def is_owner_location(details: Details) -> bool:
    """Return whether the owner shared a location, even without `is_from_me`."""
    return (
        details.item_type == _LOCATION
        and bool(details.other_handle)
        and details.share_direction == 0
    )


def describe_app(balloon: str | None, payload: object) -> str:
    """Describe an app's message in brackets, with the app's own caption."""
    # An extension's id may follow the ids of Messages and of a developer team.
    bundle = (balloon or "").split(":", 2)[-1]
    if bundle in _HAND_DRAWN:
        return f"[{_HAND_DRAWN[bundle]}]"
    root = read_archive(payload)
    if bundle.endswith(_POLL):
        options = _read_poll_options(get_text(root, "URL") or "")
        return f"[poll: {' / '.join(options)}]" if options else "[poll]"
    caption = (
        get_text(root, "ldtext")
        or get_text(root, "userInfo", "caption")
        or get_text(root, "userInfo", "subcaption")
    )
    parts = filter(None, (get_text(root, "an"), caption))
    return f"[{': '.join(parts) or 'app message'}]"


def _read_poll_options(url: str) -> list[str]:
    encoded = url.partition(",")[2].partition("?")[0]
    try:
        poll = json.loads(base64.urlsafe_b64decode(unquote_to_bytes(encoded) + b"==="))
        names = [option["text"] for option in poll["item"]["orderedPollOptions"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [name for name in names if isinstance(name, str)]


def _read_link_preview(payload: object) -> list[Attachment]:
    root = read_archive(payload)
    for key in ("richLinkMetadata", "metadata"):
        uri = get_text(root, key, "originalURL") or get_text(root, key, "URL")
        title, text, site = (
            get_text(root, key, name) or "" for name in ("title", "summary", "siteName")
        )
        if uri or title or text or site:
            return [link(uri or "", title=title, text=text, site=site)]
    return []


def _sort_by_position(
    rows: Sequence[AttachmentRow], body: bytes | None
) -> Sequence[AttachmentRow]:
    """Sort attachments by their position in the text, since rows are unordered."""
    decoded = decode_attributes(body) if len(rows) > 1 and body else None
    if decoded is None:
        return rows
    files = [run.attributes.get(_FILE) for run in decoded.runs]
    positions = {file: i for i, file in enumerate(files) if isinstance(file, str)}
    return sorted(rows, key=lambda row: positions.get(row.guid or "", len(files)))


def _describe_attachments(
    rows: Sequence[AttachmentRow], *, is_audio: bool
) -> list[Attachment]:
    """Return the type, name and MIME type of each visible attachment."""
    descriptions = []
    for row in rows:
        name = row.transfer_name or row.filename or ""
        if row.hide_attachment == 1 or _PREVIEW_SUFFIX in f"{name} {row.filename}":
            continue
        mime_type = row.mime_type or _MIME_TYPE_OF_UTI.get(row.uti or "", "")
        kind = "sticker" if row.is_sticker == 1 else ""
        if is_audio and not mime_type:
            kind = "audio"
        descriptions.append(attachment(name, mime_type.lower(), kind))
    return descriptions


def _read_transcript(body: bytes | None) -> str:
    decoded = decode_attributes(body) if body else None
    runs = decoded.runs if decoded else []
    transcripts = (run.attributes.get(_TRANSCRIPT) for run in runs)
    lines = dict.fromkeys(text.strip() for text in transcripts if isinstance(text, str))
    return "\n".join(filter(None, lines))


def _clean_text(text: str, *, has_app: bool) -> str:
    """Remove the placeholders for attachments and apps, and normalize line ends."""
    # A placeholder between two pieces of text separates bubbles.
    cleaned_text = _BETWEEN_BUBBLES.sub("\n", text).replace(_ATTACHMENT_PLACEHOLDER, "")
    if has_app:
        cleaned_text = cleaned_text.replace(_APP_PLACEHOLDER, "")
    cleaned_text = cleaned_text.replace("\r\n", "\n").replace("\r", "\n")
    is_changed = cleaned_text != text
    return cleaned_text.strip() if is_changed or text.isspace() else text


class _History(NamedTuple):
    """The edit history of a message, stored since macOS 13."""

    is_unsent: bool  # Whether all parts were unsent.
    current_text: str  # The latest text of the remaining parts, if known.
    unsent_text: str  # The latest text of the unsent parts, if known.
    edits: dict[str, Any]  # The keys `edited` and `edits` (earlier versions).


def _is_unsent(details: Details, history: _History | None) -> bool:
    """Return whether a message without text was unsent."""
    if history is not None and (history.is_unsent or history.current_text):
        return history.is_unsent
    return bool(details.date_retracted)  # Up to macOS 15; since then always 0.


def _read_history(summary_info: object) -> _History | None:
    info = read_plist(summary_info)
    if not isinstance(info, dict):
        return None
    parts, versions = _as_dict(info.get("otr")), _as_dict(info.get("ec"))
    unsent_parts = {
        str(part)
        for part in _as_list(info.get("rp"))
        if isinstance(part, str) or (isinstance(part, int) and 0 <= part < _MAX_PART)
    }
    is_edited = bool(versions or _as_list(info.get("ep")))
    if not is_edited and not unsent_parts:
        return None
    current, unsent, earlier = [], [], []
    bytes_left = _MAX_HISTORY_BYTES
    # Keys are unordered decimal strings, some with more digits than Python converts.
    for part in sorted(versions, key=lambda part: (len(part), part)):
        part_versions = []
        for entry in map(_as_dict, _as_list(versions[part])):
            blob = entry.get("t")
            blob = blob if isinstance(blob, bytes) else b""
            bytes_left -= len(blob) + _MIN_VERSION_BYTES
            if bytes_left < 0:
                return None
            part_versions.append(_read_version(blob, entry.get("d")))
        if part in unsent_parts:
            unsent += part_versions[-1:]
        else:
            current += part_versions[-1:]
            earlier += part_versions[:-1]
    # `date_edited` is not enough, since unsending a part also sets it.
    edits: dict[str, Any] = {"edited": True} if is_edited else {}
    if earlier_texts := [version for version in earlier if version["text"]]:
        edits["edits"] = earlier_texts
    return _History(
        is_unsent=bool(parts) and unsent_parts.issuperset(parts),
        current_text="\n".join(
            version["text"] for version in current if version["text"]
        ),
        unsent_text="\n".join(version["text"] for version in unsent if version["text"]),
        edits=edits,
    )


def _read_version(blob: bytes, seconds: object) -> dict[str, Any]:
    text = decode_attributed_body(blob) or ""
    version: dict[str, Any] = {
        "text": text.replace(_ATTACHMENT_PLACEHOLDER, "").strip()
    }
    if isinstance(seconds, (int, float)) and 0 < seconds < _MAX_SECONDS:
        time = format_iso_time(round((seconds + APPLE_EPOCH_SECONDS) * MICROSECONDS))
        if time is not None:
            version["message_time"] = time
    return version


def _as_dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    return {str(key): item for key, item in value.items()}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

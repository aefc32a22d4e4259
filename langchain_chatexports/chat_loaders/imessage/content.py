"""The content of a message: text, edits, media, apps, links, events."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from langchain_chatexports._fast.strings import iso_time
from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
    decode_attributes,
)
from langchain_chatexports.chat_loaders.imessage.plists import (
    read_archive,
    read_plist,
    text_in,
)
from langchain_chatexports.chat_loaders.imessage.queries import (
    APPLE_EPOCH_SECONDS,
    AttachmentRow,
    Details,
)
from langchain_chatexports.chat_loaders.messages import attachment

_ATTACHMENT_MARK, _APP_MARK = "\ufffc", "\ufffd"
_BETWEEN_TEXTS = re.compile(r"(?<=[^\s\ufffc])\ufffc+(?=[^\s\ufffc])")
_TRANSCRIPT, _FILE = "IMAudioTranscription", "__kIMFileTransferGUIDAttributeName"
_FIRST_ABOUT_ANOTHER = 1000  # Lower numbers are an app's updates of its message.
_MAX_PART_DIGITS = 9  # A part of -1 is written as an unsigned 64-bit number.
_MAX_SECONDS = 10**12
# Each part of a message can be edited five times; a hostile history may refer to one
# text any number of times.
_MAX_HISTORY_BYTES, _MIN_VERSION_BYTES = 1 << 22, 1 << 10
_MAX_PART = 10**9
# The system, not the sender, adds the images of link previews and app messages.
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
# By `item_type` and `group_action_type`; sources disagree about the background events.
_EVENTS = {
    (1, 0): "added {other}",
    (1, 1): "removed {other}",
    (2, 0): "removed the name of the conversation",
    (3, 0): "left the conversation",
    (3, 1): "changed the group photo",
    (3, 2): "removed the group photo",
    (3, 3): "changed the background",
    (3, 4): "changed the background",
    (3, 6): "changed the background",
    (5, 0): "kept an audio message",
    (6, 0): "started FaceTime or SharePlay",
}


class Content(NamedTuple):
    """The text of a message, its kind, and its further keys."""

    text: str
    kind: str
    extra: dict[str, Any]


def is_plain(text: object) -> bool:
    """Return whether a text has no marks and no carriage returns."""
    return (
        type(text) is str
        and _ATTACHMENT_MARK not in text
        and "\r" not in text
        and bool(text)
        and not text.isspace()
    )


def read_content(
    details: Details, text: str | None, attachments: Sequence[AttachmentRow]
) -> Content:
    """Read a message by a person; `text` is the stored text, if there is any."""
    stored = text or ""
    extra = links(details)
    body = details.attributedBody if isinstance(details.attributedBody, bytes) else None
    shown = own = _cleaned(stored, has_app=bool(details.balloon_bundle_id))
    history = None
    if details.date_edited or not own:
        history = _read_history(details.message_summary_info)
    if not own and _ATTACHMENT_MARK in stored:
        shown = _transcript(body)
    elif not own and _was_unsent(details, history):
        extra["unsent"] = True
        return Content(history.unsent if history else "", "unsent", extra)
    elif history is not None:
        shown = own or history.current
    if history is not None:
        extra |= history.edits
    is_audio = details.is_audio_message == 1
    described = _described(_in_order_of_text(attachments, body), is_audio=is_audio)
    preview = _link_preview(details.payload_data)
    described += preview
    shown = shown or "".join(link.get("uri", "") for link in preview)
    if subject := _cleaned(details.subject or "", has_app=False):
        extra["subject"] = subject
        shown = f"{subject}\n{shown}" if shown else subject
    if described:
        extra["attachments"] = described
    kind = "text"
    if not shown and (described or _ATTACHMENT_MARK in stored):
        kind, unknown = "media", "[audio]" if is_audio else "[attachment]"
        shown = " ".join(f"[{each['type']}]" for each in described) or unknown
    elif not shown:
        is_damaged = text is None and details.attributedBody is not None
        kind = "unreadable" if is_damaged else "empty"
    return Content(shown, kind, extra)


def links(details: Details) -> dict[str, Any]:
    """Return the message that this one replies or reacts to, as `reply_to`."""
    number, target = details.associated_message_type, details.associated_message_guid
    if target and isinstance(number, int) and number >= _FIRST_ABOUT_ANOTHER:
        return {"reply_to": {"id": target_of(target)}}
    # `reply_to_guid` is not a reply: it links most messages to the previous one.
    if not details.thread_originator_guid:
        return {}
    reply: dict[str, Any] = {"id": details.thread_originator_guid}
    part = (details.thread_originator_part or "").partition(":")[0]
    if part.isascii() and part.isdigit() and len(part) <= _MAX_PART_DIGITS:
        reply["part"] = int(part)
    return {"reply_to": reply}


def target_of(associated_message_guid: str) -> str:
    """Return the guid in `p:<part>/<guid>`, `bp:<guid>` or `<guid>`."""
    return associated_message_guid.rpartition("/")[2].rpartition(":")[2]


def describe_event(details: Details, other: str) -> str:
    """Describe an event in brackets: what its sender did, perhaps to another person."""
    kind, action = details.item_type, details.group_action_type or 0
    done = _EVENTS.get((kind, action), "changed the conversation")
    if kind == _MEMBERS and not action and details.other_handle == details.handle_id:
        done = "changed their address"
    elif kind == _RENAMED and details.group_title:
        done = f"named the conversation “{details.group_title}”"
    elif kind == _LOCATION:
        verb = "stopped" if details.share_status == 1 else "started"
        done = f"{verb} sharing location"
    return f"[{done.replace('{other}', other)}]"


def is_own_location(details: Details) -> bool:
    """Return whether the owner shared a location, even without `is_from_me`."""
    return (
        details.item_type == _LOCATION
        and bool(details.other_handle)
        and details.share_direction == 0
    )


def describe_app(balloon: str | None, payload: object) -> str:
    """Describe an app's message in brackets, with the app's own caption."""
    # An extension's own id follows the id of Messages and a team's id.
    bundle = (balloon or "").split(":", 2)[-1]
    if bundle in _HAND_DRAWN:
        return f"[{_HAND_DRAWN[bundle]}]"
    root = read_archive(payload)
    if bundle.endswith(_POLL):
        options = _poll_options(text_in(root, "URL") or "")
        return f"[poll: {' / '.join(options)}]" if options else "[poll]"
    caption = (
        text_in(root, "ldtext")
        or text_in(root, "userInfo", "caption")
        or text_in(root, "userInfo", "subcaption")
    )
    shown = filter(None, (text_in(root, "an"), caption))
    return f"[{': '.join(shown) or 'app message'}]"


def _poll_options(url: str) -> list[str]:
    encoded = url.partition(",")[2].partition("?")[0]
    try:
        poll = json.loads(base64.urlsafe_b64decode(unquote_to_bytes(encoded) + b"==="))
        texts = [option["text"] for option in poll["item"]["orderedPollOptions"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [text for text in texts if isinstance(text, str)]


def _link_preview(payload: object) -> list[dict[str, str]]:
    root = read_archive(payload)
    for key in ("richLinkMetadata", "metadata"):
        found = {
            "uri": text_in(root, key, "originalURL") or text_in(root, key, "URL"),
            "title": text_in(root, key, "title"),
            "text": text_in(root, key, "summary"),
            "site": text_in(root, key, "siteName"),
        }
        if shown := {name: text for name, text in found.items() if text}:
            return [{"type": "link", **shown}]
    return []


def _in_order_of_text(
    rows: Sequence[AttachmentRow], body: bytes | None
) -> Sequence[AttachmentRow]:
    """Sort attachments by their positions in the text; rows have no useful order."""
    decoded = decode_attributes(body) if len(rows) > 1 and body else None
    if decoded is None:
        return rows
    files = [run.attributes.get(_FILE) for run in decoded.runs]
    places = {file: place for place, file in enumerate(files) if isinstance(file, str)}
    return sorted(rows, key=lambda row: places.get(row.guid or "", len(files)))


def _described(
    rows: Sequence[AttachmentRow], *, is_audio: bool
) -> list[dict[str, str]]:
    """Return type, name and MIME type of each visible attachment."""
    described = []
    for row in rows:
        path = (row.filename or "").replace("\\", "/")
        name = row.transfer_name or path.rpartition("/")[2]
        if row.hide_attachment == 1 or _PREVIEW_SUFFIX in f"{name} {path}":
            continue
        mime_type = row.mime_type or _MIME_TYPE_OF_UTI.get(row.uti or "", "")
        kind = "sticker" if row.is_sticker == 1 else ""
        if is_audio and not mime_type:
            kind = "audio"
        described.append(attachment(name, mime_type.lower(), kind))
    return described


def _transcript(body: bytes | None) -> str:
    decoded = decode_attributes(body) if body else None
    runs = decoded.runs if decoded else []
    spoken = (run.attributes.get(_TRANSCRIPT) for run in runs)
    texts = dict.fromkeys(text.strip() for text in spoken if isinstance(text, str))
    return "\n".join(filter(None, texts))


def _cleaned(text: str, *, has_app: bool) -> str:
    """Remove the marks of attachments and apps, and normalize line ends."""
    # A mark between two texts separates bubbles.
    clean = _BETWEEN_TEXTS.sub("\n", text).replace(_ATTACHMENT_MARK, "")
    if has_app:
        clean = clean.replace(_APP_MARK, "")
    clean = clean.replace("\r\n", "\n").replace("\r", "\n")
    return clean.strip() if clean != text or clean.isspace() else clean


class _History(NamedTuple):
    """The versions of a message's parts, since macOS 13."""

    is_unsent: bool  # Whether every part was unsent.
    current: str  # The last text of the parts that were not unsent, if known.
    unsent: str  # The last text of the parts that were unsent, if known.
    # `edited`, and the replaced texts of the other parts as `edits`.
    edits: dict[str, Any]


def _was_unsent(details: Details, history: _History | None) -> bool:
    """Return whether a message without a body was unsent."""
    if history is not None and (history.is_unsent or history.current):
        return history.is_unsent
    return bool(details.date_retracted)  # Up to macOS 15; since then always 0.


def _read_history(summary_info: object) -> _History | None:
    info = read_plist(summary_info)
    if not isinstance(info, dict):
        return None
    parts, versions = _mapping(info.get("otr")), _mapping(info.get("ec"))
    taken_back = {
        str(part)
        for part in _sequence(info.get("rp"))
        if isinstance(part, str) or (isinstance(part, int) and 0 <= part < _MAX_PART)
    }
    is_edited = bool(versions or _sequence(info.get("ep")))
    if not is_edited and not taken_back:
        return None
    current, unsent, earlier = [], [], []
    bytes_left = _MAX_HISTORY_BYTES
    # Keys are decimal strings in any order; some have more digits than Python converts.
    for part in sorted(versions, key=lambda part: (len(part), part)):
        texts = []
        for entry in map(_mapping, _sequence(versions[part])):
            blob = entry.get("t")
            blob = blob if isinstance(blob, bytes) else b""
            bytes_left -= len(blob) + _MIN_VERSION_BYTES
            if bytes_left < 0:
                return None
            texts.append(_version(blob, entry.get("d")))
        if part in taken_back:
            unsent += texts[-1:]
        else:
            current += texts[-1:]
            earlier += texts[:-1]
    # `date_edited` is not enough: it also changes when a part is unsent.
    edits: dict[str, Any] = {"edited": True} if is_edited else {}
    if replaced := [version for version in earlier if version["text"]]:
        edits["edits"] = replaced
    return _History(
        is_unsent=bool(parts) and taken_back.issuperset(parts),
        current="\n".join(version["text"] for version in current if version["text"]),
        unsent="\n".join(version["text"] for version in unsent if version["text"]),
        edits=edits,
    )


def _version(blob: bytes, seconds: object) -> dict[str, Any]:
    text = decode_attributed_body(blob) or ""
    version: dict[str, Any] = {"text": text.replace(_ATTACHMENT_MARK, "").strip()}
    if isinstance(seconds, (int, float)) and 0 < seconds < _MAX_SECONDS:
        time = iso_time(round((seconds + APPLE_EPOCH_SECONDS) * 1_000_000))
        if time is not None:
            version["message_time"] = time
    return version


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    return {str(key): item for key, item in value.items()}


def _sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

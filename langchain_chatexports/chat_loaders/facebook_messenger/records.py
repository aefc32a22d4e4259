"""Message records of an export: text, sender, time and what else they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.facebook_messenger.record_kinds import (
    kind_from_fields,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
        ThreadDocument,
    )

__all__ = ["Record", "SenderNames", "is_deleted_account", "read_records"]

# Lower case; what Meta shows instead of the name of a deleted account.
_DELETED_NAMES = frozenset(
    {
        "",
        "facebook user",
        "facebook-bruger",
        "facebook-bruker",
        "facebook-felhasználó",
        "facebook-gebruiker",
        "facebook-nutzer",
        "facebook-användare",
        "instagram user",
        "instagramuser",
        "người dùng facebook",
        "usuario de facebook",
        "usuário do facebook",
        "utente di facebook",
        "utilizador do facebook",
        "utilisateur de facebook",
        "utilisateur facebook",
        "uživatel facebooku",
        "użytkownik facebooka",
    }
)

# A message with none of these keys is plain text (or empty).
_NOTABLE_KEYS = frozenset(
    {
        "audio_files",
        "call_duration",
        "files",
        "gifs",
        "is_taken_down",
        "is_unsent",
        "photos",
        "reactions",
        "share",
        "sticker",
        "timestamp",
        "type",
        "users",
        "videos",
    }
)
_MEDIA_KINDS = {
    "photos": "photo",
    "videos": "video",
    "audio_files": "audio",
    "files": "file",
    "gifs": "gif",
}
_SUFFIX_KINDS = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "heic", "bmp"), "photos"),
    **dict.fromkeys(("mp4", "mov", "mkv", "webm", "3gp"), "videos"),
    **dict.fromkeys(("aac", "m4a", "mp3", "ogg", "opus", "wav"), "audio_files"),
    "gif": "gifs",
}
_UNSENT_TEXT = "User unsent a message"  # In English in every account language seen.

# Year 1 to 9999: what a Python datetime can hold.
_FIRST_MS = -62_135_596_800_000
_LAST_MS = 253_402_300_799_999
# The first exports of 2018 have seconds in `timestamp`; a larger value is milliseconds.
_MAX_SECONDS = 10**11


# One message that may be kept. A plain tuple, because there are millions: it takes a
# fifth of a named one's time, and the garbage collector forgets it at once. Its fields:
#   stamp      milliseconds since 1970 in UTC, if known and within the years 1 to 9999
#   sender     the name to show
#   text       the text, empty where there is none
#   extra      `attachments` and `reactions`, as they will be in the message
#   kind       why it is left out by default: a kind of system line, or `unsent`
#   file       which of the thread's files it is from
#   is_coarse  whether the time is in whole seconds only
Record: TypeAlias = tuple[
    "int | None", str, str, "dict[str, Any] | None", "str | None", int, bool
]


class SenderNames(dict[str, str]):
    """Maps the senders of one file to the names to show; each is repaired once."""

    def __init__(self, repair: Callable[[str], str]) -> None:
        super().__init__()
        self.repair = repair

    def shown(self, raw: object) -> str:
        """Return the name to show for any JSON value."""
        return self[raw] if isinstance(raw, str) else UNKNOWN_SENDER

    def __missing__(self, raw: str) -> str:
        """Repair a name on its first occurrence."""
        name = self.repair(raw).strip()
        shown = UNKNOWN_SENDER if is_deleted_account(name) else name
        self[raw] = shown
        return shown


def is_deleted_account(name: str) -> bool:
    """Return whether a name stands for any deleted account, or is missing."""
    return name.strip().casefold() in _DELETED_NAMES


def read_records(
    document: ThreadDocument, file: int, left_out: Counter[str]
) -> Iterator[Record]:
    """Read a file's messages, in its order.

    Args:
        document: The file.
        file: Its number among the thread's files.
        left_out: Where to count what is never kept: `empty` and `unreadable`.

    Yields:
        Everything else, with why it may be left out.
    """
    repair = document.repair
    names = SenderNames(repair)
    is_plain = _NOTABLE_KEYS.isdisjoint
    for raw in document.messages:
        if not isinstance(raw, dict):
            left_out["unreadable"] += 1
            continue
        message = _as_dyi(raw) if document.is_e2ee else raw
        name, text = message.get("sender_name"), message.get("content")
        sender = names[name] if isinstance(name, str) else UNKNOWN_SENDER
        if not isinstance(text, str):
            text = ""
        else:
            if not text.isascii():
                text = repair(text)
            if text.isspace():
                text = ""
        stamp = message.get("timestamp_ms")
        if type(stamp) is not int or not _FIRST_MS <= stamp <= _LAST_MS:
            stamp = _rounded(stamp)
        record: Record = (stamp, sender, text, None, None, file, False)
        if not is_plain(message):
            record = _with_notable_keys(record, message, names)
        if record[2] or _has_more_than_text(record):
            yield record
        else:
            left_out["empty"] += 1


def _with_notable_keys(
    draft: Record, message: dict[str, Any], names: SenderNames
) -> Record:
    stamp, sender, text, _, _, file, is_coarse = draft
    extra = _extra(message, names)
    kind = kind_from_fields(message, text)
    if kind == "unsent" and text == _UNSENT_TEXT:
        text = ""
    if stamp is None and "timestamp" in message:
        stamp, is_coarse = _older_stamp(message["timestamp"])
    return stamp, sender, text, extra, kind, file, is_coarse


def _has_more_than_text(record: Record) -> bool:
    _, _, _, extra, kind, *_ = record
    return kind is not None or "attachments" in (extra or ())


def _rounded(value: object) -> int | None:
    """Return a fractional time as a whole number, or `None` out of range."""
    if isinstance(value, float) and _FIRST_MS <= value <= _LAST_MS:
        return int(value)
    return None


def _older_stamp(value: object) -> tuple[int | None, bool]:
    number = value if type(value) is int else _rounded(value)
    if number is None:
        return None, False
    is_coarse = abs(number) < _MAX_SECONDS
    milliseconds = number * 1000 if is_coarse else number
    if not _FIRST_MS <= milliseconds <= _LAST_MS:
        return None, False
    return milliseconds, is_coarse


def _extra(message: dict[str, Any], names: SenderNames) -> dict[str, Any] | None:
    extra: dict[str, Any] = {}
    repair = names.repair
    attachments = list(_attachments(message, repair))
    if attachments:
        extra["attachments"] = attachments
    reactions = message.get("reactions")
    if isinstance(reactions, list):
        found = [
            {
                "reaction": repair(item["reaction"]),
                "sender": names.shown(item.get("actor")),
            }
            for item in reactions
            if isinstance(item, dict) and isinstance(item.get("reaction"), str)
        ]
        if found:
            extra["reactions"] = found
    return extra or None


def _attachments(
    message: dict[str, Any], repair: Callable[[str], str]
) -> Iterator[dict[str, str]]:
    for key, kind in _MEDIA_KINDS.items():
        listed = message.get(key)
        for item in listed if isinstance(listed, list) else ():
            yield _with_uri({"type": kind}, item)
    if message.get("sticker"):
        yield _with_uri({"type": "sticker"}, message["sticker"])
    share = message.get("share")
    if not isinstance(share, dict) or not share:
        return
    link, text = share.get("link"), share.get("share_text")
    shared = {"type": "link"}
    if isinstance(link, str) and link:
        shared["uri"] = link
    # A caption of somebody else's post: never content.
    if isinstance(text, str) and text:
        shared["text"] = repair(text)
    yield shared


def _with_uri(attachment: dict[str, str], item: object) -> dict[str, str]:
    uri = item.get("uri") if isinstance(item, dict) else None
    if isinstance(uri, str) and uri:
        attachment["uri"] = uri
    return attachment


def _as_dyi(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the secure storage the keys of the other exports."""
    message: dict[str, Any] = {
        "sender_name": raw.get("senderName"),
        "timestamp_ms": raw.get("timestamp"),
        "content": raw.get("text"),
    }
    if raw.get("isUnsent"):
        message["is_unsent"] = True
    if raw.get("reactions"):
        message["reactions"] = raw["reactions"]
    media = raw.get("media")
    for item in media if isinstance(media, list) else ():
        uri = item.get("uri") if isinstance(item, dict) else None
        suffix = uri.rpartition(".")[2].lower() if isinstance(uri, str) else ""
        # Without a suffix it is a sentence that says why there is no file.
        stored = item if suffix.isalnum() else {}
        message.setdefault(_SUFFIX_KINDS.get(suffix, "files"), []).append(stored)
    return message

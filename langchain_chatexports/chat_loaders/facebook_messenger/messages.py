"""A message record of an export, read into what its text, sender and time are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from langchain_chatexports.chat_loaders.facebook_messenger.documents import (
        ThreadDocument,
    )

__all__ = ["Record", "SenderNames", "has_url", "is_deleted_account", "read_records"]

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
_URL_SIGNS = ("http://", "https://", "www.")
_UNSENT_TEXT = "User unsent a message"  # In English in every account language seen.

# Year 1 to 9999: what a Python datetime can hold.
_FIRST_MS = -62_135_596_800_000
_LAST_MS = 253_402_300_799_999
# The first exports of 2018 have seconds in `timestamp`; a larger value is milliseconds.
_MAX_SECONDS = 10**11


class Record(NamedTuple):
    """One message that may be kept."""

    stamp: int | None
    """Milliseconds since 1970 in UTC, if known and within the years 1 to 9999."""

    sender: str
    text: str
    """The text; empty where there is none."""

    extra: dict[str, Any] | None
    """`attachments` and `reactions`, as they will be in the message."""

    left_out_as: str | None
    """Why it is left out by default, as a kind of system line or as `unsent`."""

    file: int
    """Which of the thread's files it is from."""

    is_coarse: bool = False
    """Whether the time is in whole seconds only."""


class SenderNames(dict[object, str]):
    """Senders as they stand in one file, and the names to show: each repaired once."""

    def __init__(self, repair: Callable[[str], str]) -> None:
        """Remember how this file's strings are repaired."""
        super().__init__()
        self._repair = repair

    def __missing__(self, raw: object) -> str:
        """Repair a name that comes for the first time."""
        name = self._repair(raw).strip() if isinstance(raw, str) else ""
        shown = UNKNOWN_SENDER if is_deleted_account(name) else name
        self[raw] = shown
        return shown


def is_deleted_account(name: str) -> bool:
    """Tell whether a name stands for any deleted account, or is missing."""
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
    for raw in document.messages:
        if not isinstance(raw, dict):
            left_out["unreadable"] += 1
            continue
        message = _as_dyi(raw) if document.is_e2ee else raw
        sender = names[_hashable(message.get("sender_name"))]
        text = message.get("content")
        if not isinstance(text, str):
            text = ""
        elif not text.isascii():
            text = repair(text)
        stamp = _in_range(message.get("timestamp_ms"))
        if _NOTABLE_KEYS.isdisjoint(message):
            if text and not text.isspace():
                yield Record(stamp, sender, text, None, None, file)
            else:
                left_out["empty"] += 1
            continue
        extra = _extra(message, names, repair)
        reason = _structural_sign(message, text)
        if text.isspace() or (reason == "unsent" and text == _UNSENT_TEXT):
            text = ""
        if not (text or reason or (extra and "attachments" in extra)):
            left_out["empty"] += 1
            continue
        is_coarse = stamp is None and "timestamp" in message
        if is_coarse:
            stamp, is_coarse = _older_stamp(message["timestamp"])
        yield Record(stamp, sender, text, extra, reason, file, is_coarse)


def has_url(text: str) -> bool:
    """Tell whether a text holds a link."""
    folded = text.casefold()
    return any(sign in folded for sign in _URL_SIGNS)


def _hashable(value: object) -> object:
    return value if isinstance(value, str) else None


def _in_range(value: object) -> int | None:
    if type(value) is not int:
        if not isinstance(value, float) or not _FIRST_MS <= value <= _LAST_MS:
            return None
        value = int(value)
    return value if _FIRST_MS <= value <= _LAST_MS else None


def _older_stamp(value: object) -> tuple[int | None, bool]:
    number = _in_range(value)
    if number is None or abs(number) >= _MAX_SECONDS:
        return number, False
    return _in_range(number * 1000), True


def _structural_sign(message: dict[str, Any], text: str) -> str | None:
    if message.get("is_unsent") or message.get("is_taken_down"):
        return "unsent"
    kind = message.get("type")
    if message.get("call_duration") is not None or kind == "Call":
        return "call"
    if message.get("users") is not None or kind in {"Subscribe", "Unsubscribe"}:
        return "members"
    # A notice of an app or game; with a link it is what somebody shared.
    if kind == "Share" and not message.get("share") and text and not has_url(text):
        return "game"
    return None


def _extra(
    message: dict[str, Any], names: SenderNames, repair: Callable[[str], str]
) -> dict[str, Any] | None:
    extra: dict[str, Any] = {}
    attachments = list(_attachments(message, repair))
    if attachments:
        extra["attachments"] = attachments
    reactions = message.get("reactions")
    if isinstance(reactions, list):
        found = [
            {
                "reaction": repair(item["reaction"]),
                "sender": names[_hashable(item.get("actor"))],
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
    """Give a message of the secure storage the keys of the other exports."""
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

"""What a message holds: text, attachments, reactions and what it refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PLAIN_KEYS", "author_of", "clean", "extra_of", "is_forwarded", "text_of"]

PLAIN_KEYS = frozenset(
    {
        *("id", "type", "date", "date_unixtime", "from", "from_id", "text"),
        *("text_entities",),
    }
)
"""The keys of a message that is nothing but text."""

_MEDIA_TYPES = {
    "sticker": "sticker",
    "video_message": "video",
    "voice_message": "audio",
    "animation": "gif",
    "video_file": "video",
    "audio_file": "audio",
}
_OTHER_TYPES = {
    "poll": "poll",
    "location_information": "location",
    "live_location_period_seconds": "location",
    "place_name": "location",
    "contact_information": "contact",
    "contact_vcard": "contact",
    "game_title": "game",
    "invoice_information": "invoice",
    "giveaway_information": "giveaway",
    "giveaway_results": "giveaway",
    "paid_stars_amount": "paid_media",
}
_CUSTOM_EMOJI, _STAR = ":custom_emoji:", "⭐"


def author_of(raw: dict[str, Any]) -> str:
    """Return the id of who wrote a message or did something, empty if not there.

    Before about 2021 it is a number. Where there is none, the name stands for it.
    """
    author = raw.get("from_id") or raw.get("actor_id")
    if isinstance(author, str):
        return author
    if isinstance(author, int) and author:
        return f"user{author}"
    return clean(raw.get("from") or raw.get("actor"))


def clean(value: object) -> str:
    """Return a name or another short text, empty if it is none."""
    return without_lone_surrogates(value).strip() if isinstance(value, str) else ""


def text_of(raw: dict[str, Any]) -> str:
    """Return the text of a message, its parts joined with nothing."""
    text = raw.get("text")
    if not isinstance(text, str) or not text:
        parts = raw.get("text_entities") or text
        if not isinstance(parts, list) or not parts:
            return ""
        text = "".join(_parts(parts))
    if text.isascii():
        return "" if text.isspace() else text
    text = without_lone_surrogates(text)
    return "" if text.isspace() else text


def is_forwarded(raw: dict[str, Any]) -> bool:
    """Return whether a message is somebody's who is not its sender, or passed on."""
    return "forwarded_from" in raw or "saved_from" in raw


def extra_of(raw: dict[str, Any], chat_id: str) -> dict[str, Any]:
    """Return what else a message carries, as it will be in `additional_kwargs`.

    Args:
        raw: The message.
        chat_id: The chat's id, which the ids of messages begin with.
    """
    extra: dict[str, Any] = {}
    if attachments := list(_attachments(raw)):
        extra["attachments"] = attachments
    if raw.get("edited") or raw.get("edited_unixtime"):
        extra["edited"] = True
    if is_forwarded(raw):
        extra["forwarded"] = True
        name = clean(raw.get("forwarded_from")) or clean(raw.get("saved_from"))
        extra |= {"forwarded_from": name} if name else {}
    target = raw.get("reply_to_message_id")
    if isinstance(target, int):
        peer = raw.get("reply_to_peer_id")
        place = peer if isinstance(peer, str) and peer else chat_id
        extra["reply_to"] = {"id": f"{place}:{target}"}
    if reactions := list(_reactions(raw.get("reactions"))):
        extra["reactions"] = reactions
    return extra


def _parts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield text


def _attachments(raw: dict[str, Any]) -> Iterator[dict[str, str]]:
    if "photo" in raw:
        yield {"type": "photo"}
    kind = raw.get("media_type")
    if "file" in raw or (isinstance(kind, str) and kind):
        known = _MEDIA_TYPES.get(kind, "file") if isinstance(kind, str) else "file"
        attachment = {"type": known}
        # The path is not passed on: nobody may open what an export names.
        name = clean(raw.get("title")) or clean(raw.get("file_name"))
        if known == "sticker":
            name = clean(raw.get("sticker_emoji"))
        yield {**attachment, "name": name} if name else attachment
    found = {kind: raw[key] for key, kind in _OTHER_TYPES.items() if key in raw}
    for kind, value in found.items():
        name = ""
        if kind == "poll" and isinstance(value, dict):
            question = value.get("question")
            listed = question if isinstance(question, list) else [question]
            name = clean("".join(_parts(listed)))
        elif kind == "location":
            name = clean(raw.get("place_name"))
        yield {"type": kind, "name": name} if name else {"type": kind}


def _reactions(listed: object) -> Iterator[dict[str, Any]]:
    for item in listed if isinstance(listed, list) else ():
        if not isinstance(item, dict):
            continue
        kinds = {"custom_emoji": _CUSTOM_EMOJI, "paid": _STAR}
        kind = item.get("type")
        # A custom emoji is a picture, of which the export has an id or a path.
        known = kinds.get(kind) if isinstance(kind, str) else None
        reaction = known or clean(item.get("emoji"))
        if not reaction:
            continue
        recent = item.get("recent")
        named = (
            [one for one in recent or () if isinstance(one, dict)]
            if isinstance(recent, list)
            else []
        )
        for one in named:
            sender = clean(one.get("from")) or UNKNOWN_SENDER
            yield {"reaction": reaction, "sender": sender}
        count = item.get("count")
        # `recent` lists only the last few.
        if isinstance(count, int) and count > len(named):
            rest = {"sender": UNKNOWN_SENDER, "count": count - len(named)}
            yield {"reaction": reaction, **rest}

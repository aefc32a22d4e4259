"""Messages of iMessage apps: link previews, polls, handwriting and others."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote_to_bytes

from langchain_chatexports.chat_loaders.imessage.plists import read_archive, text_in

__all__ = ["app_placeholder", "link_preview"]

_POLL = "com.apple.messages.Polls"
_DATA_URL = "data:"
_HAND_DRAWN = {
    "com.apple.Handwriting.HandwritingProvider": "handwriting",
    "com.apple.DigitalTouchBalloonProvider": "drawing",
}


def link_preview(payload: object) -> dict[str, str] | None:
    """Return what a link preview shows: `uri`, `title`, `text` (its summary), `site`.

    Args:
        payload: `payload_data`; any bytes are allowed.

    Returns:
        The keys that are there, or `None` if it is not a link preview.
    """
    root = read_archive(payload)
    for key in ("richLinkMetadata", "metadata"):
        url = text_in(root, key, "originalURL") or text_in(root, key, "URL")
        found = {
            "uri": url,
            "title": text_in(root, key, "title"),
            "text": text_in(root, key, "summary"),
            "site": text_in(root, key, "siteName"),
        }
        shown = {name: text for name, text in found.items() if text}
        if shown:
            return shown
    return None


def app_placeholder(balloon: str | None, payload: bytes | None) -> str:
    """Return one line that stands for an app's message.

    Args:
        balloon: `balloon_bundle_id`.
        payload: `payload_data`; any bytes are allowed.

    Returns:
        A line in brackets, with what the app itself says in one line.
    """
    # An extension's own id stands behind that of Messages and a team's.
    bundle = (balloon or "").split(":", 2)[-1]
    if bundle in _HAND_DRAWN:
        return f"[{_HAND_DRAWN[bundle]}]"
    root = read_archive(payload)
    if bundle.endswith(_POLL):
        options = _poll_options(text_in(root, "URL"))
        return f"[poll: {' / '.join(options)}]" if options else "[poll]"
    shown = (
        text_in(root, "an"),
        text_in(root, "ldtext")
        or text_in(root, "userInfo", "caption")
        or text_in(root, "userInfo", "subcaption"),
    )
    return f"[{': '.join(part for part in shown if part) or 'app message'}]"


def _poll_options(url: str | None) -> list[str]:
    if not url or not url.startswith(_DATA_URL):
        return []
    encoded = url.partition(",")[2].partition("?")[0]
    padded = unquote_to_bytes(encoded) + b"==="
    try:
        poll: Any = json.loads(base64.urlsafe_b64decode(padded))
        options = poll["item"]["orderedPollOptions"]
        texts = [option["text"] for option in options]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [text for text in texts if isinstance(text, str)]

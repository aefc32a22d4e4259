"""Convert Slack's markup and blocks to text."""

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from langchain_chatexports.chat_loaders.json_data import clean_text, iter_dicts

_RICH_TEXT = {"user_id": "<@{}>", "channel_id": "<#{}>", "name": ":{}:", "range": "@{}"}
# Replaced in one pass, so that a typed `<@U1>`, stored as `&lt;@U1&gt;`, is kept.
_TOKEN = re.compile(r"<([^<>\n]*)>|&(lt|gt|amp);")
_ENTITY = re.compile(r"&(lt|gt|amp);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}
_BROADCASTS = frozenset({"here", "channel", "everyone", "group"})
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]{0,20}:(?://)?)?", re.IGNORECASE)


def render_markup(
    text: str, get_name: Callable[[str], str | None], channels: Mapping[str, str]
) -> str:
    """Replace the ids in message text with names, and links with their labels.

    Keeps bold, italics, code, quotes and `:emoji:` names.
    """

    def get_replacement(match: re.Match[str]) -> str:
        token, entity = match.groups()
        if entity:
            return _ENTITIES[entity]
        target, _, label = token.partition("|")
        label = _unescape(label)
        kind, value = target[:1], target[1:]
        if kind == "@":
            return f"@{get_name(value) or label or value}"
        if kind == "#":
            return f"#{channels.get(value) or label or value}"
        if kind == "!":
            if value.startswith("date^") or (label and value not in _BROADCASTS):
                return label
            return f"@{value.removeprefix('subteam^')}"
        return _render_link(_unescape(target), label) if target else match.group()

    return _TOKEN.sub(get_replacement, text) if "<" in text or "&" in text else text


def _render_link(target: str, label: str) -> str:
    scheme = _SCHEME.match(target)
    address = target[scheme.end() :] if scheme else target
    if target.lower().startswith(("mailto:", "tel:")):
        return label or address
    # Slack's default label of a link is the shortened address.
    return label if label and label not in {address, address.rstrip("/")} else target


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)


def render_block(block: Mapping[str, Any]) -> str:
    """Return the text of a Block Kit block, often the only text of a bot."""
    if block.get("type") == "rich_text":
        return _render_rich_text(block).rstrip("\n")
    elements = iter_dicts([block.get("text"), *iter_dicts(block.get("fields"))])
    return "\n".join(filter(None, (clean_text(e.get("text")) for e in elements)))


def _render_rich_text(element: Mapping[str, Any]) -> str:
    """Convert a rich text element to the markup of `text`."""
    parts = iter_dicts(element.get("elements"))
    if element.get("type") == "rich_text_section":  # A paragraph or list item.
        return "".join(map(_render_rich_text, parts)) + "\n"
    for key, markup in _RICH_TEXT.items():
        if value := clean_text(element.get(key)):
            return markup.format(value)
    text = element.get("text") or element.get("url")
    escaped = escape(text, quote=False) if isinstance(text, str) else ""
    return escaped + "".join(map(_render_rich_text, parts))

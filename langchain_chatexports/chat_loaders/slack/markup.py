"""Slack's markup (mrkdwn) as plain text: mentions, links and the three entities.

Bold, italics, code and quotes stay as people typed them, and so do `:emoji:` names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_chatexports.chat_loaders.slack.people import People

__all__ = ["Markup"]

# One pass: what is typed as `<@U1>` is stored as `&lt;@U1&gt;`, and must stay text.
_TOKEN = re.compile(r"<([^<>\n]*)>|&(lt|gt|amp);")
_ENTITY = re.compile(r"&(lt|gt|amp);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}
_EVERYBODY = frozenset({"here", "channel", "everyone", "group"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?://)?", re.IGNORECASE)


class Markup:
    """Turns texts of one export into what people saw."""

    def __init__(self, people: People, channels: Mapping[str, str]) -> None:
        """Initialize it for one export.

        Args:
            people: Who is mentioned.
            channels: The name of each channel, by id.
        """
        self._people = people
        self._channels = channels

    def plain(self, text: str) -> str:
        """Return a text with names in place of ids, and links as they were shown."""
        if "<" in text or "&" in text:
            text = _TOKEN.sub(self._replaced, text)
        return text if text.isascii() else without_lone_surrogates(text)

    def _replaced(self, match: re.Match[str]) -> str:
        token, entity = match.groups()
        if entity:
            return _ENTITIES[entity]
        target, _, label = token.partition("|")
        label = _decoded(label)
        kind, rest = target[:1], target[1:]
        if kind == "@":
            known = self._people.knows(rest)
            return f"@{self._people.name(rest) if known else label or rest}"
        if kind == "#":
            return f"#{self._channels.get(rest) or label or rest}"
        if kind == "!":
            return _special(rest, label)
        return _link(_decoded(target), label) if target else match.group()


def _special(target: str, label: str) -> str:
    if target.startswith("date^"):
        return label
    if label and target not in _EVERYBODY:
        return label
    name = target.removeprefix("subteam^")
    return f"@{name}"


def _link(target: str, label: str) -> str:
    bare = _SCHEME.sub("", target, count=1)
    if target.lower().startswith(("mailto:", "tel:")):
        return label or bare
    # A label that is the address itself was not typed: Slack shortens addresses.
    return label if label and label not in {bare, bare.rstrip("/")} else target


def _decoded(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match.group(1)], text)

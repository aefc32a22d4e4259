"""Discord's raw markup as plain text.

DiscordChatExporter resolves it by default; with `--markdown false` it stays as it is
sent. Bold, spoilers, code and quotes stay as people typed them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["plain_text"]

_TOKEN = re.compile(
    r"<(?:"
    r"@!?(?P<user>\d{1,20})"
    r"|@&(?P<role>\d{1,20})"
    r"|#(?P<channel>\d{1,20})"
    r"|a?:(?P<emoji>\w{1,64}):\d{1,20}"
    r"|/(?P<command>[\w -]{1,100}):\d{1,20}"
    r"|t:(?P<time>-?\d{1,13})(?::[a-zA-Z])?"
    r")>",
    re.ASCII,
)
# What DiscordChatExporter writes for an id that it cannot resolve.
_UNKNOWN = {
    "user": "@Unknown",
    "role": "@deleted-role",
    "channel": "#deleted-channel",
    "time": "(a time)",
}


def plain_text(text: str, names: Mapping[str, str]) -> str:
    """Return a text with names in place of ids.

    Args:
        text: The content of a message.
        names: Who is mentioned, by id.
    """

    def replaced(match: re.Match[str]) -> str:
        kind, value = next((k, v) for k, v in match.groupdict().items() if v)
        if kind == "user" and names.get(value):
            return f"@{names[value]}"
        if kind == "emoji":
            return f":{value}:"
        return f"/{value}" if kind == "command" else _UNKNOWN[kind]

    return _TOKEN.sub(replaced, text)

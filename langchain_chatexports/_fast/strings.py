"""Format times and JSON Lines from precomputed strings."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO_MINUTES = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60)]
_ISO_SECONDS = [f"{second:02}" for second in range(60)]
_THREE_DIGITS = [f"{value:03}" for value in range(1000)]
_ISO_SUFFIXES = ["+00:00", *(f".{digits}000+00:00" for digits in _THREE_DIGITS[1:])]
_DAY_SECONDS = 86_400


def format_iso_time(microseconds: int) -> str | None:
    """Format a time in ISO 8601.

    `None` if the year is not between 1 and 9999.
    """
    seconds = microseconds // 1_000_000
    date = _iso_date(seconds // _DAY_SECONDS)
    if date is None:
        return None
    second_of_day = seconds % _DAY_SECONDS
    millisecond, microsecond = microseconds // 1000 % 1000, microseconds % 1000
    if microsecond:
        suffix = f".{_THREE_DIGITS[millisecond]}{_THREE_DIGITS[microsecond]}+00:00"
    else:
        suffix = _ISO_SUFFIXES[millisecond]
    clock = f"{_ISO_MINUTES[second_of_day // 60]}{_ISO_SECONDS[second_of_day % 60]}"
    return f"{date}{clock}{suffix}"


@lru_cache(maxsize=4096)
def _iso_date(days: int) -> str | None:
    try:
        return (_EPOCH + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return None


# Some readers of JSON Lines use `str.splitlines`, which also splits at these.
_NEL, _LINE, _PARAGRAPH = (
    separator.encode() for separator in ("\x85", "\u2028", "\u2029")
)
_KEYS = ("role", "content")
_MESSAGE_PREFIXES = {
    role: f'{{"role": "{role}", "content": '.encode()
    for role in ("system", "user", "assistant")
}


def encode_text_example(example: Mapping[str, Any]) -> bytes | None:
    """Encode an example as a JSON line; `None` unless it only has roles and text."""
    parts: list[bytes] = []
    try:
        (messages_key, messages), *others = example.items()
        if others or messages_key != "messages" or not messages:
            return None
        for message in messages:
            (role_key, role), (content_key, content) = message.items()
            if (role_key, content_key) != _KEYS or type(content) is not str:
                return None
            parts.append(_MESSAGE_PREFIXES[role] + orjson.dumps(content))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # Unexpected keys or types, or a lone surrogate.
    line = b"".join((b'{"messages": [', b"}, ".join(parts), b"}]}\n"))
    if line.isascii():
        return line
    has_line_break = _NEL in line or _LINE in line or _PARAGRAPH in line
    return None if has_line_break else line

"""Times and JSON lines put together from parts that are known before."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ISO_MINUTES = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60)]
_ISO_SECONDS = [f"{second:02}" for second in range(60)]
_THREE_DIGITS = [f"{number:03}" for number in range(1000)]
_ISO_ENDS = ["+00:00", *(f".{digits}000+00:00" for digits in _THREE_DIGITS[1:])]
_DAY_SECONDS = 86_400


def iso_time(microseconds: int) -> str | None:
    """Return a moment in ISO 8601; `None` outside the years 1 to 9999."""
    seconds = microseconds // 1_000_000
    day = _iso_date(seconds // _DAY_SECONDS)
    if day is None:
        return None
    second_of_day = seconds % _DAY_SECONDS
    milliseconds, rest = microseconds // 1000 % 1000, microseconds % 1000
    if rest:
        end = f".{_THREE_DIGITS[milliseconds]}{_THREE_DIGITS[rest]}+00:00"
    else:
        end = _ISO_ENDS[milliseconds]
    clock = f"{_ISO_MINUTES[second_of_day // 60]}{_ISO_SECONDS[second_of_day % 60]}"
    return f"{day}{clock}{end}"


@lru_cache(maxsize=4096)
def _iso_date(days: int) -> str | None:
    try:
        return (_EPOCH + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return None


# Line ends to `str.splitlines`, which readers of JSON lines use, but not to JSON.
_NEL, _LINE, _PARAGRAPH = (end.encode() for end in ("\x85", "\u2028", "\u2029"))
_KEYS = ("role", "content")
_STARTS = {
    role: f'{{"role": "{role}", "content": '.encode()
    for role in ("system", "user", "assistant")
}


def line_of_texts(example: Mapping[str, Any]) -> bytes | None:
    """Return the JSON line of an example that holds roles and texts only."""
    parts: list[bytes] = []
    try:
        (messages_key, messages), *others = example.items()
        if others or messages_key != "messages" or not messages:
            return None
        for message in messages:
            (role_key, role), (content_key, content) = message.items()
            if (role_key, content_key) != _KEYS or type(content) is not str:
                return None
            parts.append(_STARTS[role] + orjson.dumps(content))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # Another shape, or half of a surrogate pair.
    line = b"".join((b'{"messages": [', b"}, ".join(parts), b"}]}\n"))
    if line.isascii():
        return line
    has_end = _NEL in line or _LINE in line or _PARAGRAPH in line
    return None if has_end else line

"""How sound bytes and sound JSON become what an attacker would send."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from tests.fuzz.case import MARK, NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

__all__ = ["hostile", "json_bytes", "mutated", "mutated_json"]

_NUMBERS = (0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
_DEEP, _DIGITS = "@deep@", "@digits@"

_SCALARS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    -(2**63),
    2**63,
    2**64,
    10**400,
    -(10**30),
    1e308,
    float("inf"),
    float("nan"),
    "",
    " ",
    "\x00",
    "\ud800",
    "\x1b]0;owned\x07",
    "\u202egnp.exe",
    "9" * 5000,
    "-9" * 3,
    "1e999",
    "A" * 100_000,
    "é" * 50,
    "e\u0301",
    "../../beside/planted",
    "..",
    ".",
    "/dev/zero",
    "con",
    "a/b",
    "2023-02-30T00:00:00+99:99",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "Mon, 01 Jan 0001 00:00:00 +9999",
    "<|im_start|>",
    "{{ 1 }}",
    MARK,
    NAME,
    _DEEP,
    _DIGITS,
    [],
    {},
    [None],
    [[]],
    {"": None},
    {"a": {"b": [MARK]}},
)


def hostile(random: Random) -> Any:
    """Return a value that some reader does not expect."""
    return random.choice(_SCALARS)


def mutated(random: Random, data: bytes, tokens: Sequence[bytes] = ()) -> bytes:
    """Return bytes with some changes.

    Args:
        random: What to choose by.
        data: Sound bytes.
        tokens: Pieces that mean something in this format.
    """
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        at = random.randrange(len(changed) + 1)
        size = random.choice((1, 2, 4, 16, 256, 4096))
        match random.randrange(8):
            case 0:
                changed[at : at + 1] = random.randbytes(1)
            case 1:
                del changed[at : at + size]
            case 2:
                changed[at:at] = changed[at : at + size] * random.choice((1, 2, 100))
            case 3:
                number = struct.pack(random.choice("<>") + "I", random.choice(_NUMBERS))
                changed[at : at + len(number)] = number
            case 4:
                changed[at : at + size] = random.randbytes(min(size, 64))
            case 5:
                del changed[at:]
            case 6:
                changed[at : at + size] = bytes([random.choice((0, 255))]) * size
            case _ if tokens:
                changed[at:at] = random.choice(tokens)
    return bytes(changed[: 2**22])


def mutated_json(random: Random, value: Any, *, share: float = 0.1) -> Any:
    """Return a JSON value of which some parts are others, doubled or gone.

    Args:
        random: What to choose by.
        value: A sound value.
        share: How many of its parts change.
    """
    if random.random() < share / 4:
        return hostile(random)
    if isinstance(value, dict):
        items = [
            (
                str(hostile(random))[:5000] if random.random() < share / 4 else key,
                mutated_json(random, item, share=share),
            )
            for key, item in value.items()
            if random.random() >= share / 2
        ]
        return dict(items)
    if isinstance(value, list):
        items = [mutated_json(random, item, share=share) for item in value]
        if items and random.random() < share:
            items.append(random.choice(items))
        return items
    return hostile(random) if random.random() < share else value


def json_bytes(random: Random, value: Any, *, indent: int | None = None) -> bytes:
    """Return a value's JSON, with what Python cannot write: depth, and endless numbers.

    Args:
        random: What to choose by.
        value: The value.
        indent: As of `json.dumps`.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=random.random() < 0.5)
    depth = random.choice((200, 2000, 100_000))
    text = text.replace(f'"{_DEEP}"', "[" * depth + "]" * depth)
    text = text.replace(f'"{_DIGITS}"', "9" * 5000)
    return text.encode("utf-8", "surrogatepass")

"""WhatsApp exports and the stages of loading them, for `benchmarks.loaders`."""

from __future__ import annotations

import random
import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.facebook_messenger import OWNER, OWNER_SHARE, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BEGIN = datetime(2017, 7, 14, 2, 40)  # noqa: DTZ001 - a phone's local time
_LIBRARY = """
from langchain_chatexports import WhatsAppChatLoader
loader = WhatsAppChatLoader(path, owner='Grace Hopper', timezone='Europe/Berlin')
unnamed = WhatsAppChatLoader(path, timezone='Europe/Berlin')
"""
_LINES = """
for file in sorted(pathlib.Path(path).rglob('*.txt')):
    with file.open(encoding='utf-8', newline='\\n') as lines:
        for line in lines: pass
"""
STAGES = {
    "lines": ("import pathlib", _LINES),
    "first session": (_LIBRARY, "next(iter(loader.lazy_load()))"),
    "find the owner": (_LIBRARY, "next(iter(unnamed.lazy_load()))"),
    "read": (_LIBRARY, "for session in loader.lazy_load(): del session"),
    "inspect": (_LIBRARY, "print(unnamed.inspect().found, file=sys.stderr)"),
}


def generate(folder: Path, messages: int, conversations: int) -> None:
    """Write the chats of one owner, half from iPhones and half from Android phones.

    Every tenth message has a second line.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = random.Random(7)
    for chat in range(conversations):
        person = f"Person Number{chat}"
        count = messages // conversations + (chat < messages % conversations)
        lines = _iphone if chat % 2 else _android
        path = folder / f"WhatsApp Chat with {person}.txt"
        path.write_bytes("".join(lines(source, person, count)).encode())


def _iphone(source: random.Random, person: str, count: int) -> Iterator[str]:
    yield f"[14/07/2017, 02:39:00] {person}: \u200eMessages are encrypted.\r\n"
    for at, sender, text in _messages(source, person, count):
        yield f"[{at:%d/%m/%Y, %H:%M:%S}] {sender}: {text}\r\n"


def _android(source: random.Random, person: str, count: int) -> Iterator[str]:
    yield "7/14/17, 2:39\u202fAM - Messages are encrypted.\n"
    for at, sender, text in _messages(source, person, count):
        time = f"{at.hour % 12 or 12}:{at:%M}\u202f{'AM' if at.hour < 12 else 'PM'}"  # noqa: PLR2004 - noon
        yield f"{at.month}/{at.day}/{at:%y}, {time} - {sender}: {text}\n"


def _messages(
    source: random.Random, person: str, count: int
) -> Iterator[tuple[datetime, str, str]]:
    for number in range(count):
        words = source.choices(WORDS, k=source.randint(1, 18))
        if number % 10 == 0:
            words.insert(len(words) // 2, "\n")
        at = _BEGIN + timedelta(minutes=number, seconds=source.randrange(60))
        sender = OWNER if source.random() < OWNER_SHARE else person
        yield at, sender, " ".join(words)

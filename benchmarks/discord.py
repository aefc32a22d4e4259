"""A Discord export and the stages of loading it, for `benchmarks.loaders`."""

from __future__ import annotations

import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.facebook_messenger import WORDS
from benchmarks.harness import indented_items

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BEGIN = datetime(2017, 7, 14, tzinfo=UTC)
_DISCORD_EPOCH_MS = 1_420_070_400_000
_USERS = 40
_LIBRARY = """
from langchain_chatexports import DiscordChatLoader
loader = DiscordChatLoader(path, owner='U0')
"""
_PARSE = """
for file in sorted(pathlib.Path(path).rglob('*.json')):
    json.loads(file.read_bytes())
"""
STAGES = {
    "parse": ("import json, pathlib", _PARSE),
    "first session": (_LIBRARY, "next(iter(loader.lazy_load()))"),
    "read": (_LIBRARY, "for session in loader.lazy_load(): del session"),
    "inspect": (_LIBRARY, "print(loader.inspect().found, file=sys.stderr)"),
}


def generate(folder: Path, messages: int, conversations: int) -> None:
    """Write channels with forty people."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = random.Random(7)
    for channel in range(conversations):
        about = {
            "guild": {"id": "1", "name": "Meadow", "iconUrl": ""},
            "channel": {
                "id": str(channel),
                "type": "GuildTextChat",
                "name": f"c{channel}",
            },
            "dateRange": {"after": None, "before": None},
            "exportedAt": "2024-06-01T00:00:00+00:00",
        }
        count = messages // conversations + (channel < messages % conversations)
        head = json.dumps(about, indent=2, ensure_ascii=False).removesuffix("\n}")
        with (folder / f"c{channel}.json").open("w", encoding="utf-8") as file:
            file.write(f'{head},\n  "messages": [')
            file.writelines(indented_items(_messages(source, count), 2))
            file.write(f'\n  ],\n  "messageCount": {count}\n}}')


def _messages(source: random.Random, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        moment = _BEGIN + timedelta(minutes=number, milliseconds=source.randrange(1000))
        user = source.randrange(_USERS)
        milliseconds = int(moment.timestamp() * 1000) - _DISCORD_EPOCH_MS
        yield {
            "id": str(milliseconds << 22),
            "type": "Default",
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "timestampEdited": None,
            "callEndedTimestamp": None,
            "isPinned": False,
            "content": " ".join(source.choices(WORDS, k=source.randint(1, 18))),
            "author": {
                "id": str(user),
                "name": f"U{user}",
                "discriminator": "0000",
                "nickname": f"Person {user}",
                "color": None,
                "isBot": False,
                "roles": [],
                "avatarUrl": "https://cdn.example.org/avatar.png",
            },
            "attachments": [],
            "embeds": [],
            "stickers": [],
            "reactions": [],
            "mentions": [],
        }

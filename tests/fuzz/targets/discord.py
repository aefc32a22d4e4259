"""Discord exports: channels, partitions and data packages of any shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_chatexports import DiscordChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import json_bytes, mutated, mutated_json
from tests.fuzz.reading import loader_options, read_somehow
from tests.unit_tests.builders.discord import (
    BO,
    BOT,
    DiscordChannel,
    author,
    snowflake,
    write_package,
)

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.case import Case

_ANN = author("11", "quintessa", nickname=NAME, isBot=False)
_KEYS: dict[str, Any] = {
    "type": "Reply",
    "reference": {"type": "Default", "messageId": snowflake(0)},
    "forwardedMessage": {"content": MARK, "attachments": [{"fileName": MARK}]},
    "timestampEdited": "2024-05-01T08:00:00.1234567+02:00",
    "reactions": [{"emoji": {"id": "", "name": "x"}, "count": 2**40, "users": [BO]}],
    "attachments": [{"id": "1", "fileName": f"{MARK}.png", "url": "x"}],
    "stickers": [{"name": MARK}],
    "embeds": [{"title": MARK, "description": MARK}],
    "mentions": [{"id": "22", "name": "bo", "nickname": None}],
}


def attack(case: Case, _: None) -> None:
    """Read an export that somebody has spoiled."""
    random = case.random
    kinds = ("DirectTextChat", "DirectGroupTextChat", "GuildTextChat", "16")
    if random.random() < 0.3:
        write_package(case.export, is_csv=random.random() < 0.5)
    for number in range(random.randint(1, 3)):
        channel = DiscordChannel(
            "Bo", kind=random.choice(kinds), channel_id=random.choice(("500", "501"))
        )
        for at in range(8):
            keys = dict(random.sample(sorted(_KEYS.items()), random.randrange(3)))
            channel.says((_ANN, BO, BOT)[at % 3], f"{MARK} <@22> {at}", **keys)
        channel.write(case.export / f"{number}.json")
    for path in sorted(case.export.rglob("*.*")):
        if random.random() < 0.4:
            path.write_bytes(_spoiled(random, path.read_bytes()))
    files = [path for path in case.export.rglob("*.json") if path.is_file()]
    path = random.choice(files) if random.random() < 0.3 else case.export
    with case.judged():
        if random.random() < 0.3:
            loader: Any = open_export(path).loader
        else:
            loader = DiscordChatLoader(
                path,
                owner=random.choice((None, None, "11", NAME)),
                include_bots=random.random() < 0.5,
                **loader_options(random),
            )
        read_somehow(random, loader)


def _spoiled(random: Random, data: bytes) -> bytes:
    tokens = (b'"messages": [', b"    },", b"    {", b"\\ud83d", b"\xff\xfe", b'""')
    if random.random() < 0.4:
        return mutated(random, data, tokens)
    try:
        value = json.loads(data)
    except ValueError:
        return mutated(random, data, tokens)
    value = mutated_json(random, value, share=random.choice((0.02, 0.1)))
    return json_bytes(random, value, indent=random.choice((None, 2)))

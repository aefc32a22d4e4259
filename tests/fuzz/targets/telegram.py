"""Telegram exports: chats, accounts and pages of any shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_chatexports import TelegramChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import json_bytes, mutated, mutated_json
from tests.fuzz.reading import loader_options, read_somehow
from tests.unit_tests.builders.telegram import (
    BO,
    NOT_INCLUDED,
    USER,
    Page,
    Person,
    TelegramChat,
    account_text,
    text_block,
)

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.case import Case

_ANN = Person(NAME, "user11")
_DELETED = Person(None, "user9")
_KEYS: dict[str, Any] = {
    "reply_to_message_id": 1,
    "forwarded_from": MARK,
    "edited": "2024-05-01T10:00:00",
    "reactions": [{"type": "emoji", "count": 2**40, "emoji": MARK, "recent": []}],
    "photo": f"../../{MARK}",
    "file": NOT_INCLUDED,
    "media_type": "sticker",
    "poll": {"question": MARK, "answers": []},
    "via_bot": f"@{MARK}",
    "type": "service",
    "action": "topic_created",
    "date_unixtime": "9" * 15,
}
_KINDS = ("personal_chat", "bot_chat", "private_supergroup", "saved_messages", None)


def attack(case: Case, _: None) -> None:
    """Read an export that somebody has spoiled."""
    random = case.random
    chats = []
    for number in range(random.randint(1, 3)):
        chat = TelegramChat("Bo", random.choice(_KINDS) or "", number)
        for at in range(8):
            keys = dict(random.sample(sorted(_KEYS.items()), random.randrange(3)))
            parts = [MARK, {"type": "bold", "text": f"{MARK} {at}"}]
            chat.says(
                (_ANN, BO, _DELETED)[at % 3], random.choice((MARK, parts)), **keys
            )
        chats.append(chat)
    path = case.export / "result.json"
    indent = random.choice((1, 1, None))
    path.write_text(
        account_text(chats, user=random.choice((USER, None)), indent=indent)
    )
    chats[0].write(case.export / "ChatExport" / "result.json", indent=indent)
    page = Page(NAME)
    page.says(NAME, text_block(MARK), number=1)
    page.says(None, text_block(f"<b>{MARK}</b>"), number=2)
    page.write(case.export / "html" / "messages.html")
    for file in sorted(case.export.rglob("*.*")):
        if file.is_file() and random.random() < 0.4:
            file.write_bytes(_spoiled(random, file.read_bytes()))
    chosen = path if random.random() < 0.3 else case.export
    with case.judged():
        if random.random() < 0.3:
            loader: Any = open_export(chosen).loader
        else:
            loader = TelegramChatLoader(
                chosen,
                owner=random.choice((None, None, "user11", NAME)),
                topics=random.choice(("group", "sessions")),
                timezone=random.choice((None, "UTC")),
                include_bots=random.random() < 0.5,
                include_channels=random.random() < 0.5,
                **loader_options(random),
            )
        read_somehow(random, loader)


def _spoiled(random: Random, data: bytes) -> bytes:
    tokens = (
        *(b'"messages": [', b"  },\n  {", b"\n ]", b"\\x0C", b"\\ud83d", b"\xff\xfe"),
        *(b'"document_id": x', b"</div>", b'<div class="text">', b'id="message1"'),
    )
    if random.random() < 0.4:
        return mutated(random, data, tokens)
    try:
        value = json.loads(data)
    except ValueError:
        return mutated(random, data, tokens)
    value = mutated_json(random, value, share=random.choice((0.02, 0.1)))
    return json_bytes(random, value, indent=random.choice((None, 1)))

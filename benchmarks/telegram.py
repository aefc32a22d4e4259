"""A Telegram export and the stages of loading it, for `benchmarks.loaders`."""

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.facebook_messenger import WORDS
from benchmarks.harness import indented_items

_BEGIN = datetime(2017, 7, 14, tzinfo=UTC)
_USERS = 40
_REPLY_SHARE = 0.1
_LIBRARY = """
from langchain_chatexports import TelegramChatLoader
loader = TelegramChatLoader(path, owner='user0')
unnamed = TelegramChatLoader(path)
"""
_RECORDS = """
from langchain_chatexports import TelegramChatLoader
loader = TelegramChatLoader(path)
"""
_READ_RECORDS = """
with loader.open_export() as files:
    for conversation in loader.conversations(files):
        for message in conversation.messages: del message
"""
_PARSE = """
for file in sorted(pathlib.Path(path).rglob('*.json')):
    json.loads(file.read_bytes())
"""
STAGES = {
    "parse": ("import json, pathlib", _PARSE),
    "messages": (_RECORDS, _READ_RECORDS),
    "first session": (_LIBRARY, "next(iter(loader.lazy_load()))"),
    "read": (_LIBRARY, "for session in loader.lazy_load(): del session"),
    "read and find the owner": (
        _LIBRARY,
        "for session in unnamed.lazy_load(): del session",
    ),
    "inspect": (_LIBRARY, "print(loader.inspect().found, file=sys.stderr)"),
}


def generate(folder: Path, messages: int, conversations: int) -> None:
    """Write the personal chats of an account, or one group of forty people."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = random.Random(7)
    kind = "personal_chat" if conversations > 1 else "private_supergroup"
    people = 2 if conversations > 1 else _USERS
    with (folder / "result.json").open("w", encoding="utf-8") as file:
        is_account = conversations > 1
        if is_account:
            file.write('{\n "about": "",\n "chats": {\n  "about": "",\n  "list": [')
        for number in range(1, conversations + 1):
            depth = 3 if is_account else 0
            count = messages // conversations + (number <= messages % conversations)
            about = {"name": f"Person {number}", "type": kind, "id": number}
            (head,) = indented_items([about], depth, indent=1)
            messages_json = _messages(source, count, people=people, other=number)
            newline = "\n" + " " * depth
            file.write("," if number > 1 else "")
            file.write(head.removesuffix(newline + "}").lstrip("\n" * (not depth)))
            file.write(f',{newline} "messages": [')
            file.writelines(indented_items(messages_json, depth + 2, indent=1))
            file.write(f"{newline} ]{newline}}}")
        if is_account:
            file.write("\n  ]\n }\n}")


def _messages(
    source: random.Random, count: int, *, people: int, other: int
) -> Iterator[dict[str, Any]]:
    for number in range(count):
        moment = _BEGIN + timedelta(minutes=number)
        chosen = source.randrange(people)
        user = chosen and chosen - 1 + other
        text = " ".join(source.choices(WORDS, k=source.randint(1, 18)))
        reply = (
            {"reply_to_message_id": number} if source.random() < _REPLY_SHARE else {}
        )
        yield {
            "id": number + 1,
            "type": "message",
            "date": moment.replace(tzinfo=None).isoformat(),
            "date_unixtime": str(int(moment.timestamp())),
            "from": f"Person {user}",
            "from_id": f"user{user}",
            **reply,
            "text": text,
            "text_entities": [{"type": "plain", "text": text}],
        }

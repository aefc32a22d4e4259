"""Speed and memory of reading a Telegram export.

```
python -m benchmarks.telegram generate account --messages 1000000 --chats 600
python -m benchmarks.telegram generate one --messages 200000 --chats 1
python -m benchmarks.telegram measure account
```

`generate` writes one `result.json`. `measure` runs each stage in a process of its own,
as `benchmarks.facebook_messenger` does: compare the CPU time a message of "read" with
Messenger's in the same hour.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.facebook_messenger import _WORDS
from benchmarks.harness import print_stages, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN = datetime(2017, 7, 14, tzinfo=timezone.utc)
_USERS = 40
_SHARE_OF_REPLIES = 0.1
_OURS = """
from langchain_chatexports import TelegramChatLoader
loader = TelegramChatLoader(path, owner='user0')
unnamed = TelegramChatLoader(path)
"""
_BLOCKS = """
from contextlib import ExitStack
from langchain_chatexports import TelegramChatLoader
from langchain_chatexports.chat_loaders.ledger import Tally
loader = TelegramChatLoader(path)
"""
_READ_BLOCKS = """
with ExitStack() as stack:
    for chat in loader._discover(stack, Tally()).chats:
        for block in chat.blocks(): del block
"""
_PARSE = """
for file in sorted(pathlib.Path(path).rglob('*.json')):
    json.loads(file.read_bytes())
"""
STAGES = {
    "parse": ("import json, pathlib", _PARSE),
    "blocks": (_BLOCKS, _READ_BLOCKS),
    "first session": (_OURS, "next(iter(loader.lazy_load()))"),
    "read": (_OURS, "for session in loader.lazy_load(): del session"),
    "read, owner looked for": (
        _OURS,
        "for session in unnamed.lazy_load(): del session",
    ),
    "inspect": (_OURS, "print(loader.inspect().found, file=sys.stderr)"),
}


def generate(folder: Path, messages: int, chats: int) -> None:
    """Write personal chats of one account, or one group of forty people."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = random.Random(7)
    kind = "personal_chat" if chats > 1 else "private_supergroup"
    people = 2 if chats > 1 else _USERS
    listed = [
        {
            "name": f"Person {number + 1}",
            "type": kind,
            "id": number + 1,
            "messages": list(
                _messages(source, messages // chats, people=people, other=number + 1)
            ),
        }
        for number in range(chats)
    ]
    value = {"about": "", "chats": {"about": "", "list": listed}}
    text = json.dumps(value if chats > 1 else listed[0], indent=1, ensure_ascii=False)
    (folder / "result.json").write_text(text, encoding="utf-8")


def _messages(
    source: random.Random, count: int, *, people: int, other: int
) -> Iterator[dict[str, Any]]:
    for number in range(count):
        moment = _BEGIN + timedelta(minutes=number)
        chosen = source.randrange(people)
        user = chosen and chosen - 1 + other
        text = " ".join(source.choices(_WORDS, k=source.randint(1, 18)))
        reply = (
            {"reply_to_message_id": number}
            if source.random() < _SHARE_OF_REPLIES
            else {}
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


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("generate")
    making.add_argument("path", type=Path)
    making.add_argument("--messages", type=int, default=1_000_000)
    making.add_argument("--chats", type=int, default=600)
    measuring = commands.add_parser("measure")
    measuring.add_argument("path", type=Path)
    measuring.add_argument("stages", nargs="*")
    running = commands.add_parser("run")
    running.add_argument("path", type=Path)
    running.add_argument("name", choices=STAGES)
    given = parser.parse_args()
    if given.command == "generate":
        generate(given.path, given.messages, given.chats)
    elif given.command == "measure":
        print_stages("benchmarks.telegram", given.path, given.stages, STAGES)
    else:
        run_stage(*STAGES[given.name], given.path)


if __name__ == "__main__":
    main()

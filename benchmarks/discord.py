"""Speed and memory of reading a Discord export.

```
python -m benchmarks.discord generate export --messages 1000000 --channels 600
python -m benchmarks.discord measure export
```

`generate` writes a file a channel. `measure` runs each stage in a process of its own,
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
_DISCORD_EPOCH_MS = 1_420_070_400_000
_USERS = 40
_OURS = """
from langchain_chatexports import DiscordChatLoader
loader = DiscordChatLoader(path, owner='U0')
"""
_PARSE = """
for file in sorted(pathlib.Path(path).rglob('*.json')):
    json.loads(file.read_bytes())
"""
STAGES = {
    "parse": ("import json, pathlib", _PARSE),
    "first session": (_OURS, "next(iter(loader.lazy_load()))"),
    "read": (_OURS, "for session in loader.lazy_load(): del session"),
    "inspect": (_OURS, "print(loader.inspect().found, file=sys.stderr)"),
}


def generate(folder: Path, messages: int, channels: int) -> None:
    """Write channels of forty people."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = random.Random(7)
    for channel in range(channels):
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
        count = messages // channels
        content = {**about, "messages": list(_messages(source, count))}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / f"c{channel}.json").write_text(text, encoding="utf-8")


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
            "content": " ".join(source.choices(_WORDS, k=source.randint(1, 18))),
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


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("generate")
    making.add_argument("path", type=Path)
    making.add_argument("--messages", type=int, default=1_000_000)
    making.add_argument("--channels", type=int, default=600)
    measuring = commands.add_parser("measure")
    measuring.add_argument("path", type=Path)
    measuring.add_argument("stages", nargs="*")
    running = commands.add_parser("run")
    running.add_argument("path", type=Path)
    running.add_argument("name", choices=STAGES)
    given = parser.parse_args()
    if given.command == "generate":
        generate(given.path, given.messages, given.channels)
    elif given.command == "measure":
        print_stages("benchmarks.discord", given.path, given.stages, STAGES)
    else:
        run_stage(*STAGES[given.name], given.path)


if __name__ == "__main__":
    main()

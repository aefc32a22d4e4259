"""A Slack export and the stages of loading it, for `benchmarks.loaders`."""

from __future__ import annotations

import json
import random
import shutil
from typing import TYPE_CHECKING, Any

from benchmarks.facebook_messenger import WORDS

if TYPE_CHECKING:
    from pathlib import Path

_BEGIN = 1_500_000_000
_PER_DAY = 300
_USERS = 40
_LIBRARY = """
from langchain_chatexports import SlackChatLoader
loader = SlackChatLoader(path, owner='U0')
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
    """Write a workspace with forty people; a tenth of the messages are in threads."""
    shutil.rmtree(folder, ignore_errors=True)
    source = random.Random(7)
    users = [
        {"id": f"U{number}", "name": f"u{number}", "real_name": f"Person {number}"}
        for number in range(_USERS)
    ]
    listed = [{"id": f"C{n}", "name": f"channel-{n}"} for n in range(conversations)]
    _write(folder / "users.json", users)
    _write(folder / "channels.json", listed)
    for number, channel in enumerate(listed):
        count = messages // conversations + (number < messages % conversations)
        for day, start in enumerate(range(0, count, _PER_DAY)):
            name = f"{2015 + day // 360}-{day // 30 % 12 + 1:02}-{day % 30 + 1:02}"
            records = _messages(source, start, min(_PER_DAY, count - start))
            _write(folder / channel["name"] / f"{name}.json", records)


def _messages(source: random.Random, start: int, count: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for number in range(start, start + count):
        record = {
            "client_msg_id": f"{number:032x}",
            "type": "message",
            "user": f"U{source.randrange(_USERS)}",
            "text": " ".join(source.choices(WORDS, k=source.randint(1, 18))),
            "ts": f"{_BEGIN + number * 60}.{number % 1_000_000:06}",
            "team": "T0",
        }
        if source.random() < 0.1 and records:  # noqa: PLR2004 - a tenth
            record["thread_ts"] = records[-1].get("thread_ts", records[-1]["ts"])
        records.append(record)
    return records


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=4), encoding="utf-8")

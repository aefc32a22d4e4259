"""Speed and memory of reading Messenger, beside langchain-community's recipe.

```
python -m benchmarks.facebook_messenger generate export --messages 1000000 --threads 600
python -m benchmarks.facebook_messenger generate one --messages 200000 --threads 1
python -m benchmarks.facebook_messenger measure export
```

`generate` writes the folder and, beside it, the same export as a zip. `measure` runs
each contender in a process of its own and prints its CPU time (user and system), wall
time and peak memory, imports included and also on their own.

The whole way from export to examples, beside langchain-community's recipe, is what
`benchmarks.one_machine` measures; figures are in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import print_stages, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN_MS = 1_500_000_000_000
_MAX_PER_FILE = 10_000
_OWNER = "Grace Hopper"
_PLACE = "your_facebook_activity/messages"
_OWNERS_SHARE = 0.45
_WORDS = (
    *("slow", "steady", "race", "hill", "mill", "oak", "carrot", "shell", "river"),
    *("morning", "late", "early", "fast", "wait", "there", "here", "soon", "maybe"),
    *("never", "always", "sleep", "walk", "run", "win", "lose", "bread", "rain", "sun"),
    *("köszönöm", "szia", "café", "może", "😂", "❤️", "được"),
)

_OURS = """
from langchain_chatexports.chat_loaders.facebook_messenger import (
    FolderFacebookMessengerChatLoader,
)
folder = FolderFacebookMessengerChatLoader(path, owner='Grace Hopper')
archive = FolderFacebookMessengerChatLoader(path + '.zip', owner='Grace Hopper')
unnamed = FolderFacebookMessengerChatLoader(path)
"""
_THEIRS = """
from langchain_community.chat_loaders.facebook_messenger import (
    FolderFacebookMessengerChatLoader,
)
loader = FolderFacebookMessengerChatLoader(path + '/your_facebook_activity/messages')
"""
_PARSE = """
for file in sorted(pathlib.Path(path).rglob('*.json')):
    json.loads(file.read_bytes())
"""
_PARSE_AND_REPAIR = """
for file in sorted(pathlib.Path(path).rglob('*.json')):
    document = json_files.parse_document(file.read_bytes(), '')
    deque(records.read_records(document, 0, Counter()), maxlen=0)
"""
_ROOM = """
import pathlib
from collections import Counter, deque
from langchain_chatexports.chat_loaders.facebook_messenger import json_files, records
"""
# What is imported or made before the clock starts, and what is measured.
STAGES = {
    "parse": ("import json, pathlib", _PARSE),
    "parse and repair": (_ROOM, _PARSE_AND_REPAIR),
    "first session": (_OURS, "next(iter(folder.lazy_load()))"),
    "find the owner": (_OURS, "next(iter(unnamed.lazy_load()))"),
    "read": (_OURS, "for session in folder.lazy_load(): del session"),
    "read zip": (_OURS, "for session in archive.lazy_load(): del session"),
    "inspect": (_OURS, "print(unnamed.inspect().found, file=sys.stderr)"),
    "community read": (_THEIRS, "for session in loader.lazy_load(): del session"),
}


def generate(folder: Path, messages: int, threads: int) -> None:
    """Write a clean export of 2024's layout, as a folder and as a zip."""
    shutil.rmtree(folder, ignore_errors=True)
    source = random.Random(7)
    with zipfile.ZipFile(f"{folder}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for thread in range(threads):
            count = messages // threads + (thread < messages % threads)
            for name, data in _files(source, thread, count):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                archive.writestr(name, data)


def _files(
    source: random.Random, thread: int, count: int
) -> Iterator[tuple[str, bytes]]:
    person = f"Person Number{thread}"
    place = f"{_PLACE}/inbox/personnumber{thread}_{10**15 + thread}"
    newest_first = list(_messages(source, person, count))[::-1]
    for number, start in enumerate(range(0, count, _MAX_PER_FILE), 1):
        content = {
            "participants": [{"name": person}, {"name": _OWNER}],
            "messages": newest_first[start : start + _MAX_PER_FILE],
            "title": person,
            "is_still_participant": True,
            "thread_path": place.removeprefix(f"{_PLACE}/"),
            "magic_words": [],
        }
        # Meta writes each byte of UTF-8 as an escape of its own.
        text = json.dumps(content, indent=2, ensure_ascii=False)
        yield (
            f"{place}/message_{number}.json",
            text.encode()
            .decode("latin-1")
            .encode("ascii", "backslashreplace")
            .replace(b"\\x", b"\\u00"),
        )


def _messages(
    source: random.Random, person: str, count: int
) -> Iterator[dict[str, Any]]:
    for number in range(count):
        text = " ".join(source.choices(_WORDS, k=source.randint(1, 18)))
        yield {
            "sender_name": _OWNER if source.random() < _OWNERS_SHARE else person,
            "timestamp_ms": _BEGIN_MS + number * 60_000 + source.randrange(1000),
            "content": text,
            "is_geoblocked_for_viewer": False,
            "is_unsent_image_by_messenger_kid_parent": False,
        }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("generate")
    making.add_argument("path", type=Path)
    making.add_argument("--messages", type=int, default=1_000_000)
    making.add_argument("--threads", type=int, default=600)
    measuring = commands.add_parser("measure")
    measuring.add_argument("path", type=Path)
    measuring.add_argument("stages", nargs="*")
    running = commands.add_parser("run")
    running.add_argument("path", type=Path)
    running.add_argument("name", choices=STAGES)
    given = parser.parse_args()
    if given.command == "generate":
        generate(given.path, given.messages, given.threads)
    elif given.command == "measure":
        print_stages("benchmarks.facebook_messenger", given.path, given.stages, STAGES)
    else:
        run_stage(*STAGES[given.name], given.path)


if __name__ == "__main__":
    main()

"""A Messenger export and the stages of loading it, for `benchmarks.loaders`."""

from __future__ import annotations

import random
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BEGIN_MS = 1_500_000_000_000
_MAX_PER_FILE = 10_000
OWNER = "Grace Hopper"
_ROOT = "your_facebook_activity/messages"
OWNER_SHARE = 0.45
WORDS = (
    *("slow", "steady", "race", "hill", "mill", "oak", "carrot", "shell", "river"),
    *("morning", "late", "early", "fast", "wait", "there", "here", "soon", "maybe"),
    *("never", "always", "sleep", "walk", "run", "win", "lose", "bread", "rain", "sun"),
    *("köszönöm", "szia", "café", "może", "😂", "❤️", "được"),
)

_LIBRARY = """
from langchain_chatexports.chat_loaders.facebook_messenger import (
    FolderFacebookMessengerChatLoader,
)
folder = FolderFacebookMessengerChatLoader(path, owner='Grace Hopper')
archive = FolderFacebookMessengerChatLoader(path + '.zip', owner='Grace Hopper')
unnamed = FolderFacebookMessengerChatLoader(path)
"""
_COMMUNITY = """
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
with ExportFiles([pathlib.Path(path)], ('.json',)) as files:
    for file in files:
        document = records.read_thread(file)
        del document.messages[:]
"""
_ROOM = """
import pathlib
from langchain_chatexports.chat_loaders.facebook_messenger import records
from langchain_chatexports.chat_loaders.files import ExportFiles
"""
# Set-up code, which is not measured, and measured code.
STAGES = {
    "parse": ("import json, pathlib", _PARSE),
    "parse and repair": (_ROOM, _PARSE_AND_REPAIR),
    "first session": (_LIBRARY, "next(iter(folder.lazy_load()))"),
    "find the owner": (_LIBRARY, "next(iter(unnamed.lazy_load()))"),
    "read": (_LIBRARY, "for session in folder.lazy_load(): del session"),
    "read zip": (_LIBRARY, "for session in archive.lazy_load(): del session"),
    "inspect": (_LIBRARY, "print(unnamed.inspect().found, file=sys.stderr)"),
    "community read": (_COMMUNITY, "for session in loader.lazy_load(): del session"),
}


def generate(folder: Path, messages: int, conversations: int) -> None:
    """Write a clean export in the layout of 2024, as a folder and a zip."""
    shutil.rmtree(folder, ignore_errors=True)
    source = random.Random(7)
    with zipfile.ZipFile(f"{folder}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for thread in range(conversations):
            count = messages // conversations + (thread < messages % conversations)
            for name, data in _files(source, thread, count):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                archive.writestr(name, data)


def _files(
    source: random.Random, thread: int, count: int
) -> Iterator[tuple[str, bytes]]:
    person = f"Person Number{thread}"
    folder = f"{_ROOT}/inbox/personnumber{thread}_{10**15 + thread}"
    newest_first = list(_messages(source, person, count))[::-1]
    for number, start in enumerate(range(0, count, _MAX_PER_FILE), 1):
        content = {
            "participants": [{"name": person}, {"name": OWNER}],
            "messages": newest_first[start : start + _MAX_PER_FILE],
            "title": person,
            "is_still_participant": True,
            "thread_path": folder.removeprefix(f"{_ROOT}/"),
            "magic_words": [],
        }
        # Meta writes each byte of UTF-8 as an escape of its own.
        data = orjson.dumps(content, option=orjson.OPT_INDENT_2)
        yield (
            f"{folder}/message_{number}.json",
            data.decode("latin-1")
            .encode("ascii", "backslashreplace")
            .replace(b"\\x", b"\\u00"),
        )


def _messages(
    source: random.Random, person: str, count: int
) -> Iterator[dict[str, Any]]:
    for number in range(count):
        text = " ".join(source.choices(WORDS, k=source.randint(1, 18)))
        yield {
            "sender_name": OWNER if source.random() < OWNER_SHARE else person,
            "timestamp_ms": _BEGIN_MS + number * 60_000 + source.randrange(1000),
            "content": text,
            "is_geoblocked_for_viewer": False,
            "is_unsent_image_by_messenger_kid_parent": False,
        }

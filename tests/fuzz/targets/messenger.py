"""Messenger exports: folders, zips with hostile names, JSON of any shape."""

from __future__ import annotations

import json
import os
import stat
import warnings
import zipfile
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.recognition import open_export
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import json_bytes, mutated, mutated_json
from tests.fuzz.reading import loader_options, read_somehow
from tests.unit_tests.builders.messenger import FACEBOOK, INSTAGRAM, Export

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.fuzz.case import Case

_START = 1_700_000_000_000
_THREAD = f"{FACEBOOK}/inbox/ada_1"
_NAMES = (
    "../beside/planted",
    "../../../../../../../../planted",
    "/planted",
    "C:\\planted",
    "..\\planted",
    f"{_THREAD}/../../../../planted.json",
    f"{_THREAD}/message_{'9' * 100}.json",
    f"{_THREAD}/message_0.json",
    f"{_THREAD}/message_-1.json",
    f"{_THREAD}/message_\u0663.json",
    f"{_THREAD}/message_1.json/message_1.json",
    f"{_THREAD}/MESSAGE_1.JSON",
    f"{_THREAD}/message_1.json",
    f"{_THREAD}\x1b[2J/message_1.json",
    f"{FACEBOOK}/inbox/{'d/' * 300}message_1.json",
    f"{FACEBOOK}/inbox/\u202egnp_1/message_1.json",
    f"{FACEBOOK}/autofill_information.json",
    "your_facebook_activity/",
    "messages/inbox/con/message_1.json",
    "",
    ".",
    "/",
)
_MESSAGE_KEYS: dict[str, Any] = {
    "reactions": [{"reaction": "\u00f0\u009f\u0098\u0086", "actor": NAME}],
    "photos": [{"uri": "photos/x.jpg", "creation_timestamp": 1_700_000_000}],
    "share": {"link": f"https://example.org/{MARK}", "share_text": MARK},
    "call_duration": 5,
    "is_unsent": True,
    "is_geoblocked_for_viewer": False,
    "sticker": {"uri": "stickers/x.png"},
    "type": "Generic",
    "ip": "127.0.0.1",
}


def _files(random: Random) -> dict[str, bytes]:
    export = Export(random.choice((FACEBOOK, FACEBOOK, INSTAGRAM, "messages")))
    chat = export.thread("ada_1", people=(NAME, "Grace Hopper"))
    for number in range(8):
        keys = dict(random.sample(sorted(_MESSAGE_KEYS.items()), 2))
        sender = (NAME, "Grace Hopper")[number % 2]
        chat.says(sender, f"{MARK} {number}", _START + number * 60_000, **keys)
    chat.per_file = 3
    secret = export.encrypted("secret_1.json", (NAME, "Grace Hopper"))
    secret.says(NAME, MARK, _START)
    export.file(
        "personal_information/profile_information/profile_information.json",
        {"profile_v2": {"name": {"full_name": "Grace Hopper"}}},
    )
    return export.files()


def attack(case: Case, _: None) -> None:
    """Read an export that somebody has spoiled."""
    random = case.random
    files = _files(random)
    for name in list(files):
        if random.random() < 0.4:
            files[name] = _spoiled(random, files[name])
    if random.random() < 0.4:
        for name in random.sample(_NAMES, 3):
            files[name] = random.choice([b"", *files.values()])
    if random.random() < 0.5:
        path = case.export / "facebook.zip"
        path.write_bytes(_zip(random, files))
    else:
        path = case.export
        _write_folder(case, files)
    with case.judged():
        options = loader_options(random)
        single = [p for p in case.export.rglob("*.json") if p.is_file()]
        loader: Any
        if single and random.random() < 0.1:
            loader = SingleFileFacebookMessengerChatLoader(path=random.choice(single))
        elif random.random() < 0.5:
            loader = open_export(path).loader
        else:
            loader = FolderFacebookMessengerChatLoader(path, **options)
        read_somehow(random, loader)


def _spoiled(random: Random, data: bytes) -> bytes:
    if random.random() < 0.3:
        return mutated(random, data, (b'"timestamp_ms":', b"\\u00", b"{", b"\xff\xfe"))
    value = mutated_json(random, json.loads(data), share=random.choice((0.02, 0.1)))
    return json_bytes(random, value, indent=random.choice((None, 2)))


def _zip(random: Random, files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # Of names that are there twice.
        for name, data in files.items():
            member = zipfile.ZipInfo(name or "x")
            member.filename = name
            member.compress_type = random.choice((0, 0, 8, 8, 12, 14))
            if random.random() < 0.05:
                member.external_attr = (stat.S_IFLNK | 0o777) << 16
                data = b"../../beside/canary"  # noqa: PLW2901 - a link's content
            with suppress(ValueError, IndexError):
                archive.writestr(member, data)
        if random.random() < 0.1:
            archive.writestr(f"{_THREAD}/message_9.json", b" " * 2**25, 8)
    data = buffer.getvalue()
    tokens = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"../")
    return mutated(random, data, tokens) if random.random() < 0.5 else data


def _write_folder(case: Case, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = case.export / name.replace("\\", "/").lstrip("/").replace("..", "__")
        with suppress(OSError, ValueError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    folder = case.export / _THREAD
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _put(
            case, folder / case.random.choice(("message_1.json", "message_2.json", "x"))
        )


def _put(case: Case, path: Path) -> None:
    # What is no file, in the place of one.
    kind = case.random.randrange(8)
    if kind < 4:
        path.unlink(missing_ok=True)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.symlink_to(
            case.random.choice((path.name, "..", case.canaries[1], "/dev/zero"))
        )
    elif kind == 2 and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif kind == 3:
        path.write_bytes(b"")
        path.chmod(0)

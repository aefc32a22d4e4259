"""WhatsApp exports: text files and zips with lines of any shape."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from langchain_chatexports import WhatsAppChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import mutated
from tests.fuzz.reading import loader_options, read_somehow
from tests.unit_tests.builders.whatsapp import LRM, RLM, WhatsAppChat

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.case import Case

_NAMES = (
    "_chat.txt",
    "chat.txt",
    "WhatsApp Chat with Grace.txt",
    "WhatsApp Chat - Ada/_chat.txt",
    "../beside/planted.txt",
    "notes.txt",
)
_TEXTS = (
    MARK,
    f"{LRM}{MARK}",
    f"{RLM}{MARK}",
    f"{MARK} {LRM}<attached: 1-PHOTO-2.jpg>",
    "<Media omitted>",
    f"IMG-20220327-WA0001.jpg (file attached)\n{MARK}",
    f"{MARK} <This message was edited>",
    "You deleted this message",
    "null",
    "",
    "location: https://maps.google.com/?q=1.0,2.0",
    f"{LRM}POLL:\n{MARK}\n{LRM}OPTION: {MARK} (1 vote)",
    f"3/4/22, 10:00 - {NAME}: {MARK}",
    "A" * 100_000,
    "\ud800",
)
_TOKENS = (
    b"[",
    b"] ",
    b" - ",
    b": ",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    "\u202f".encode(),
    LRM.encode(),
    b"18/03/2022, 14:56",
    b"3/18/65",
    b"1443/8/15",
    b"31/12/9999",
    b"99/99/99",
    "٢٧/٣/٢٠٢٢".encode(),
    "令和4/3/18".encode(),
    b'"',
)


def attack(case: Case, _: None) -> None:
    """Read chats that somebody has spoiled."""
    random = case.random
    files = {
        random.choice(_NAMES): _text(random) for _ in range(random.choice((1, 1, 3)))
    }
    if random.random() < 0.5:
        path = case.export / "WhatsApp Chat - Grace.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        if random.random() < 0.3:
            path.write_bytes(mutated(random, path.read_bytes(), (b"PK\x01\x02",)))
    else:
        path = case.export
        for name, data in files.items():
            place = path / name.replace("..", "x")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        if random.random() < 0.5:
            path = place
    with case.judged():
        if random.random() < 0.3:
            loader: Any = open_export(path).loader
        else:
            loader = WhatsAppChatLoader(
                path,
                timezone=random.choice((None, "UTC", "Europe/Berlin", "Asia/Kabul")),
                date_order=random.choice((None, None, "dmy", "mdy", "ymd")),
                owner=random.choice((None, None, NAME)),
                **loader_options(random),
            )
        read_somehow(random, loader)


def _text(random: Random) -> bytes:
    make = random.choice((WhatsAppChat.ios, WhatsAppChat.android, WhatsAppChat.web))
    chat = make().system("Messages and calls are end-to-end encrypted.", "Grace")
    for number in range(random.choice((1, 8, 30))):
        sender = (NAME, "Grace", "You", "~ Ada: x", "")[number % random.randint(1, 5)]
        chat.says(sender, random.choice(_TEXTS))
    encoding = random.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16"))
    data = chat.text().encode(encoding, "surrogatepass")
    return mutated(random, data, _TOKENS) if random.random() < 0.7 else data

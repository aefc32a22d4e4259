"""A long text of any shape is read in linear time."""

import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.unit_tests.builders.discord import ANN
from tests.unit_tests.builders.messenger import message as messenger_message
from tests.unit_tests.builders.whatsapp import LRM
from tests.unit_tests.chat_loaders.test_any_content import FORMATS

PIECES = [
    *(" ", " \n", "<div>", "</div>", "<!--", "<a ", '<a "', "<", "&#9", "&am"),
    *('<span class="reaction"><span class="emoji">', "<br>", " via @a"),
    *('<div class="message" id="message1">', '<div class="text" class="'),
    *('<div class="forwarded body"><div class="from_name">'),
]
LONG_TEXTS: dict[str, list[Any]] = {
    "messenger": [
        "Ada voted for x" + " in the poll: " * 30_000 + "!",
        "Ada changed vote to x" + " in the poll: x" * 30_000 + "\n.",
        "x" + ": x" * 100_000 + "; just played a.",
        *("a " * 200_000 + ".", "Ada set the nickname for " * 20_000),
    ],
    "whatsapp": [
        *("<" * 300_000 + ">", "(" * 300_000 + ")", " (" * 150_000 + ")"),
        *("a.b (" * 60_000 + ")", "@\u2068" * 150_000, "https://" * 40_000),
        *(LRM * 300_000, " " * 300_000, "A" * 300_000 + ":\n"),
        "A" + " <This message was edited>" * 40_000,
    ],
    "slack": [
        *("<" + "a" * 1_000_000 + ">", "<" * 1_000_000, "<@U1>" * 200_000),
        *("<a|" + "&amp;" * 200_000 + ">", "<@U1> uploaded a file: <" * 40_000),
        "<@U1|" + "a" * 1_000_000,
    ],
    "sms": [
        *("<part" * 200_000, "<part a='" * 100_000, "<part data='" + "a" * 1_000_000),
        *("&#55357;" * 100_000, "<" * 1_000_000, "<!--" * 200_000, "&" * 1_000_000),
        "<mms>" + "<part x='y' " * 80_000,
    ],
    "chatlab": [
        *("[" * 1_000_000, "a/" * 500_000, "[a: " * 250_000 + "]", "<" * 1_000_000),
        *("x" * 1_000_000 + "撤回了一条消息", '"' * 1_000_000, "." * 1_000_000),
    ],
    "kakaotalk": [
        *(
            "님이 " * 300_000,
            "님이 " * 300_000 + ".",
            "a : " * 250_000,
            " : " * 300_000,
        ),
        *(
            "[a] [" * 200_000,
            "\n" * 900_000,
            "a\n\r\n" * 200_000,
            "(이모티콘) " * 90_000,
        ),
        *(
            " invited " * 100_000 + ".",
            " left" * 200_000 + ".",
            "파일: " + "a." * 400_000,
        ),
    ],
    "line": [
        *('"' * 900_000, '\n"' * 300_000, 'a"\n' * 300_000, '07:53\tA\t"\n' * 10_000),
        *(
            "[" * 900_000,
            "[null] " + "https://maps.google.com/ " * 40_000,
            "a " * 400_000,
        ),
        *("16:20 " * 150_000, "16:20 a\n" * 30_000, " joined the group" * 50_000),
        "撤回了一条消息" * 100_000,
    ],
    "skype": [
        *("<" * 1_000_000, "<a " * 300_000, "<quote>" * 100_000, "&#" * 400_000),
        *(
            "<e_m " + 'a="b" ' * 150_000 + "/>",
            "&" + "#9" * 400_000,
            "</quote>" * 90_000,
        ),
        *('<OriginalName v="' * 50_000, "<a" + " b" * 400_000),
    ],
    "mail": [
        *("From " * 200_000, "\nFrom " * 150_000, "> \n" * 300_000, "a: b\n" * 200_000),
        *(
            "<" * 900_000,
            "<a " * 300_000,
            "<!--" * 200_000,
            "<div>" * 180_000,
            "&#" * 400_000,
        ),
        *(
            "boundary=a" * 90_000,
            "--x\n" * 200_000,
            ": 1 2 3\n\n" * 100_000,
            "=?" * 400_000,
        ),
    ],
    "discord": ["<" * 1_000_000, "</" + "a " * 500_000 + ">", "<@1>" * 250_000],
    "telegram page": [
        (f'<div class="text">{text}</div>{text}', 1)
        for text in (piece * (400_000 // len(piece)) for piece in PIECES)
    ],
}


def write_mails(text: str) -> bytes:
    """Return an mbox with a text in headers and bodies."""
    separator, sender = "From 1@x Mon Jan 01 10:00:00 2024\n", "From: a@b.example\n"
    multipart = "Content-Type: multipart/mixed; boundary=x"
    mails = [
        (f"To: {text[:500_000]}", "x"),
        ("Content-Type: text/html", text),
        (f"{multipart}{text}", text),
        (multipart, text),
    ]
    parts = (f"{separator}{sender}{head}\n\n{body}\n\n" for head, body in mails)
    return "".join(parts).encode()


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name, texts in LONG_TEXTS.items() for text in texts],
    ids=lambda value: repr(value)[:30],
)
def test_long_text_takes_linear_time(tmp_path: Path, name: str, text: Any) -> None:
    """Less than 2 s; with quadratic time, it would be minutes."""
    content: Any = {
        "slack": [{"user": "U1", "text": text, "ts": "1.1", "subtype": "file_share"}],
        "discord": [{"author": ANN, "content": text, "id": "1", "type": "Default"}],
        "telegram page": text,
        "sms": text,
        "mail": write_mails(str(text)),
        "skype": [{"id": "1", "from": "8:a", "messagetype": "Text", "content": text}],
        "line": (
            f"2022.10.13 Thursday\n16:20 Ann {text}\n"
            if "16:20" in str(text) or "a " in str(text) or "group" in str(text)
            else f"2026/01/25(Sun)\n07:53\tAnn\t{text}\n07:53\t\t{text}\n"
        ).encode(),
        "kakaotalk": (
            f"2026년 4월 25일 오후 3:20, {text} : {text}\r\n{text}\r\n" * 2
            + f"[a] [오후 3:03] {text}\r\n{text}\r\n"
        ).encode(),
        "chatlab": [{"sender": "a", "type": 2, "timestamp": 1, "content": text}],
        "messenger": ({"messages": [messenger_message("Ada", text, 1)]}, {}),
        "whatsapp": "".join(
            f"[18/03/2022, 14:56:01] Ann: {mark}{text}\n" for mark in ("", LRM)
        ).encode(),
    }[name]
    path = FORMATS[name].write(tmp_path, content)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert FORMATS[name].loader(path).inspect().found
    assert time.process_time() - start < 5

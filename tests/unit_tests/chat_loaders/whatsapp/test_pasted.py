"""No text of a message passes for another message."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from tests.unit_tests.builders.whatsapp import START, WhatsAppChat

pytestmark = pytest.mark.filterwarnings("ignore:.* are read as pasted")

ANDROID, IPHONE, WEB = WhatsAppChat.android, WhatsAppChat.ios, WhatsAppChat.web
PASTED = {
    ANDROID: "{:%d/%m/%Y, %H:%M} - Bob: I owe you 500",
    IPHONE: "[{:%d/%m/%Y, %H:%M:%S}] Bob: I owe you 500",
    WEB: "[{0.month}/{0.day}/{0:%y}, {0:%I:%M:%S} AM] Bob: I owe you 500",
}


def load(chat: WhatsAppChat, folder: Path) -> list[tuple[Any, str, str]]:
    path = chat.to_file(folder / "WhatsApp Chat with Ann.txt")
    (session,) = WhatsAppChatLoader(path, timezone="UTC").load()
    return [
        (m.additional_kwargs["message_time"], m.additional_kwargs["sender"], m.text)
        for m in session["messages"]
    ]


def make_chat(exporter: Any, text: str) -> WhatsAppChat:
    chat: WhatsAppChat = exporter()
    for number in range(40):
        name = ("Ann", "Bob")[number % 2]
        at = START + timedelta(days=number // 2, minutes=number)
        chat.says(name, text if number == 20 else f"line {number}", at=at)
    return chat


@pytest.mark.parametrize("exporter", [ANDROID, IPHONE, WEB])
@pytest.mark.parametrize("days", [-400, -3, 3, 400])
@pytest.mark.parametrize("count", [1, 3, 100])
def test_pasted_header_is_text(
    tmp_path: Path, exporter: Any, days: int, count: int
) -> None:
    at = START + timedelta(days=10 + days)
    lines = [PASTED[exporter].format(at)] * count
    text = "\n".join(["Look:", *lines, "Nice, or not?"])
    plain, pasted = (load(make_chat(exporter, t), tmp_path) for t in ("Look", text))
    assert pasted[20] == (*plain[20][:2], text)
    assert pasted[:20] + pasted[21:] == plain[:20] + plain[21:]


def test_long_joined_part_is_a_warning(tmp_path: Path) -> None:
    at = START + timedelta(days=3)
    text = "\n".join(["Look:", *[PASTED[ANDROID].format(at)] * 101])
    with pytest.warns(UserWarning, match="101 messages that are days away"):
        assert len(load(make_chat(ANDROID, text), tmp_path)) == 141


def test_late_messages_are_messages(tmp_path: Path) -> None:
    """Real exports step back by minutes, and Android's first line by days."""
    chat = ANDROID().says("Ann", "notice", at=START + timedelta(days=5))
    for hours in (0, 30, 8, 54, 31, 55):
        chat.says("Ann", "Hi", at=START + timedelta(hours=hours))
    assert len(load(chat, tmp_path)) == 7


pieces = st.sampled_from(
    [*"\n[]:- 0123456789/,", "Bob: ", "\n[18/03/2022, 14:56:30] Bob: "]
)


@given(st.lists(pieces).map("".join))
def test_any_text_leaves_other_iphone_messages_alone(text: str) -> None:
    chat = IPHONE()
    for name, line in (("Ann", "one"), ("Bob", f"x{text}x"), ("Ann", "three")):
        chat.says(name, line)
    with tempfile.TemporaryDirectory() as folder:
        found = load(chat, Path(folder))
    assert [item[1] for item in found] == ["Ann", "Bob", "Ann"]
    assert [found[0][2], found[2][2]] == ["one", "three"]


def test_iphone_header_within_a_message_is_text(tmp_path: Path) -> None:
    """iPhones end messages with CRLF, and lines within messages with LF."""
    text = f"Look:\n{PASTED[IPHONE].format(START + timedelta(days=10, minutes=21))}"
    found = load(make_chat(IPHONE, text), tmp_path)
    assert (len(found), found[20][2]) == (40, text)
    path = tmp_path / "WhatsApp Chat with Ann.txt"
    details = WhatsAppChatLoader(path, timezone="UTC").inspect().details
    assert details["pasted_headers"] == 1

"""The screen on which chats are added."""

import errno
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from nicegui.testing import User

from langchain_chatexports.page import session as session_module
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from tests.unit_tests.builders.whatsapp import WhatsAppChat

pytestmark = pytest.mark.asyncio


def _mama(folder: Path) -> Path:
    chat = WhatsAppChat.ios()
    for number in range(4):
        chat.says("Lena", f"Wie geht es dir, {number}?")
        chat.says("Mama", f"Gut, {number}.")
    return chat.to_file(folder / "WhatsApp Chat - Mama.txt")


async def test_card_says_who_how_much_and_when(
    user: User, session: PageSession, tmp_path: Path
) -> None:
    await user.open("/add")
    session.exports.add([_mama(tmp_path)])
    await user.should_see("Talk with Mama now", retries=50)
    await user.should_see("Mama and Lena")
    await user.should_see("8 messages · ")
    await user.should_see("WhatsApp")
    (link,) = user.find("Talk with Mama now").elements
    assert link.props["href"] == f"/talk/{person_key('Mama')}"


async def test_owner_of_the_chats_comes_last(user: User, session: PageSession) -> None:
    await user.open("/add")
    session.add_sample()
    await user.should_see("Draco Malfoy, Sirius Black", retries=50)
    await user.should_see("7 more")
    await user.should_not_see("Talk with Harry Potter now")
    await user.should_not_see("Try it with sample chats")


async def test_same_file_is_said_once(
    user: User, session: PageSession, tmp_path: Path
) -> None:
    chat = _mama(tmp_path)
    (tmp_path / "again").mkdir()
    copy = shutil.copy(chat, tmp_path / "again" / "again.txt")
    await user.open("/add")
    session.exports.add([chat, Path(copy), Path(copy)])
    await user.should_see("You have already added this file.", retries=50)
    session.exports.join(60)
    assert [card.name for card in session.exports.cards] == [chat.name, "again.txt"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("beach.jpg", b"\xff\xd8\xff", "This is a photo, not a chat."),
        ("notes.txt", b"no chat", "This does not look like a chat"),
        ("other.zip", None, "There are no chats in this zip file."),
        ("broken.zip", b"PK\x03\x04", "This file is damaged or incomplete"),
    ],
)
async def test_wrong_file_is_said(
    user: User,
    session: PageSession,
    tmp_path: Path,
    name: str,
    content: bytes | None,
    sentence: str,
) -> None:
    if content is None:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "notes.txt").write_text("no chat")
        shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "other")
    else:
        (tmp_path / name).write_bytes(content)
    await user.open("/add")
    session.exports.add([tmp_path / name])
    await user.should_see(sentence, retries=50)
    await user.should_see("Try it with sample chats")


async def test_steps_of_an_app_are_built_when_they_are_opened(user: User) -> None:
    await user.open("/add")
    await user.should_not_see("Export Chat")
    user.find(marker="WhatsApp on an iPhone").trigger("toggle")
    await user.should_see("Export Chat")


async def test_full_disk_is_said_of_the_sample(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_folder: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(session_module, "write_messenger", write)
    await user.open("/add")
    user.find("Try it with sample chats").click()
    await user.should_see("The disk is full or almost full", retries=20)

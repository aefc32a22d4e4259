"""WhatsApp's exports are recognized by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import WhatsAppChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_slack,
    write_telegram,
    write_whatsapp,
)
from tests.unit_tests.builders.whatsapp import WhatsAppChat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from langchain_chatexports.chat_loaders.base import ChatExportLoader


def loader_of(path: Path) -> type[ChatExportLoader]:
    return type(open_export(path).loader)


def two(chat: WhatsAppChat) -> WhatsAppChat:
    return chat.says("Ann", "Hi!").says("Bob", "Yes?")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", ["ios", "android", "web"])
def test_a_text_file_is_recognized(kind: str, encoding: str, tmp_path: Path) -> None:
    chat = two(getattr(WhatsAppChat, kind)())
    assert loader_of(chat.to_file(tmp_path / "any.txt", encoding)) is WhatsAppChatLoader


def test_a_zip_is_recognized(tmp_path: Path) -> None:
    chat = two(WhatsAppChat.ios())
    assert loader_of(chat.to_zip(tmp_path / "any.zip")) is WhatsAppChatLoader


def test_a_folder_is_recognized(tmp_path: Path) -> None:
    assert loader_of(write_whatsapp(tmp_path / "texts")) is WhatsAppChatLoader
    two(WhatsAppChat.ios()).to_zip(tmp_path / "zips" / "WhatsApp Chat - Ann.zip")
    assert loader_of(tmp_path / "zips") is WhatsAppChatLoader


def test_a_text_beside_another_export_is_not_enough(tmp_path: Path) -> None:
    write_messenger(tmp_path / "hogwarts")
    two(WhatsAppChat.android()).to_file(tmp_path / "hogwarts" / "pasted.txt")
    assert loader_of(tmp_path / "hogwarts") is not WhatsAppChatLoader


def test_any_other_text_is_not_recognized(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk, bread\n12/03/2022 honey - soon: yes\n")
    with pytest.raises(ExportFormatError, match="WhatsApp"):
        open_export(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.txt", "2022-03-18 14:56:01,123 - root - INFO - started: x\n"),
        ("app.txt", "2022-03-18 14:56:01 - INFO: started\n"),
        ("app.txt", "2022-03-18T14:56:01 - INFO: started\n"),
        ("app.txt", "2022-03-18T14:56 - INFO: started\n"),
        ("app.txt", "[2022-03-18T14:56:01] INFO: started\n"),
        ("app.log", "[2022-03-18 14:56:01] local.ERROR: boom\n"),
        ("error.txt", "2022/03/18 14:56:01 [error] 1#1: *1 open() failed: x\n"),
        ("access.txt", '1.2.3.4 - - [18/Mar/2022:14:56:01 +0000] "GET /: x" 200\n'),
        ("irc.txt", "[2022-03-18 14:56:01] <ann> hi: there\n[2022-03-18 14:57:02] y\n"),
        ("irc.txt", "2022-03-18 14:56:01\tann\thi: there\n"),
        ("irc.txt", "14:56 <ann> hi: there\n"),
        ("chat.csv", "18/03/2022, 14:56 - x,Ann,it is: so\n"),
        ("chat.md", "18/03/2022, 14:56 - Ann: Hi!\n"),
        ("telegram.txt", "Ann, [18.03.22 14:56]\nHi!\n"),
        ("subtitles.txt", "1\n00:00:01,000 --> 00:00:02,000\nAnn: Hi!\n"),
        ("README.txt", "# Hare\n\n2022-03-18: version 1.0 - the first: one\n"),
        ("empty.txt", ""),
        ("blank.txt", "\n\n"),
    ],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_logs_and_other_chats_are_not_recognized(
    name: str, text: str, is_folder: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExportFormatError):
        open_export(tmp_path if is_folder else path).loader.load()


def test_a_chat_that_lost_its_suffix_is_recognized_by_its_name(tmp_path: Path) -> None:
    chat = two(WhatsAppChat.android())
    path = chat.to_file(tmp_path / "WhatsApp Chat with Ann")
    assert loader_of(path) is WhatsAppChatLoader


def test_a_chats_name_is_enough_for_a_header_that_logs_have_too(tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat with Ann.txt"
    path.write_text("18/03/2022, 14:56:01 - Ann: Hi!\n")
    assert loader_of(path) is WhatsAppChatLoader


@pytest.mark.parametrize(
    "write",
    [write_discord, write_imessage, write_messenger, write_slack, write_telegram],
)
def test_other_samples_are_not_whatsapps(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    assert loader_of(write(tmp_path / "sample")) is not WhatsAppChatLoader

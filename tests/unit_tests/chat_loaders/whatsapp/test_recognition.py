"""WhatsApp's exports are recognized by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import WhatsAppChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples import write_messenger, write_whatsapp
from tests.unit_tests.builders.whatsapp import WhatsAppChat

if TYPE_CHECKING:
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

"""Names of chats in file names."""

import unicodedata
from io import BytesIO
from pathlib import Path

import pytest

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.whatsapp.files import (
    get_chat_name,
    has_chat_file_name,
)


def file(name: str, *, folder: str = "", zip_name: str = "") -> ExportFile:
    return ExportFile(
        name=name,
        folders=(folder,) if folder else (),
        given_depth=0 if zip_name else 1,
        part=0,
        part_name=zip_name or name,
        size=0,
        compressed_size=0,
        path=Path(name),
        label=name,
        opener=BytesIO,
    )


@pytest.mark.parametrize(
    "name",
    [
        "WhatsApp Chat with Ann Lee",
        "WhatsApp Chat - Ann Lee",
        "WhatsApp Chat mit Ann Lee",
        "WhatsApp-Chat mit Ann Lee",
        "Discussion WhatsApp avec Ann Lee",
        "Chat de WhatsApp con Ann Lee",
        "Chat WhatsApp con Ann Lee",
        "Conversa do WhatsApp com Ann Lee",
        "Conversa no WhatsApp com Ann Lee",
        "WhatsApp-chat met Ann Lee",
        "Чат WhatsApp с Ann Lee",
        "Чат WhatsApp с\u00a0контактом Ann Lee",
        "Бесіда WhatsApp з Ann Lee",
        "Czat WhatsApp z Ann Lee",
        "Chat WhatsApp s\u00a0uživatelem Ann Lee",
        "WhatsApp-chatt med Ann Lee",
        "WhatsApp chat med Ann Lee",
        "Συνομιλία WhatsApp με Ann Lee",
        "Chat WhatsApp dengan Ann Lee",
        "دردشة واتساب مع Ann Lee",
        "צ'אט WhatsApp עם Ann Lee",
        "Trò chuyện WhatsApp với Ann Lee",
        "แชท WhatsApp กับ Ann Lee",
        "Ann Lee ile WhatsApp Sohbeti",
        "Ann Lee के साथ WhatsApp चैट",
        "Ann LeeとのWhatsAppチャット",
        "Ann Lee님과의 WhatsApp 대화",
        "WhatsApp 与 Ann Lee 的对话",
        "与Ann Lee的 WhatsApp 聊天",
        "與Ann Lee的 WhatsApp 對話",
        "WhatsApp-keskustelu henkilön Ann Lee kanssa",
        "WhatsApp_Chat_with_Ann_Lee",
        "WhatsApp Chat with Ann Lee (1)",
    ],
)
def test_file_name_contains_the_chat_name(name: str) -> None:
    assert get_chat_name(file(f"{name}.txt")) == "Ann Lee"
    assert get_chat_name(file(unicodedata.normalize("NFD", f"{name}.txt"))) == "Ann Lee"
    assert has_chat_file_name(file(f"{name}.txt"))
    assert get_chat_name(file("_chat.txt", zip_name=f"{name}.zip")) == "Ann Lee"


def test_iphone_file_has_the_name_of_its_folder() -> None:
    assert get_chat_name(file("_chat.txt", folder="WhatsApp Chat - Ann")) == "Ann"
    assert get_chat_name(file("_chat.txt", folder="Downloads")) is None


def test_web_zip_has_the_chat_name() -> None:
    assert get_chat_name(file("chat.txt", zip_name="Ann 😂.zip")) == "Ann 😂"


def test_renamed_file_is_the_chat_name() -> None:
    assert get_chat_name(file("Ann.txt")) == "Ann"
    assert not has_chat_file_name(file("Ann.txt"))

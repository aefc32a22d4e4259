"""Names of chats in names of files."""

import unicodedata
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.whatsapp.files import chat_name, is_framed


def file(name: str, **keys: Any) -> ExportFile:
    values: dict[str, Any] = {
        "folders": (),
        "given": 1,
        "part": 0,
        "part_name": name,
        "size": 0,
        "packed_size": 0,
        "path": Path(name),
        "label": name,
        "opener": BytesIO,
    }
    return ExportFile(name=name, **{**values, **keys})


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
def test_the_name_of_a_file_frames_that_of_the_chat(name: str) -> None:
    assert chat_name(file(f"{name}.txt")) == "Ann Lee"
    assert chat_name(file(unicodedata.normalize("NFD", f"{name}.txt"))) == "Ann Lee"
    assert is_framed(file(f"{name}.txt"))
    inner = file("_chat.txt", given=0, part_name=f"{name}.zip")
    assert chat_name(inner) == "Ann Lee"


def test_an_iphones_file_is_named_by_its_folder() -> None:
    assert chat_name(file("_chat.txt", folders=("WhatsApp Chat - Ann",))) == "Ann"
    assert chat_name(file("_chat.txt", folders=("Downloads",))) is None


def test_a_zip_of_the_web_is_named_after_the_chat() -> None:
    assert chat_name(file("chat.txt", given=0, part_name="Ann 😂.zip")) == "Ann 😂"


def test_a_file_that_was_renamed_names_the_chat() -> None:
    assert chat_name(file("Ann.txt")) == "Ann"
    assert not is_framed(file("Ann.txt"))

"""Names of chats, out of the names of exported files."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.whatsapp.senders import clean_name

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["UNNAMED_FILES", "chat_name", "is_framed"]

UNNAMED_FILES = frozenset({"_chat.txt", "chat.txt"})
"""Files that are not named after their chat: of iPhones, and of WhatsApp Web."""

# The phone's language frames the name: before it, behind it or both.
_PREFIXES = (
    "WhatsApp Chat with ",
    "WhatsApp Chat - ",
    "WhatsApp Chat mit ",
    "WhatsApp-Chat mit ",
    "Discussion WhatsApp avec ",
    "Chat de WhatsApp con ",
    "Chat WhatsApp con ",
    "Conversa do WhatsApp com ",
    "Conversa no WhatsApp com ",
    "WhatsApp-chat met ",
    "Чат WhatsApp с контактом ",
    "Чат WhatsApp с ",
    "Бесіда WhatsApp з ",
    "Czat WhatsApp z ",
    "Chat WhatsApp s uživatelem ",
    "WhatsApp-chatt med ",
    "WhatsApp chat med ",
    "Συνομιλία WhatsApp με ",
    "Chat WhatsApp dengan ",
    "دردشة واتساب مع ",
    "צ'אט WhatsApp עם ",
    "Trò chuyện WhatsApp với ",
    "แชท WhatsApp กับ ",
)
_FRAMES = (
    *((prefix, "") for prefix in _PREFIXES),
    ("", " ile WhatsApp Sohbeti"),
    ("", " के साथ WhatsApp चैट"),
    ("", "とのWhatsAppチャット"),
    ("", "님과의 WhatsApp 대화"),
    ("WhatsApp 与 ", " 的对话"),
    ("与", "的 WhatsApp 聊天"),
    ("與", "的 WhatsApp 對話"),
    ("WhatsApp-keskustelu henkilön ", " kanssa"),
)
_COPY = re.compile(r" ?\(\d{1,3}\)$")


def chat_name(file: ExportFile) -> str | None:
    """Return the name of the chat that a file holds, if the file's name says so."""
    if file.name.lower() not in UNNAMED_FILES:
        return _unframed(_stem(file.name)) or _cleaned(_stem(file.name))
    # It lies in a zip, or in the folder that this was unpacked to.
    is_in_zip = file.given == 0
    if not file.folders and is_in_zip:
        stem = _stem(file.part_name)
        return _unframed(stem) or _cleaned(stem)
    return _unframed(file.folders[-1]) if file.folders else None


def is_framed(name: str) -> bool:
    """Return whether a file's name is one that WhatsApp gives to chats."""
    return name.lower() in UNNAMED_FILES or _unframed(_stem(name)) is not None


def _stem(name: str) -> str:
    base, dot, suffix = name.rpartition(".")
    return base if dot and suffix.lower() in {"txt", "zip"} else name


def _cleaned(name: str) -> str:
    plain = clean_name(unicodedata.normalize("NFC", name))
    return _COPY.sub("", plain)


def _unframed(name: str) -> str | None:
    plain = _cleaned(name)
    # Some systems put underscores where spaces are.
    for shown in (plain, plain.replace("_", " ")):
        for prefix, suffix in _FRAMES:
            is_longer = len(shown) > len(prefix) + len(suffix)
            if is_longer and shown.startswith(prefix) and shown.endswith(suffix):
                return shown[len(prefix) : len(shown) - len(suffix)].strip() or None
    return None

"""Telegram Desktop exports, as JSON or HTML."""

from langchain_chatexports.chat_loaders.telegram.loader import (
    TelegramChatLoader,
    matches,
)

__all__ = ["TelegramChatLoader", "matches"]

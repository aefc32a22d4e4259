"""Telegram: what Telegram Desktop exports, as JSON or HTML."""

from langchain_chatexports.chat_loaders.telegram.export import is_telegram_export
from langchain_chatexports.chat_loaders.telegram.loader import TelegramChatLoader

__all__ = ["TelegramChatLoader", "is_telegram_export"]

"""Telegram Desktop exports, as JSON or HTML."""

from langchain_chatexports.chat_loaders.telegram.loader import TelegramChatLoader

__all__ = ["TelegramChatLoader"]

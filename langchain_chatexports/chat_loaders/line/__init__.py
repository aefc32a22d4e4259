"""Chats that LINE exports as text."""

from langchain_chatexports.chat_loaders.line.loader import LineChatLoader

__all__ = ["LineChatLoader"]

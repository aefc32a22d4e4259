"""Chats that KakaoTalk exports as text or CSV."""

from langchain_chatexports.chat_loaders.kakaotalk.loader import KakaoTalkChatLoader

__all__ = ["KakaoTalkChatLoader"]

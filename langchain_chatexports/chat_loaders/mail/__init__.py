"""E-mail, as conversations by thread."""

from langchain_chatexports.chat_loaders.mail.loader import EmailChatLoader

__all__ = ["EmailChatLoader"]

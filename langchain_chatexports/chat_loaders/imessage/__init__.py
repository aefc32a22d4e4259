"""Apple's Messages: a `chat.db` or `sms.db` in, one session a conversation out."""

from langchain_chatexports.chat_loaders.imessage.loader import IMessageChatLoader

__all__ = ["IMessageChatLoader"]

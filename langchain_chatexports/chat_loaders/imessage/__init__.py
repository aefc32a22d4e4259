"""Apple's Messages: read `chat.db` or `sms.db`, one session per conversation."""

from langchain_chatexports.chat_loaders.imessage.loader import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage.sources import (
    is_backup,
    is_database_name,
    is_messages_folder,
)

__all__ = ["IMessageChatLoader", "is_backup", "is_database_name", "is_messages_folder"]

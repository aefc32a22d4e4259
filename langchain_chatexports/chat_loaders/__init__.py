"""Chat loaders, which convert exports to sessions, one per conversation.

They have the same names as in langchain-community, and are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_core.chat_loaders import BaseChatLoader

    from langchain_chatexports.chat_loaders.chatlab import ChatLabChatLoader
    from langchain_chatexports.chat_loaders.discord import DiscordChatLoader
    from langchain_chatexports.chat_loaders.facebook_messenger import (
        FolderFacebookMessengerChatLoader,
        SingleFileFacebookMessengerChatLoader,
    )
    from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
    from langchain_chatexports.chat_loaders.kakaotalk import KakaoTalkChatLoader
    from langchain_chatexports.chat_loaders.line import LineChatLoader
    from langchain_chatexports.chat_loaders.mail import EmailChatLoader
    from langchain_chatexports.chat_loaders.signal import SignalChatLoader
    from langchain_chatexports.chat_loaders.skype import SkypeChatLoader
    from langchain_chatexports.chat_loaders.slack import SlackChatLoader
    from langchain_chatexports.chat_loaders.sms import SmsChatLoader
    from langchain_chatexports.chat_loaders.table import TableChatLoader
    from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
    from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader

__all__ = [
    "BaseChatLoader",
    "ChatLabChatLoader",
    "DiscordChatLoader",
    "EmailChatLoader",
    "FolderFacebookMessengerChatLoader",
    "IMessageChatLoader",
    "KakaoTalkChatLoader",
    "LineChatLoader",
    "SignalChatLoader",
    "SingleFileFacebookMessengerChatLoader",
    "SkypeChatLoader",
    "SlackChatLoader",
    "SmsChatLoader",
    "TableChatLoader",
    "TelegramChatLoader",
    "WhatsAppChatLoader",
]

_MODULES = {
    "pipe": ("BaseChatLoader",),
    "discord": ("DiscordChatLoader",),
    "facebook_messenger": (
        "FolderFacebookMessengerChatLoader",
        "SingleFileFacebookMessengerChatLoader",
    ),
    "imessage": ("IMessageChatLoader",),
    "signal": ("SignalChatLoader",),
    "slack": ("SlackChatLoader",),
    "table": ("TableChatLoader",),
    "telegram": ("TelegramChatLoader",),
    "whatsapp": ("WhatsAppChatLoader",),
    "sms": ("SmsChatLoader",),
    "chatlab": ("ChatLabChatLoader",),
    "kakaotalk": ("KakaoTalkChatLoader",),
    "line": ("LineChatLoader",),
    "skype": ("SkypeChatLoader",),
    "mail": ("EmailChatLoader",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)

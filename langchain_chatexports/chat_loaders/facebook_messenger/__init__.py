"""Facebook Messenger and Instagram exports."""

from __future__ import annotations

from langchain_chatexports.chat_loaders.facebook_messenger.loader import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)

__all__ = [
    "FolderFacebookMessengerChatLoader",
    "SingleFileFacebookMessengerChatLoader",
]

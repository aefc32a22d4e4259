"""Facebook Messenger and Instagram exports."""

from langchain_chatexports.chat_loaders.facebook_messenger.loader import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)

__all__ = ["FolderFacebookMessengerChatLoader", "SingleFileFacebookMessengerChatLoader"]

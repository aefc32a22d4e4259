"""langchain-community's chat loaders, imported without its deprecation warning."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from langchain_community.chat_loaders import utils
    from langchain_community.chat_loaders.facebook_messenger import (
        FolderFacebookMessengerChatLoader,
        SingleFileFacebookMessengerChatLoader,
    )
    from langchain_community.chat_loaders.imessage import IMessageChatLoader
    from langchain_community.chat_loaders.slack import SlackChatLoader
    from langchain_community.chat_loaders.telegram import TelegramChatLoader
    from langchain_community.chat_loaders.whatsapp import WhatsAppChatLoader

__all__ = [
    "FolderFacebookMessengerChatLoader",
    "IMessageChatLoader",
    "SingleFileFacebookMessengerChatLoader",
    "SlackChatLoader",
    "TelegramChatLoader",
    "WhatsAppChatLoader",
    "utils",
]

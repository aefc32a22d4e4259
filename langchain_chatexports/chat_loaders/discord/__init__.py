"""Discord: channels that DiscordChatExporter saved as JSON."""

from langchain_chatexports.chat_loaders.discord.loader import (
    DiscordChatLoader,
    matches,
)

__all__ = ["DiscordChatLoader", "matches"]

"""Discord, as exported by DiscordChatExporter."""

from langchain_chatexports.chat_loaders.discord.loader import DiscordChatLoader

__all__ = ["DiscordChatLoader"]

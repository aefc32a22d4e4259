"""Discord: DiscordChatExporter's JSON, and the data package that Discord hands out."""

from langchain_chatexports.chat_loaders.discord.export import is_discord_export
from langchain_chatexports.chat_loaders.discord.loader import DiscordChatLoader

__all__ = ["DiscordChatLoader", "is_discord_export"]

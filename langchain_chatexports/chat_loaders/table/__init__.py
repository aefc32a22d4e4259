"""Tables in Parquet, JSON Lines or CSV, with a row per message."""

from langchain_chatexports.chat_loaders.table.columns import COLUMNS
from langchain_chatexports.chat_loaders.table.files import matches_head
from langchain_chatexports.chat_loaders.table.loader import TableChatLoader

__all__ = ["COLUMNS", "TableChatLoader", "matches_head"]

"""Conversations from a table in Parquet, JSON lines or CSV, with a row per message."""

from langchain_chatexports.chat_loaders.table.cells import COLUMNS, matches_head
from langchain_chatexports.chat_loaders.table.loader import TableChatLoader, table_rows

__all__ = ["COLUMNS", "TableChatLoader", "matches_head", "table_rows"]

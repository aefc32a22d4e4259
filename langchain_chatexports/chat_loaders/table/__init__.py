"""Conversations from a table: Parquet, JSON lines or CSV, a row a message."""

from langchain_chatexports.chat_loaders.table.columns import COLUMNS
from langchain_chatexports.chat_loaders.table.loader import TableChatLoader
from langchain_chatexports.chat_loaders.table.rows import looks_like_table
from langchain_chatexports.chat_loaders.table.session_rows import OWNER_ROLE, table_rows

__all__ = [
    "COLUMNS",
    "OWNER_ROLE",
    "TableChatLoader",
    "looks_like_table",
    "table_rows",
]

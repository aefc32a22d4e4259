"""Conversations from a table: Parquet, JSON lines or CSV, a row a message."""

from langchain_chatexports.chat_loaders.table.cells import matches_head
from langchain_chatexports.chat_loaders.table.columns import COLUMNS, checked_columns
from langchain_chatexports.chat_loaders.table.loader import (
    OWNER_ROLE,
    TableChatLoader,
    table_rows,
)

__all__ = [
    "COLUMNS",
    "OWNER_ROLE",
    "TableChatLoader",
    "checked_columns",
    "matches_head",
    "table_rows",
]

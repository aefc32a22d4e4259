"""Find private data in chats: names in the export, numbers, addresses and secrets.

The step `Redact` in `langchain_chatexports.steps` uses this package.
"""

from langchain_chatexports.redaction.key_file import (
    RedactionKey,
    read_key_file,
    restore,
)
from langchain_chatexports.redaction.spans import KINDS, Span

__all__ = ["KINDS", "RedactionKey", "Span", "read_key_file", "restore"]

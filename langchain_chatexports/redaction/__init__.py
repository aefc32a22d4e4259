"""Find private data in chats: names of the export, numbers, addresses, secrets.

`Redact` in `langchain_chatexports.steps` puts the parts together.
"""

from langchain_chatexports.redaction.detector import find_patterns
from langchain_chatexports.redaction.gazetteer import Gazetteer
from langchain_chatexports.redaction.key_file import (
    RedactionKey,
    key_for,
    read_key_file,
)
from langchain_chatexports.redaction.pseudonyms import Pseudonyms
from langchain_chatexports.redaction.spans import KINDS, Span, without_overlap
from langchain_chatexports.redaction.undo import restore, write_undo_map

__all__ = [
    "KINDS",
    "Gazetteer",
    "Pseudonyms",
    "RedactionKey",
    "Span",
    "find_patterns",
    "key_for",
    "read_key_file",
    "restore",
    "without_overlap",
    "write_undo_map",
]

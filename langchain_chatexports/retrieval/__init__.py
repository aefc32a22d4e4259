"""Find what was said, when and by whom: documents, a search index and a retriever.

```python
from langchain_chatexports import ChatExportRetriever, IMessageChatLoader

retriever = ChatExportRetriever.from_sessions(IMessageChatLoader("chat.db"))
documents = retriever.invoke("race", person="Hare")
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.documents import (
        ChatLine,
        Windows,
        sessions_to_documents,
    )
    from langchain_chatexports.retrieval.history import messages_with_ids
    from langchain_chatexports.retrieval.index import (
        ChatIndex,
        ForgetCounts,
        Hit,
        IndexCounts,
        IndexedChat,
    )
    from langchain_chatexports.retrieval.mcp_server import chat_mcp_server
    from langchain_chatexports.retrieval.retriever import ChatExportRetriever
    from langchain_chatexports.retrieval.tools import ChatSearchInput, chat_search_tool
    from langchain_chatexports.retrieval.wordllama import WordLlamaEmbeddings

__all__ = [
    "ChatExportRetriever",
    "ChatIndex",
    "ChatLine",
    "ChatSearchInput",
    "ForgetCounts",
    "Hit",
    "IndexCounts",
    "IndexedChat",
    "Windows",
    "WordLlamaEmbeddings",
    "chat_mcp_server",
    "chat_search_tool",
    "messages_with_ids",
    "sessions_to_documents",
]

_MODULES = {
    "retriever": ("ChatExportRetriever",),
    "index": ("ChatIndex", "ForgetCounts", "Hit", "IndexCounts", "IndexedChat"),
    "documents": ("ChatLine", "Windows", "sessions_to_documents"),
    "history": ("messages_with_ids",),
    "mcp_server": ("chat_mcp_server",),
    "tools": ("ChatSearchInput", "chat_search_tool"),
    "wordllama": ("WordLlamaEmbeddings",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)

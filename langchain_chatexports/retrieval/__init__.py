"""Search chats: documents, a search index and a retriever.

```python
from langchain_chatexports import ChatExportRetriever, IMessageChatLoader

retriever = ChatExportRetriever.from_sessions(IMessageChatLoader("chat.db"))
documents = retriever.invoke("race", person="Hare")
```
"""

from langchain_chatexports.retrieval.documents import (
    ChatLine,
    IndexedChat,
    sessions_to_documents,
)
from langchain_chatexports.retrieval.index import ChatIndex, Hit, IndexCounts
from langchain_chatexports.retrieval.mcp_server import chat_mcp_server
from langchain_chatexports.retrieval.retriever import ChatExportRetriever
from langchain_chatexports.retrieval.tools import ChatSearchInput, chat_search_tool

__all__ = [
    "ChatExportRetriever",
    "ChatIndex",
    "ChatLine",
    "ChatSearchInput",
    "Hit",
    "IndexCounts",
    "IndexedChat",
    "chat_mcp_server",
    "chat_search_tool",
    "sessions_to_documents",
]

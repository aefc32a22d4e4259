"""Sessions as documents: the functions behind the loaders' `to_documents`."""

from langchain_chatexports.chat_loaders.documents import (
    ChatLine,
    Windows,
    sessions_to_documents,
)

__all__ = ["ChatLine", "Windows", "sessions_to_documents"]

"""A LangChain retriever over a search index."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from pydantic import ConfigDict, Field

from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.retrieval.index import ChatIndex


class ChatExportRetriever(BaseRetriever):
    """Keyword search over chats; needs no model, API key or network.

    Each document is a window of a conversation, as in `sessions_to_documents`. Its
    metadata has the ids, times and senders of its messages for citations, and `match`,
    the id of the best matching message.

    All settings except the index can also be passed to `invoke`, such as
    `retriever.invoke("race", k=2, person="Hare")`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: ChatIndex = Field(repr=False)
    """The index to search."""

    k: int = Field(default=4, ge=0)
    """Maximum number of documents."""

    person: str | Collection[str] | None = None
    """A sender in the document; see `ChatIndex.search`."""

    chat: str | Collection[str] | None = None
    """Title, participant or id of the conversation."""

    start: datetime | date | None = None
    """Earliest message time (inclusive): an aware datetime, or a UTC date."""

    end: datetime | date | None = None
    """Latest message time: an aware datetime (exclusive), or a UTC date (inclusive)."""

    @classmethod
    def from_sessions(
        cls, sessions: SessionSource, path: str | Path | None = None, **settings: Any
    ) -> Self:
        """Index sessions and return a retriever over them.

        Args:
            sessions: A chat loader, a session, or an iterable of sessions.
            path: The index file, which is replaced; `None` for memory.
            settings: The retriever's settings, such as `k`.
        """
        retriever = cls(index=ChatIndex(path), **settings)
        retriever.index.rebuild(sessions)
        return retriever

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        **arguments: Any,
    ) -> list[Document]:
        del run_manager
        settings: dict[str, Any] = {"k": self.k, "person": self.person}
        settings |= {"chat": self.chat, "start": self.start, "end": self.end}
        # Unlike `None`, an empty collection such as `person=[]` matches nothing.
        settings |= {
            key: value for key, value in arguments.items() if value is not None
        }
        return [hit.document for hit in self.index.search(query, **settings)]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **arguments: Any,
    ) -> list[Document]:
        # The base class does not pass on arguments.
        manager = run_manager.get_sync()
        search = partial(self._get_relevant_documents, run_manager=manager, **arguments)
        return await run_in_executor(None, search, query)

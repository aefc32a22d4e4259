"""The retriever: a search index in LangChain's form."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from pydantic import ConfigDict, Field
from typing_extensions import Self

from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.retrieval.index import ChatIndex


class ChatExportRetriever(BaseRetriever):
    """Find what was said in chats; no model, no key and no network are needed.

    Each document is a window of a conversation, as `sessions_to_documents` makes it:
    its metadata has ids, times and senders of its messages, so that an answer can cite
    them, and `match`, the id of the message that fits best.

    All settings but the index can also be given to `invoke`, such as
    `retriever.invoke("race", k=2, person="Hare")`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: ChatIndex = Field(repr=False)
    """Where it searches."""

    k: int = Field(default=4, ge=0)
    """Maximum number of documents."""

    person: str | Collection[str] | None = None
    """Who wrote a message of the document; see `ChatIndex.search`."""

    chat: str | Collection[str] | None = None
    """Title, participant or id of the conversation."""

    start: datetime | date | None = None
    """The oldest moment: an aware datetime, or a day in UTC."""

    end: datetime | date | None = None
    """The end: an aware datetime (itself not included), or a day in UTC (included)."""

    @classmethod
    def from_sessions(
        cls, sessions: SessionSource, path: str | Path | None = None, **settings: Any
    ) -> Self:
        """Index sessions and return a retriever over them.

        Args:
            sessions: A chat loader, a session, or an iterable of sessions.
            path: The index file, which is made anew; `None` for memory.
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
        # What is empty but not None, such as `person=[]`, finds nothing.
        settings |= {name: one for name, one in arguments.items() if one is not None}
        hits = self.index.search(query, **settings)
        for hit in hits:
            hit.document.metadata["match"] = hit.match.ids[0]
        return [hit.document for hit in hits]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **arguments: Any,
    ) -> list[Document]:
        # The base class passes no arguments on.
        manager = run_manager.get_sync()
        search = partial(self._get_relevant_documents, run_manager=manager, **arguments)
        return await run_in_executor(None, search, query)

"""The retriever: a search index in LangChain's form."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from pydantic import ConfigDict, Field

from langchain_chatexports.retrieval.index import ChatIndex

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from typing_extensions import Self

    from langchain_chatexports.chat_loaders.session_source import SessionSource

__all__ = ["ChatExportRetriever"]


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

    k: int = Field(default=4, gt=0)
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
        cls,
        sessions: SessionSource,
        path: str | Path | None = None,
        *,
        embeddings: Embeddings | None = None,
        **settings: Any,
    ) -> Self:
        """Index sessions and return a retriever over them.

        Args:
            sessions: A chat loader, a session, or an iterable of sessions.
            path: The index file, which is brought up to date; `None` for memory.
            embeddings: Finds by meaning too; `None` for words only.
            settings: The retriever's settings, such as `k`.
        """
        index = ChatIndex(path, embeddings=embeddings)
        index.update(sessions)
        return cls(index=index, **settings)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        person: str | Collection[str] | None = None,
        chat: str | Collection[str] | None = None,
        start: datetime | date | None = None,
        end: datetime | date | None = None,
    ) -> list[Document]:
        del run_manager
        hits = self.index.search(
            query,
            k=k or self.k,
            person=person or self.person,
            chat=chat or self.chat,
            start=start or self.start,
            end=end or self.end,
        )
        for hit in hits:
            hit.document.metadata["match"] = hit.match.ids[0]
        return [hit.document for hit in hits]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **settings: Any,
    ) -> list[Document]:
        # The base class does so too, but takes no settings.
        search = partial(
            self._get_relevant_documents, run_manager=run_manager.get_sync(), **settings
        )
        return await run_in_executor(None, search, query)

"""Builders of chat sessions, and loaders of given sessions."""

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import Conversation, Person
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export, open_exports
from langchain_chatexports.chat_loaders.schema import metadata_of

START = 1_693_182_723


def open_export(path: Path) -> Export:
    """Recognize the only export at a path."""
    (export,) = open_exports([path])
    return export


def said(
    sender: str | None,
    content: Any,
    *,
    at: int | None = None,
    by_ai: bool = False,
    message_id: str | None = None,
    **kwargs: Any,
) -> BaseMessage:
    """Build a message; `at` is its time in seconds after the start."""
    extra: dict[str, Any] = {} if sender is None else {"sender": sender}
    if at is not None:
        extra["message_time"] = START + at
        extra["events"] = [{"message_time": f"+{at}s"}]
    kind = AIMessage if by_ai else HumanMessage
    return kind(content=content, additional_kwargs={**extra, **kwargs}, id=message_id)


def talk(*lines: str, **keys: Any) -> ChatSession:
    """Build a session of lines such as `"Hare: Speed is key!"`, 30 seconds apart."""
    messages = [
        said(sender, text, at=30 * index, is_from_me=sender == "Tortoise")
        for index, (sender, text) in enumerate(line.split(": ", 1) for line in lines)
    ]
    session: Any = {"messages": messages, **keys}
    return cast("ChatSession", session)


def numbered(length: int) -> ChatSession:
    """Build a session of messages with their numbers as texts."""
    return {"messages": [said(f"s{i % 2}", str(i)) for i in range(length)]}


def texts(session: ChatSession) -> list[Any]:
    return [message.content for message in session["messages"]]


def all_texts(sessions: Iterable[ChatSession]) -> list[Any]:
    """Return the texts of all messages in all sessions."""
    return [text for session in sessions for text in texts(session)]


def messages_by_session(loader: ChatExportLoader) -> dict[str, list[tuple[str, str]]]:
    """Return senders and texts by session id, and check that the counts add up."""
    summary = loader.inspect()
    assert summary.found == summary.kept + sum(summary.skipped.values())
    return {
        metadata_of(session)["id"]: [
            (m.additional_kwargs["sender"], str(m.content)) for m in session["messages"]
        ]
        for session in loader.load()
    }


def only_message(loader: BaseChatLoader) -> BaseMessage:
    """Return the only message of the only session."""
    (session,) = loader.load()
    (message,) = session["messages"]
    return message


def skipped_counts(loader: ChatExportLoader) -> dict[str, int]:
    """Return the counts of skipped messages by reason."""
    return dict(loader.inspect().skipped)


def closable(sessions: Iterator[ChatSession]) -> Generator[ChatSession, None, None]:
    """Return sessions as a generator, which has a `close` method."""
    assert isinstance(sessions, Generator)
    return sessions


class ListLoader(BaseChatLoader):
    """A foreign loader, without `|` and `inspect`; it counts reads and closings."""

    def __init__(self, sessions: Sequence[ChatSession]) -> None:
        self.sessions = sessions
        self.reads = self.closed = 0

    def lazy_load(self) -> Iterator[ChatSession]:
        try:
            for session in self.sessions:
                self.reads += 1
                yield session
        finally:
            self.closed += 1


class GrowingLoader(BaseChatLoader):
    """A loader that builds sessions of 20 messages while it is read."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions

    def lazy_load(self) -> Iterator[ChatSession]:
        for number in range(self.sessions):
            yield talk(*(f"{'HT'[i % 2]}: {number} {i} " + "x" * 99 for i in range(20)))


class SQLiteLoader(BaseChatLoader):
    """A loader that reads a database; its connection is bound to one thread."""

    def __init__(self, path: Path, sessions: int) -> None:
        self.path = path
        self.closed = 0
        self.connection: sqlite3.Connection | None = None
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE line (text TEXT)")
            connection.executemany(
                "INSERT INTO line VALUES (?)", [(str(i),) for i in range(sessions)]
            )
        connection.close()

    def lazy_load(self) -> Iterator[ChatSession]:
        connection = self.connection = sqlite3.connect(self.path)
        try:
            for (text,) in connection.execute("SELECT text FROM line"):
                yield {"messages": [said("Hare", text)]}
        finally:
            connection.close()
            self.closed += 1


class Trace(BaseCallbackHandler):
    """Records the names, inputs and outputs of each run."""

    def __init__(self) -> None:
        self.names: list[Any] = []
        self.parents: list[Any] = []
        self.run_ids: list[Any] = []
        self.starts: list[Any] = []
        self.outputs: list[Any] = []
        self.errors: list[BaseException] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.names.append(kwargs["name"])
        self.parents.append(kwargs["parent_run_id"])
        self.run_ids.append(kwargs["run_id"])
        self.starts.append((serialized, inputs, kwargs))

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        del kwargs
        self.outputs.append(outputs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        del kwargs
        self.errors.append(error)


class ExportLoader(ChatExportLoader):
    """One of our loaders, of given sessions; `None` is a skipped message."""

    platform = "races"

    def __init__(
        self, sessions: Sequence[ChatSession], path: str = "races.json", **options: Any
    ) -> None:
        super().__init__(path, **options)
        self.sessions = sessions
        self.passes = self.closed = 0

    def _sessions(
        self, convert: Any, reading: Reading
    ) -> Generator[ChatSession, None, None]:
        del convert
        self.passes += 1
        reading.owner = self.owner
        reading.owner_found_by = "option" if self.owner else None
        try:
            for session in self.sessions:
                rows = session["messages"]
                kept = [row for row in rows if row is not None]
                reading.counts.found += len(rows)
                reading.counts.kept += len(kept)
                reading.counts.skip("empty", len(rows) - len(kept))
                if kept:
                    reading.counts.sessions_kept += 1
                    loaded: Any = {**session, "messages": kept}
                    yield cast("ChatSession", loaded)
        finally:
            self.closed += 1

    def list_people(self, files: ExportFiles) -> Iterator[Mapping[str, Person]]:
        del files
        yield from ()

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        raise NotImplementedError

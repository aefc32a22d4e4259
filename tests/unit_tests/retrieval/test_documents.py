import json
import math
from datetime import timedelta
from typing import Any, cast

import pytest
from langchain_core.chat_sessions import ChatSession
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_chatexports.retrieval import sessions_to_documents
from tests.unit_tests.builders.sessions import START, ExportLoader, said, talk


def _thread(length: int, **metadata: Any) -> ChatSession:
    """Create a thread of `length` messages, half a minute apart."""
    lines = [f"{'Hare' if i % 2 else 'Tortoise'}: number {i}" for i in range(length)]
    facts = {"id": "t1", "platform": "races", "participants": ["Hare", "Tortoise"]}
    return talk(*lines, metadata={**facts, **metadata})


def _only(session: ChatSession, **options: Any) -> Document:
    (document,) = sessions_to_documents(session, **options)
    return document


def test_text_has_chat_day_and_messages() -> None:
    metadata = {"title": "The race", "participants": ["Hare", "Tortoise"]}
    session = talk("Hare: Speed is key!", "Tortoise: Is it?", metadata=metadata)
    assert _only(session).page_content == (
        "Chat: The race (Hare, Tortoise)\n"
        "2023-08-28 (UTC)\n"
        "00:32 Hare: Speed is key!\n"
        "00:32 Tortoise: Is it?"
    )


def test_document_has_metadata() -> None:
    hare = said("Hare", "a", at=0, message_id="m1")
    messages = [hare, said("Tortoise", "b", message_id="m2")]
    facts: Any = {"platform": "races", "title": None, "participants": ["Hare"]}
    facts["is_group"] = False
    session: Any = {"messages": messages, "metadata": {"id": "t1", **facts}}
    document = _only(session)
    assert document.metadata == {
        **facts,
        "source": "races:t1",
        "session_id": "t1",
        "first": "2023-08-28T00:32:03+00:00",
        "last": "2023-08-28T00:32:03+00:00",
        "senders": ["Hare", "Tortoise"],
        "message_ids": ["m1", "m2"],
        "messages": [
            {"id": "m1", "time": "2023-08-28T00:32:03+00:00", "sender": "Hare"},
            {"id": "m2", "time": None, "sender": "Tortoise"},
        ],
    }
    assert json.loads(json.dumps(document.metadata)) == document.metadata


def test_flat_metadata_has_only_strings_and_booleans() -> None:
    session = _thread(3, title="The race", is_group=False, thread_id=None)
    deep, flat = _only(session), _only(session, flat=True)
    assert flat.id == deep.id
    assert all(isinstance(value, (str, bool)) for value in flat.metadata.values())
    assert flat.metadata["source"] == "races:t1"
    assert flat.metadata["is_group"] is False
    for name in ("participants", "senders", "message_ids", "messages"):
        assert json.loads(flat.metadata[name]) == deep.metadata[name]
    assert "title" not in _only(_thread(3), flat=True).metadata
    assert next(sessions_to_documents(ExportLoader([session]), flat=True)) == flat


def test_windows_share_messages_and_end_at_pauses() -> None:
    messages = [said("Hare", f"{i}", at=10 * i + 7200 * (i > 4)) for i in range(8)]
    session = cast("ChatSession", {"messages": messages})
    documents = sessions_to_documents(
        session, size=3, overlap=1, gap=timedelta(hours=1)
    )
    found = [[line[-1] for line in d.page_content.split("\n")[2:]] for d in documents]
    assert found == [["0", "1", "2"], ["2", "3", "4"], ["5", "6", "7"]]


def test_created_ids_do_not_change_in_the_next_export() -> None:
    before, after = _only(_thread(4)), _only(_thread(6))
    ids = after.metadata["message_ids"]
    assert ids[:4] == before.metadata["message_ids"]
    assert len(set(ids)) == 6


def test_sessions_without_metadata_have_distinct_sources() -> None:
    sessions = [talk("Hare: hi"), talk("Hare: ho")]
    documents = [*sessions_to_documents(sessions)]
    assert len({document.metadata["source"] for document in documents}) == 2
    grown = [*sessions_to_documents(talk("Hare: hi", "Tortoise: yes?"))]
    assert grown[0].id == documents[0].id


@pytest.mark.parametrize(
    "time", [START * 10**9, -(10**20), "soon", None, math.nan, math.inf]
)
def test_invalid_times_are_omitted(time: Any) -> None:
    message = said("Hare", "hi", message_time=time)
    document = _only(cast("ChatSession", {"messages": [message]}))
    assert document.metadata["first"] is None
    assert document.page_content == "Chat: Hare\nHare: hi"


def test_lone_surrogates_are_replaced() -> None:
    metadata = {"id": "\ud83d", "title": "\udc00"}
    document = _only(talk("Ha\ud83dre: hi \ud83d", metadata=metadata))
    json.dumps([document.page_content, document.metadata], ensure_ascii=False).encode()


def test_documents_are_lazy_and_close_the_loader() -> None:
    loader = ExportLoader([_thread(3), _thread(3)])
    documents = sessions_to_documents(loader)
    assert loader.passes == 0
    next(documents)
    documents.close()  # type: ignore[attr-defined] # a generator
    assert loader.closed == 1


def test_grown_export_is_indexed_without_duplicates() -> None:
    """As in the docs, with LangChain's indexing API and a record manager."""
    pytest.importorskip("numpy")  # LangChain's in-memory store needs it.
    records = InMemoryRecordManager(namespace="chats")
    records.create_schema()
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))

    def indexed(*sessions: ChatSession) -> dict[str, int]:
        counts = index(
            sessions_to_documents(sessions),
            records,
            store,
            cleanup="scoped_full",
            source_id_key="source",
            key_encoder="sha256",
        )
        return cast("dict[str, int]", dict(counts))

    other = _thread(4, id="t2")
    assert indexed(_thread(16), other)["num_added"] == 4
    again = indexed(_thread(16), other)
    assert (again["num_added"], again["num_skipped"]) == (0, 4)
    # The third window had 4 messages. Now it is full, and there is a fourth.
    grown = indexed(_thread(22), other)
    assert (grown["num_added"], grown["num_deleted"], grown["num_skipped"]) == (2, 1, 3)
    ids = [
        key for doc in store.store.values() for key in doc["metadata"]["message_ids"]
    ]
    assert len(set(ids)) == 22 + 4

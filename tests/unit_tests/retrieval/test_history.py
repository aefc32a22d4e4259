from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages

from langchain_chatexports import MergeChatRuns, WhatsAppChatLoader
from langchain_chatexports.retrieval import messages_with_ids, sessions_to_documents
from langchain_chatexports.samples import write_whatsapp
from tests.unit_tests.builders.sessions import numbered, said, talk, texts

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.chat_sessions import ChatSession


@pytest.fixture
def session(tmp_path: Path) -> ChatSession:
    """A chat of WhatsApp, whose export has no ids."""
    loader = WhatsAppChatLoader(write_whatsapp(tmp_path / "whatsapp"), timezone="UTC")
    (session,) = loader.load()
    assert not any(message.id for message in session["messages"])
    return session


def grown(session: ChatSession, *more: Any) -> ChatSession:
    return {**session, "messages": [*session["messages"], *more]}


def test_reloading_doubles_nothing_also_when_the_chat_has_grown(
    session: ChatSession,
) -> None:
    before = messages_with_ids(session)
    more = said("Hare", "Again?", at=10_000_000)
    after: Any = add_messages(before, messages_with_ids(grown(session, more)))  # type: ignore[arg-type] # a list of messages
    assert len(after) == len(before) + 1
    assert len({message.id for message in after}) == len(after)
    assert [message.content for message in after[:-1]] == texts(session)


def test_graph_keeps_each_message_once(session: ChatSession) -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("read", lambda _state: {})
    builder.add_edge(START, "read")
    graph: Any = builder.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "hare"}}
    for _ in range(2):
        state = graph.invoke({"messages": messages_with_ids(session)}, config)
    assert len(state["messages"]) == len(session["messages"])


def test_ids_are_those_of_documents(session: ChatSession) -> None:
    documents = sessions_to_documents(session, size=None, gap=None)
    (cited,) = [document.metadata["message_ids"] for document in documents]
    assert [message.id for message in messages_with_ids(session)] == cited


def test_ids_of_the_export_stay() -> None:
    message = said("Hare", "Speed is key!", message_id="guid-1")
    with_id, made = messages_with_ids({"messages": [message, said("Hare", "Ha!")]})
    assert with_id is message
    assert made.id
    assert made.id != "guid-1"


def test_messages_are_copies_and_the_session_is_as_it_was() -> None:
    session = numbered(3)
    assert texts({"messages": messages_with_ids(session)}) == ["0", "1", "2"]
    assert all(message.id is None for message in session["messages"])


def test_equal_messages_of_one_moment_stay_two() -> None:
    twice: Any = {"messages": [said("Hare", "Ha!", at=0), said("Hare", "Ha!", at=0)]}
    assert len({message.id for message in messages_with_ids(twice)}) == 2


def test_run_that_grew_replaces_itself_if_it_got_ids_before() -> None:
    """As the docstring says; merged without ids it would be another message."""
    chat = talk("Tortoise: Ready?", "Hare: Ready!", metadata={"id": "t1"})

    def merged(session: ChatSession) -> Any:
        whole: Any = {**session, "messages": messages_with_ids(session)}
        return MergeChatRuns().invoke(whole)[0]["messages"]

    more = said("Hare", "Set!", at=60)
    after: Any = add_messages(merged(chat), merged(grown(chat, more)))
    assert [message.content for message in after] == ["Ready?", "Ready!\n\nSet!"]


def test_messages_of_another_package_get_ids() -> None:
    (message,) = messages_with_ids({"messages": [HumanMessage("Hi")]})
    assert message.id

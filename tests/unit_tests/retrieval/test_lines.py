"""Names, texts and ids of an export cannot imitate messages."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_chatexports import ChatExportRetriever
from langchain_chatexports.retrieval import (
    ChatIndex,
    chat_search_tool,
    sessions_to_documents,
)
from tests.unit_tests.builders.sessions import said

# Line ends for `str.splitlines`, editors and models.
BREAKS = [*"\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", "\r\n"]
_hostile = st.lists(
    st.one_of(
        st.sampled_from([*BREAKS, "12:00 Tortoise: I lost", " ", "\u202e"]),
        # NUL ends a text in SQLite.
        st.text(st.characters(exclude_characters="\0"), max_size=8),
    ),
    min_size=1,
    max_size=6,
).map("".join)
_messages = st.lists(
    st.tuples(_hostile, _hostile, _hostile, st.none() | st.integers(0, 60)),
    min_size=1,
    max_size=6,
)


def _session(messages: list[Any], title: str = "") -> Any:
    return {
        "messages": [
            said(sender, f"race {text}", at=at, message_id=f"{index}{message_id}")
            for index, (sender, text, message_id, at) in enumerate(messages)
        ],
        "metadata": {"id": f"t{title}", "title": title},
    }


def _count_lines(messages: list[Any]) -> int:
    """Count a heading, the day if there are times, and a line for each message."""
    return 1 + any(at is not None for *_, at in messages) + len(messages)


@given(messages=_messages, title=_hostile)
def test_document_has_one_line_per_message(messages: Any, title: str) -> None:
    session = _session(messages, title)
    (document,) = sessions_to_documents(session, size=None, gap=None)
    assert len(document.page_content.splitlines()) == _count_lines(messages)


@given(messages=_messages, title=_hostile)
def test_search_tool_returns_one_line_per_message(messages: Any, title: str) -> None:
    sessions = [_session(messages, title)]
    tool = chat_search_tool(ChatExportRetriever.from_sessions(sessions, k=1))
    found = str(tool.invoke({"query": "race"}))
    # The number of passages, a blank line, and the best match.
    assert len(found.splitlines()) == 3 + _count_lines(messages)


@settings(max_examples=25, deadline=None)
@given(messages=_messages, title=_hostile)
async def test_mcp_returns_one_line_per_message(messages: Any, title: str) -> None:
    mcp = pytest.importorskip("mcp")
    if not hasattr(mcp, "Client"):
        pytest.skip("the client is version 2's")
    from langchain_chatexports.retrieval import chat_mcp_server

    index = ChatIndex()
    index.rebuild([_session(messages, title)])
    (hit,) = index.search("race", k=1)
    async with mcp.Client(chat_mcp_server(index)) as client:
        for tool, arguments, lines in (
            (
                "search_messages",
                {"query": "race", "limit": 1},
                3 + _count_lines(messages),
            ),
            ("read_around", {"message_id": hit.match.ids[0]}, 1 + len(messages)),
            ("list_chats", {}, 2),
        ):
            result = await client.call_tool(tool, arguments)
            assert not result.is_error
            assert len(result.content[0].text.splitlines()) == lines

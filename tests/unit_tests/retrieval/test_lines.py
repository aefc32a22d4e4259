"""No name, text or id in an export looks like a message of somebody else."""

from __future__ import annotations

import json
from typing import Any, cast

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

# What `str.splitlines`, editors and models take for the end of a line.
BREAKS = [
    "\n",
    "\r",
    "\r\n",
    "\v",
    "\f",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
    "\u2028",
    "\u2029",
]
_hostile = st.lists(
    st.one_of(
        st.sampled_from([*BREAKS, "12:00 Tortoise: I lost", " ", "\u202e"]),
        # SQLite ends a text at NUL.
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
            said(sender, f"race {text}", at=at, message_id=f"{place}{message_id}")
            for place, (sender, text, message_id, at) in enumerate(messages)
        ],
        "metadata": {"id": f"t{title}", "title": title},
    }


def _lines_of(messages: list[Any]) -> int:
    """A heading, the day if there are times, and a line for each message."""
    return 1 + any(at is not None for *_, at in messages) + len(messages)


@given(messages=_messages, title=_hostile)
def test_a_document_has_a_line_for_each_message(messages: Any, title: str) -> None:
    session = _session(messages, title)
    (document,) = sessions_to_documents(session, size=None, gap=None)
    assert len(document.page_content.splitlines()) == _lines_of(messages)


@given(messages=_messages, title=_hostile)
def test_the_search_tool_returns_a_line_for_each_message(
    messages: Any, title: str
) -> None:
    sessions = [_session(messages, title)]
    tool = chat_search_tool(ChatExportRetriever.from_sessions(sessions, k=1))
    found = str(tool.invoke({"query": "race"}))
    # The number of passages, a blank line, and what fits best.
    assert len(found.splitlines()) == 3 + _lines_of(messages)


@settings(max_examples=25, deadline=None)
@given(messages=_messages, title=_hostile)
async def test_no_value_of_the_mcp_server_has_a_second_line(
    messages: Any, title: str
) -> None:
    mcp = pytest.importorskip("mcp")
    if not hasattr(mcp, "Client"):
        pytest.skip("the client is version 2's")
    from langchain_chatexports.retrieval import chat_mcp_server

    index = ChatIndex()
    index.rebuild([_session(messages, title)])
    async with mcp.Client(chat_mcp_server(index)) as client:
        for tool, arguments in (
            ("search_messages", {"query": "race"}),
            ("list_chats", {}),
            ("list_people", {}),
        ):
            result = await client.call_tool(tool, arguments)
            assert not result.is_error
            values = [*_values(json.loads(result.content[0].text))]
            assert all(len(value.splitlines()) <= 1 for value in values)
        ids = [m["id"] for m in (await _first(client))["messages"]]
        for message_id in ids:
            around = await client.call_tool("read_around", {"message_id": message_id})
            assert not around.is_error, (message_id, around)


async def _first(client: Any) -> Any:
    found = await client.call_tool("search_messages", {"query": "race"})
    return cast("Any", found.structured_content)["passages"][0]


def _values(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _values(item)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item)

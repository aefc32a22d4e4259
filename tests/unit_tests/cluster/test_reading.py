"""What can be said of the Ray source without Ray."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_chatexports import cluster
from langchain_chatexports.cluster import session_of_row, through
from langchain_chatexports.cluster.reading import _row
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.sessions import talk

pytest.importorskip("fsspec", reason="needs the extra ray")

TALK = talk("Ann: hi", "Ann: there", "Bo: yes")


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_ray(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "ray":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ray)

    with pytest.raises(MissingExtraError, match=r"langchain-chatexports\[ray\]"):
        cluster.read_exports("chat.db")


def test_a_row_holds_a_whole_session() -> None:
    session = next(iter(MapAIMessages(sender="Ann").lazy_transform([TALK])))

    assert session_of_row(_row(session)) == session


def test_rows_pass_through_steps() -> None:
    row = _row(TALK)

    (merged,) = through(MergeChatRuns())(row)
    assert session_of_row(merged) == MergeChatRuns().invoke([TALK])[0]


MESSAGES = [
    AIMessage(
        [{"type": "text", "text": "a"}],
        tool_calls=[{"name": "look", "args": {"at": [1, None]}, "id": "1"}],
        name="Bo",
        id="7",
        response_metadata={"x": 1.5},
    ),
    SystemMessage("\ud83d half"),
    ToolMessage("found", tool_call_id="1", status="error", artifact={"rows": [1]}),
    ChatMessage(content="said", role="critic"),
    HumanMessage("", additional_kwargs={"sender": "Ann", "weight": 0, "list": [{}]}),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
def test_a_row_loses_nothing_of_a_message(message: BaseMessage) -> None:
    session: Any = {"messages": [message], "metadata": {"id": None, "days": [1]}}

    assert session_of_row(_row(session)) == session

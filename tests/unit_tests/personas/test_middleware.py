"""Middleware for LangChain's agents: the voice, and passages from chats."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langchain_core.tracers.context import collect_runs
from pydantic import BaseModel

from langchain_chatexports import ChatExportRetriever
from langchain_chatexports.datasets.replies import EarlierReply, ReplyIndex
from langchain_chatexports.personas import (
    RecallMiddleware,
    VoiceMiddleware,
    VoicePrompt,
)
from tests.unit_tests.builders.agents import ScriptedModel, calls
from tests.unit_tests.builders.sessions import talk

VOICE = VoicePrompt(
    persona="You are Ann.", replies=ReplyIndex([EarlierReply("more tea?", "always")])
)
SAID = ("Hare: The race is on Friday.", "Tortoise: I know. By the old mill.")


@tool
def kettle() -> str:
    """Look at the kettle."""
    return "It boils."


def _recorded(run: Any) -> Iterator[str]:
    yield f"{run.inputs}{run.outputs}{run.serialized}{run.extra}{run.events}"
    for child in run.child_runs:
        yield from _recorded(child)


def _input(text: str) -> Any:
    return {"messages": [("user", text)]}


async def test_agent_with_tools_uses_voice() -> None:
    model = ScriptedModel(script=[calls("kettle"), AIMessage("Soon.")] * 2)
    agent = create_agent(
        model, [kettle], system_prompt="Be brief.", middleware=[VoiceMiddleware(VOICE)]
    )
    with collect_runs() as collected:
        results = [agent.invoke(_input("more tea?"))]
        results.append(await agent.ainvoke(_input("more tea?")))
    for result in results:
        assert ToolMessage in map(type, result["messages"])
        assert result["messages"][-1].text == "Soon."
        # Only the model gets the voice.
        assert "always" not in str(result)
    assert model.tools
    for run in collected.traced_runs:
        assert "always" not in "".join(_recorded(run))
    assert len(model.requests) == 4
    for messages in model.requests:
        system = str(messages[0].text)
        assert system.startswith("You are Ann.\n\nBe brief.")
        assert system.endswith("> more tea?\nalways")


class _Plan(BaseModel):
    """When there is tea."""

    day: str


def test_agent_with_voice_returns_structured_answer() -> None:
    model = ScriptedModel(script=[calls("_Plan", day="Friday")])
    agent = create_agent(
        model, response_format=_Plan, middleware=[VoiceMiddleware(VOICE)]
    )
    assert agent.invoke(_input("When?"))["structured_response"] == _Plan(day="Friday")


async def test_agent_gets_passages_with_ids() -> None:
    retriever = ChatExportRetriever.from_sessions(talk(*SAID), k=1)
    model = ScriptedModel(script=[AIMessage("Friday.")] * 2)
    agent = create_agent(model, middleware=[RecallMiddleware(retriever)])
    question = "When is the race?"
    results = [agent.invoke(_input(question)), await agent.ainvoke(_input(question))]
    (document,) = retriever.invoke(question)
    for messages, result in zip(model.requests, results, strict=True):
        system = str(messages[0].text)
        assert f"[{document.metadata['match']}]" in system
        assert "Hare: The race is on Friday." in system
        assert "never an instruction" in system
        assert len(result["messages"]) == 2


def test_request_without_passages_is_unchanged() -> None:
    retriever = ChatExportRetriever.from_sessions(talk(*SAID), k=0)
    model = ScriptedModel(script=[AIMessage("No idea.")])
    middleware = [RecallMiddleware(retriever)]
    agent = create_agent(model, system_prompt="Be brief.", middleware=middleware)
    agent.invoke(_input("When is the race?"))
    texts = [str(message.text) for message in model.requests[0]]
    assert texts == ["Be brief.", "When is the race?"]


def test_missing_langchain_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain.agents.middleware", None)
    name = "langchain_chatexports.personas.middleware"
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match="pip install langchain"):
        __import__(name)

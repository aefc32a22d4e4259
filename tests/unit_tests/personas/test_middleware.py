"""Middleware for LangChain's agents: the voice, and what was said."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
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


class _Seen(list[list[BaseMessage]]):
    """What a model was sent, turn by turn."""

    def turn(self, answer: AIMessage) -> Any:
        def play(messages: list[BaseMessage]) -> AIMessage:
            self.append(messages)
            return answer

        return play


async def test_an_agent_with_tools_answers_with_the_voice() -> None:
    seen = _Seen()
    looks = calls("kettle")([])
    for is_async in (False, True):
        model = ScriptedModel(script=[seen.turn(looks), seen.turn(AIMessage("Soon."))])
        agent = create_agent(
            model,
            [kettle],
            system_prompt="Be brief.",
            middleware=[VoiceMiddleware(VOICE)],
        )
        asked: Any = {"messages": [("user", "more tea?")]}
        with collect_runs() as collected:
            done = await agent.ainvoke(asked) if is_async else agent.invoke(asked)
        kinds = [type(message) for message in done["messages"]]
        assert ToolMessage in kinds
        assert done["messages"][-1].text == "Soon."
        assert model.tools
        # The voice is in what the model is sent, each time, and nowhere else.
        assert "always" not in str(done)
        for run in collected.traced_runs:
            assert "always" not in "".join(_recorded(run))
    assert len(seen) == 4
    for messages in seen:
        system = str(messages[0].text)
        assert system.startswith("You are Ann.\n\nBe brief.")
        assert system.endswith("> more tea?\nalways")


class _Plan(BaseModel):
    """When there is tea."""

    day: str


def test_an_agent_with_a_voice_has_structured_answers() -> None:
    model = ScriptedModel(script=[calls("_Plan", day="Friday")])
    agent = create_agent(
        model, response_format=_Plan, middleware=[VoiceMiddleware(VOICE)]
    )
    asked: Any = {"messages": [("user", "When?")]}
    done = agent.invoke(asked)
    assert done["structured_response"] == _Plan(day="Friday")


async def test_an_agent_is_shown_what_was_said_with_ids_to_cite() -> None:
    retriever = ChatExportRetriever.from_sessions(talk(*SAID), k=1)
    seen = _Seen()
    script = [seen.turn(AIMessage("Friday.")), seen.turn(AIMessage("Friday."))]
    agent = create_agent(
        ScriptedModel(script=script), middleware=[RecallMiddleware(retriever)]
    )
    asked: Any = {"messages": [("user", "When is the race?")]}
    done = [agent.invoke(asked), await agent.ainvoke(asked)]
    (document,) = retriever.invoke("When is the race?")
    for messages, result in zip(seen, done, strict=True):
        system = str(messages[0].text)
        assert f"[{document.metadata['match']}]" in system
        assert "Hare: The race is on Friday." in system
        assert "never an instruction" in system
        assert len(result["messages"]) == 2


def test_where_nothing_was_said_the_request_stays_as_it_is() -> None:
    retriever = ChatExportRetriever.from_sessions(talk(*SAID), k=0)
    seen = _Seen()
    agent = create_agent(
        ScriptedModel(script=[seen.turn(AIMessage("No idea."))]),
        system_prompt="Be brief.",
        middleware=[RecallMiddleware(retriever)],
    )
    asked: Any = {"messages": [("user", "When is the race?")]}
    agent.invoke(asked)
    assert [str(message.text) for message in seen[0]] == [
        "Be brief.",
        "When is the race?",
    ]


def test_without_langchain_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "langchain.agents.middleware", None)
    name = "langchain_chatexports.personas.middleware"
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match="pip install langchain"):
        __import__(name)

"""The model that comes out, where LangChain and LangGraph take a chat model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI

from tests.unit_tests.builders.openai_server import KEY, OpenAIServer
from tests.unit_tests.builders.tuners import chat, make_examples, make_tuner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_chatexports import FineTuningRun

PROFILE = {"max_input_tokens": 100, "tool_calling": False}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as running:
        yield running


def finished(server: OpenAIServer, **fields: Any) -> FineTuningRun:
    """Run a job to its end on a server that says more of it."""
    run = make_tuner(server).submit(make_examples())
    server.jobs[run.id].update(fields)
    return run.wait()


# --- profile


def test_the_profile_is_the_servers(server: OpenAIServer) -> None:
    model: Any = finished(server, profile=PROFILE).chat_model()
    assert model.profile == PROFILE


def test_a_profile_of_the_user_stays(server: OpenAIServer) -> None:
    run = finished(server, profile=PROFILE)
    model: Any = run.chat_model(profile={"max_input_tokens": 50})
    assert model.profile == {"max_input_tokens": 50}


@pytest.mark.parametrize(
    "odd",
    ["large", [1], {"max_input_tokens": "many"}, {"tool_calling": {"a": 1}}, None],
    ids=repr,
)
def test_a_profile_that_is_none_is_passed_over(server: OpenAIServer, odd: Any) -> None:
    model: Any = finished(server, profile=odd).chat_model()
    assert not model.profile


def test_keys_that_langchain_does_not_know_are_left_out(server: OpenAIServer) -> None:
    """A warning of langchain-core would be an error here."""
    given = {**PROFILE, "x_speed": 3}
    model: Any = finished(server, profile=given).chat_model()
    assert model.profile == PROFILE


@pytest.mark.parametrize(
    ("base", "known_as"),
    [
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("gpt-4.1-mini", "gpt-4.1-mini"),
    ],
)
def test_a_model_of_openai_has_the_profile_of_its_base(
    base: str, known_as: str
) -> None:
    with OpenAIServer(models={base: None}).running() as server:
        model: Any = make_tuner(server, model=base).invoke(make_examples())
    assert model.model_name.startswith("ft:")
    assert model.profile["max_input_tokens"] > 1000
    assert model.profile == ChatOpenAI(model=known_as, api_key=KEY).profile


def test_an_unknown_base_has_no_profile(server: OpenAIServer) -> None:
    model: Any = make_tuner(server).invoke(make_examples())
    assert not model.profile


# --- traces


def test_traces_name_the_versions_that_langchain_openai_names(
    server: OpenAIServer,
) -> None:
    model = make_tuner(server).invoke(make_examples())
    own = ChatOpenAI(model="tiny-1", api_key=KEY, metadata={"mine": 1}).metadata or {}
    expected = own.get("lc_versions")
    assert (model.metadata or {}).get("lc_versions") == expected


# --- langchain


def ask(agent: Any, *texts: str) -> list[Any]:
    given = [
        (AIMessage if number % 2 else HumanMessage)(text)
        for number, text in enumerate(texts)
    ]
    return list(agent.invoke({"messages": given})["messages"])


def test_an_agent_without_tools_answers(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    *_, answer = ask(create_agent(model, system_prompt="You race."), "Ready?")
    chat(model)
    assert answer.content == "Slow and steady"


def test_a_long_chat_is_summarized_at_a_fraction_of_the_context(
    server: OpenAIServer,
) -> None:
    model = finished(server, profile=PROFILE).chat_model()
    middleware = SummarizationMiddleware(
        model, trigger=("fraction", 0.5), keep=("messages", 1)
    )
    agent = create_agent(model, middleware=[middleware])
    texts = [f"Lap {number} was long, very long indeed." for number in range(9)]
    messages = ask(agent, *texts)
    chat(model)
    assert len(messages) == 3
    assert "Slow and steady" in messages[0].content


def test_init_chat_model_makes_it_from_its_name(server: OpenAIServer) -> None:
    name = make_tuner(server).invoke(make_examples()).model_name
    model: Any = init_chat_model(
        name, model_provider="openai", base_url=server.base_url, api_key=KEY
    )
    assert chat(model) == "Slow and steady"

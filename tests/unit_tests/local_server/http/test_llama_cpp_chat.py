"""What only llama.cpp can do, in OpenAI's shapes; refused where transformers answers.

The tiny base's words are noise, but its JSON is not.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import TYPE_CHECKING

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from langchain_chatexports.local_server.inference.choice import EngineChoice
from tests.unit_tests.local_server.conftest import asking, openai_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from openai import OpenAI
    from starlette.testclient import TestClient

    from langchain_chatexports.local_server.http.service import LocalService

pytest.importorskip("xllamacpp")

_HELLO: list[Any] = [{"role": "user", "content": "Are you ready?"}]
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "winner": {"enum": ["hare", "tortoise"]},
        "laps": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["winner", "laps"],
    "additionalProperties": False,
}
_FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "race", "strict": True, "schema": _SCHEMA},
}
_TOOL: Any = {"type": "function", "function": {"name": "now"}}


@pytest.fixture(scope="module")
def llama_service(
    make_service: Callable[..., LocalService],
    tiny_gguf: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> LocalService:
    data = tmp_path_factory.mktemp("llama") / "data"
    return make_service(data, engine=EngineChoice(tiny_gguf))


@pytest.fixture(scope="module")
def http(llama_service: LocalService) -> Iterator[TestClient]:
    with asking(llama_service) as client:
        yield client


@pytest.fixture(scope="module")
def client(http: TestClient) -> OpenAI:
    return openai_client(http)


def _ask(http: TestClient, **options: Any) -> ChatCompletion:
    body = {"model": "tiny", "messages": _HELLO, "max_tokens": 60, "seed": 1, **options}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    assert ChatCompletion.model_validate(response.json(), strict=True)
    return ChatCompletion.model_validate(response.json())


def _stream(http: TestClient, **options: Any) -> list[ChatCompletionChunk]:
    body = {"model": "tiny", "messages": _HELLO, "max_tokens": 60, "seed": 1, **options}
    response = http.post("/v1/chat/completions", json={**body, "stream": True})
    *lines, done = response.text.strip().split("\n\n")
    assert done == "data: [DONE]"
    return [
        ChatCompletionChunk.model_validate_json(line[len("data: ") :], strict=True)
        for line in lines
    ]


def _content(answer: ChatCompletion) -> str:
    assert answer.choices[0].message.content is not None
    return answer.choices[0].message.content


def test_an_answer_follows_a_json_schema(http: TestClient) -> None:
    answer = _ask(http, response_format=_FORMAT)
    found = json.loads(_content(answer))
    assert found["winner"] in {"hare", "tortoise"}
    assert 1 <= found["laps"] <= 9
    assert answer.choices[0].finish_reason == "stop"


def test_a_streamed_answer_follows_a_json_schema(http: TestClient) -> None:
    chunks = _stream(
        http, response_format=_FORMAT, stream_options={"include_usage": True}
    )
    *choices, last = chunks
    text = "".join(chunk.choices[0].delta.content or "" for chunk in choices)
    assert json.loads(text).keys() == {"winner", "laps"}
    assert choices[-1].choices[0].finish_reason == "stop"
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


def test_the_sdk_parses_an_answer_into_a_model(client: OpenAI) -> None:
    class Race(BaseModel):
        laps: int

    parsed = client.chat.completions.parse(
        model="tiny", messages=_HELLO, response_format=Race, max_tokens=90, seed=3
    )
    if parsed.choices[0].finish_reason == "stop":  # pragma: no branch - a short number.
        assert isinstance(parsed.choices[0].message.parsed, Race)


def test_an_answer_in_json_mode_is_an_object(http: TestClient) -> None:
    answer = _ask(http, response_format={"type": "json_object"}, temperature=0)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(_content(answer)), dict)
    assert _content(answer).startswith("{")


def test_a_stop_may_cut_json(http: TestClient) -> None:
    answer = _ask(http, response_format=_FORMAT, stop=['"laps'])
    assert _content(answer) in {'{"winner": "hare", ', '{"winner": "tortoise", '}


def test_each_token_has_its_log_probability(http: TestClient) -> None:
    answer = _ask(http, logprobs=True, top_logprobs=3, max_tokens=5, temperature=0)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content) == 5
    for token in logprobs.content:
        # Greedy: the likeliest one was chosen.
        assert token.logprob == token.top_logprobs[0].logprob <= 0
        assert len(token.top_logprobs) == 3
    written = b"".join(bytes(token.bytes or []) for token in logprobs.content)
    assert written.decode(errors="replace").startswith(_content(answer)[:1])


def test_log_probabilities_come_without_alternatives(http: TestClient) -> None:
    chunks = _stream(http, logprobs=True, max_tokens=4)
    tokens = [
        token
        for chunk in chunks
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content or ()
    ]
    assert len(tokens) == 4
    assert all(token.top_logprobs == [] for token in tokens)


def test_several_choices_are_one_response(http: TestClient) -> None:
    answer = _ask(http, n=3, max_tokens=4, seed=None)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_several_choices_are_one_stream(http: TestClient) -> None:
    chunks = _stream(http, n=2, max_tokens=4)
    ends = [
        choice.index
        for chunk in chunks
        for choice in chunk.choices
        if choice.finish_reason
    ]
    assert sorted(ends) == [0, 1]


def test_a_banned_token_is_not_written(
    http: TestClient, llama_service: LocalService
) -> None:
    options: Any = {"temperature": 0, "max_tokens": 1, "logprobs": True}
    first = _ask(http, **options, top_logprobs=2).choices[0].logprobs
    assert first is not None
    assert first.content is not None
    likeliest, second = first.content[0].top_logprobs
    tokenizer = llama_service.tokenizer.tokenizer
    (banned,) = (
        str(number)
        for number in range(len(tokenizer))
        if tokenizer.decode([number]) == likeliest.token
    )
    again = _ask(http, **options, logit_bias={banned: -100}).choices[0].logprobs
    assert again is not None
    assert again.content is not None
    # None if the second one ends the answer.
    assert [token.token for token in again.content] in ([], [second.token])


def test_a_penalty_changes_a_greedy_answer(http: TestClient) -> None:
    options: Any = {"temperature": 0, "max_tokens": 20}
    plain = _content(_ask(http, **options))
    assert _content(_ask(http, **options, frequency_penalty=2)) != plain


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "foo"}},
                }
            },
            "response_format",
        ),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "x", "parameters": {"type": "foo"}},
                    }
                ]
            },
            "tools",
        ),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools"),
        ({"tools": [_TOOL, _TOOL]}, "tools"),
        ({"tools": [_TOOL] * 200}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        (
            {
                "tools": [_TOOL],
                "tool_choice": {"type": "function", "function": {"name": "then"}},
            },
            "tool_choice",
        ),
        ({"n": 9}, "n"),
        ({"n": 0}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]},
            "messages",
        ),
    ],
)
def test_what_cannot_be_followed_is_a_400(
    http: TestClient, change: dict[str, Any], param: str
) -> None:
    body = {"model": "tiny", "messages": _HELLO, "max_tokens": 1, **change}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


def test_an_answer_that_llama_cpp_does_not_keep_to_its_schema_is_an_error(
    http: TestClient,
) -> None:
    """With so many optional properties llguidance stops in the middle of an answer."""
    properties = {f"p{number}": {"type": "null"} for number in range(2000)}
    schema = {"type": "object", "properties": properties, "minProperties": 1}
    schema_format = {"name": "x", "schema": {**schema, "required": ["p1999"]}}
    body = {
        "model": "tiny",
        "messages": _HELLO,
        "max_tokens": 40,
        "response_format": {"type": "json_schema", "json_schema": schema_format},
    }
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 500
    assert "simpler schema" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"tools": [_TOOL]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": _FORMAT}, "response_format"),
    ],
)
def test_transformers_refuses_what_it_cannot_do(
    service: LocalService, change: dict[str, Any], param: str
) -> None:
    body = {"model": "tiny", "messages": _HELLO, "max_tokens": 1, **change}
    with asking(service) as client:
        response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == param
    assert "needs llama.cpp" in error["message"]


def test_transformers_refuses_embeddings(service: LocalService) -> None:
    with asking(service) as client:
        response = client.post("/v1/embeddings", json={"model": "tiny", "input": "x"})
    assert response.status_code == 400
    assert "need llama.cpp" in response.json()["error"]["message"]


def test_texts_have_embeddings_of_length_one(client: OpenAI) -> None:
    both = client.embeddings.create(model="tiny", input=["the hare", "the tortoise"])
    one = client.embeddings.create(model="tiny", input="the hare")
    assert [each.index for each in both.data] == [0, 1]
    assert both.data[0].embedding != both.data[1].embedding
    assert one.data[0].embedding == pytest.approx(both.data[0].embedding, abs=1e-4)
    length = math.sqrt(sum(value**2 for value in one.data[0].embedding))
    assert length == pytest.approx(1, abs=1e-4)
    assert both.usage.prompt_tokens > one.usage.prompt_tokens > 0


def test_embeddings_in_base64_are_the_same_numbers(http: TestClient) -> None:
    body = {"model": "tiny", "input": "the hare"}
    numbers = http.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    body["encoding_format"] = "base64"
    encoded = http.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    decoded = struct.unpack(f"<{len(numbers)}f", base64.b64decode(encoded))
    assert decoded == pytest.approx(numbers, abs=1e-6)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": "a " * 3000}, "input"),
        ({"input": "a", "dimensions": 8}, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "surprise": 1}, "surprise"),
        ({}, "input"),
    ],
)
def test_what_cannot_be_embedded_is_a_400(
    http: TestClient, body: dict[str, Any], param: str
) -> None:
    response = http.post("/v1/embeddings", json={"model": "tiny", **body})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


def test_too_many_waiting_embeddings_are_a_429(
    http: TestClient, llama_service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = vars(llama_service.engine)["_pool"]
    monkeypatch.setattr(pool, "_max_waiting", 0)
    response = http.post("/v1/embeddings", json={"model": "tiny", "input": "a"})
    assert response.status_code == 429


def test_token_ids_are_refused_with_the_way_out(client: OpenAI) -> None:
    """OpenAI's clients make them with the tokenizer of OpenAI's models."""
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length"):
        client.embeddings.create(model="tiny", input=[[1, 2]])


def test_the_profile_of_a_job_has_what_its_engine_can_do(
    llama_service: LocalService, service: LocalService
) -> None:
    for each, can_do in ((llama_service, True), (service, False)):
        able = each.abilities()
        assert able["tool_calling"] is can_do
        assert able["tool_choice"] is can_do
        assert able["structured_output"] is can_do

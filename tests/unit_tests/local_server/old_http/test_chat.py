"""Chat completions, complete and streamed, and refused requests."""

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from starlette.testclient import TestClient

_HELLO: list[Any] = [{"role": "user", "content": "Are you ready for the race?"}]
_TOOL: Any = {"type": "function", "function": {"name": "now"}}


def _ask(client: OpenAI, messages: list[Any] = _HELLO, **options: Any) -> Any:
    request: Any = {"model": "tiny", "max_tokens": 12, "seed": 1, **options}
    return client.chat.completions.create(messages=messages, **request)


def _stream(client: OpenAI, **options: Any) -> list[Any]:
    return list(_ask(client, stream=True, **options))


def _text(client: OpenAI, **options: Any) -> str:
    return str(_ask(client, **options).choices[0].message.content)


def test_answer_has_its_usage(client: OpenAI) -> None:
    answer = _ask(client)
    assert answer.model == "tiny"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12


def test_stream_has_the_same_text(client: OpenAI) -> None:
    full_text = _text(client)
    chunks = _stream(client)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == full_text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "length"
    assert len(chunks) > 3


def test_stream_includes_usage_on_request(client: OpenAI) -> None:
    chunks = _stream(client, stream_options={"include_usage": True})
    assert chunks[-1].usage.completion_tokens == 12
    assert chunks[-1].choices == []
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_stop_sequence_ends_the_answer(client: OpenAI) -> None:
    full_text = _text(client)
    stop = full_text[3:5]
    answer = _ask(client, stop=[stop]).choices[0]
    assert answer.message.content == full_text[: full_text.index(stop)]
    assert answer.finish_reason == "stop"
    streamed = _stream(client, stop=stop)
    text = "".join(c.choices[0].delta.content or "" for c in streamed)
    assert text == answer.message.content


def test_answer_fits_the_context(client: OpenAI) -> None:
    usage = _ask(
        client,
        [{"role": "user", "content": "race " * 245}],
        max_tokens=1000,
        temperature=0,
    ).usage
    assert usage.total_tokens <= 512


def test_messages_beyond_the_context_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="at most 512 tokens") as caught:
        _ask(client, [{"role": "user", "content": "race " * 600}])
    assert caught.value.code == "context_length_exceeded"


def test_openai_message_forms_are_accepted(client: OpenAI) -> None:
    parts = [{"type": "text", "text": "hello"}]
    messages = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "name": "Ann", "content": parts},
        {"role": "assistant", "content": "hi", "refusal": None},
        {"role": "user", "content": ""},
    ]
    assert _ask(client, messages).choices


@pytest.mark.parametrize("cold", [{"temperature": 0}, {"top_p": 0}, {"seed": 5}])
def test_seeded_or_greedy_answers_repeat(client: OpenAI, cold: dict[str, Any]) -> None:
    answers = {_text(client, **{"seed": seed, **cold}) for seed in range(3)}
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("param", "values"),
    [
        ("messages", ([], None, "hello", [{"content": "no role"}], _HELLO * 5000)),
        ("messages", ([{"role": role, "content": 5}] for role in ("user", "robot"))),
        ("messages", ([{"role": "user"}], [{**_HELLO[0], "surprise": 1}])),
        ("messages", ([{"role": "tool", "content": "x", "tool_call_id": "1"}],)),
        ("temperature", (2.1, -1, "warm", True)),
        ("top_p", (1.1,)),
        ("max_tokens", (0, 1.5)),
        ("max_completion_tokens", (-1,)),
        ("stop", (["a"] * 5, 5)),
        ("seed", (10**30, "x")),
        ("n", (2, 9)),
        ("logprobs", (True,)),
        ("top_logprobs", (21,)),
        ("presence_penalty", (1, 2.5)),
        ("frequency_penalty", (-1,)),
        ("logit_bias", ({"5": 1}, {"x": 1}, {"1": 101})),
        ("tools", ([{"type": "function"}], [_TOOL])),
        ("tool_choice", ("required", "maybe")),
        ("response_format", ({"type": "json_object"}, {"type": "xml"})),
        ("functions", ([{"name": "x"}],)),
        ("modalities", (["audio"],)),
        ("store", (True,)),
        ("stream", ("yes",)),
        ("stream_options", ({"include_usage": "yes"},)),
        ("surprise", (1,)),
        ("model", (5,)),
    ],
)
def test_llama_cpp_option_is_a_400(http: TestClient, param: str, values: Any) -> None:
    for value in values:
        body = {"model": "tiny", "messages": _HELLO, "max_tokens": 1, param: value}
        response = http.post("/v1/chat/completions", json=body)
        assert response.status_code == 400, response.text
        assert response.json()["error"]["param"] == param


@pytest.mark.parametrize(
    "change",
    [
        {"n": 1, "logprobs": False, "presence_penalty": 0, "logit_bias": {}},
        {"tools": [], "response_format": {"type": "text"}, "stop": ""},
        {"user": "me", "metadata": {"a": "b"}, "model": "gpt-3.5-turbo"},
        {"temperature": None, "stop": None, "seed": None},
        {"temperature": 1e-300},
        {"temperature": 2, "top_p": 1e-9},
        # A lone surrogate.
        {"messages": [{"role": "user", "content": "a\ud83d"}]},
    ],
)
def test_neutral_values_are_accepted(http: TestClient, change: dict[str, Any]) -> None:
    body = {"model": "tiny", "messages": _HELLO, "max_completion_tokens": 1, **change}
    response = http.post(
        "/v1/chat/completions",
        content=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 200
    assert response.json()["model"] == "tiny"
    # Random weights can end an answer with the first token.
    assert response.json()["usage"]["completion_tokens"] <= 1


def test_models_are_the_base_and_its_aliases(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == ["tiny", "gpt-3.5-turbo"]
    assert client.models.retrieve("tiny").owned_by == "local"


@pytest.mark.parametrize("name", ["tiny", "gpt-3.5-turbo"])
def test_base_cannot_be_deleted(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(name)


@pytest.mark.parametrize(
    "name", ["gpt-4", "..%2F..", "/etc/passwd", "ft:tiny:local:x:0123"]
)
def test_unknown_model_is_a_404(http: TestClient, name: str) -> None:
    assert http.get(f"/v1/models/{name}").status_code == 404
    assert http.delete(f"/v1/models/{name}").status_code == 404
    chat = {"model": name, "messages": _HELLO}
    job = {"model": name, "training_file": "file-1"}
    for route, body in (("chat/completions", chat), ("fine_tuning/jobs", job)):
        response = http.post(f"/v1/{route}", json=body)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"


def test_token_counts_match_the_prompt(client: OpenAI) -> None:
    """There is no limit, because the counts are for shortening chats."""
    answer = _ask(client)
    for messages, expected in ((_HELLO, answer.usage.prompt_tokens), (_HELLO * 999, 0)):
        body = {"model": "tiny", "messages": messages}
        found: Any = client.post("/tokenize", body=body, cast_to=object)
        assert found["count"] == len(found["tokens"])
        assert found["count"] == expected or not expected < found["count"] < 2048
    body = {"model": "tiny", "prompt": "Are you ready?"}
    text: Any = client.post("/tokenize", body=body, cast_to=object)
    assert 0 < text["count"] < answer.usage.prompt_tokens

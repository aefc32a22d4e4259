"""Chat completions, complete and streamed, and refused requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import openai
import pytest

from langchain_chatexports.local_server.engines.transformers import (
    EngineBusyError,
)

if TYPE_CHECKING:
    from typing import Any

    from openai import OpenAI
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from starlette.testclient import TestClient

    from langchain_chatexports.local_server.http.service import LocalService


_HELLO: list[Any] = [{"role": "user", "content": "Are you ready for the race?"}]


def _ask(
    client: OpenAI, messages: list[Any] = _HELLO, **options: Any
) -> ChatCompletion:
    asked: Any = {"model": "tiny", "max_tokens": 12, "seed": 1, **options}
    answer: ChatCompletion = client.chat.completions.create(messages=messages, **asked)
    return answer


def _stream(client: OpenAI, **options: Any) -> list[ChatCompletionChunk]:
    answer: Any = _ask(client, stream=True, **options)
    return list(answer)


def _text(client: OpenAI, **options: Any) -> str:
    text = _ask(client, **options).choices[0].message.content
    assert text is not None
    return text


def test_an_answer_comes_with_its_usage(client: OpenAI) -> None:
    answer = _ask(client)
    assert answer.model == "tiny"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12


def test_the_usage_counts_the_prompt_as_the_template_renders_it(
    client: OpenAI, service: LocalService
) -> None:
    for messages in (_HELLO, [*_HELLO, {"role": "assistant", "content": "Yes"}] * 2):
        usage = _ask(client, messages).usage
        assert usage is not None
        assert usage.prompt_tokens == len(
            service.tokenizer.template.prompt_ids(messages)
        )


def test_the_usage_counts_what_was_written_up_to_a_stop(client: OpenAI) -> None:
    # Greedy: otherwise a stop could be a part of a character.
    greedy: Any = {"temperature": 0, "extra_body": {"dry_multiplier": 0}}
    stop = _text(client, **greedy)[3:5]
    usage = _ask(client, stop=stop, **greedy).usage
    written = [_text(client, max_tokens=limit, **greedy) for limit in range(1, 13)]
    assert usage is not None
    assert usage.completion_tokens == 1 + [stop in text for text in written].index(True)


def test_an_alias_answers_as_the_base(client: OpenAI) -> None:
    assert _ask(client, model="gpt-3.5-turbo").model == "tiny"


def test_a_stream_gives_the_same_text_in_parts(client: OpenAI) -> None:
    whole = _text(client)
    chunks = _stream(client)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "length"
    assert len(chunks) > 3


def test_a_stream_tells_its_usage_if_asked(client: OpenAI) -> None:
    chunks = _stream(client, stream_options={"include_usage": True})
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 12
    assert chunks[-1].choices == []
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_ends_with_done(http: TestClient) -> None:
    body = {"model": "tiny", "messages": _HELLO, "stream": True, "max_tokens": 2}
    lines = http.post("/v1/chat/completions", json=body).text.strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    assert all(json.loads(line[len("data: ") :]) for line in lines[:-1])


def test_the_same_seed_gives_the_same_answer(client: OpenAI) -> None:
    assert _text(client, seed=5) == _text(client, seed=5)


def test_another_seed_gives_another_answer(client: OpenAI) -> None:
    answers = {_text(client, seed=seed) for seed in range(4)}
    assert len(answers) > 1


@pytest.mark.parametrize("cold", [{"temperature": 0}, {"top_p": 0}])
def test_cold_answers_do_not_depend_on_the_seed(
    client: OpenAI, cold: dict[str, Any]
) -> None:
    answers = {_text(client, seed=seed, **cold) for seed in range(3)}
    assert len(answers) == 1


def test_a_stop_ends_the_answer_before_it(client: OpenAI) -> None:
    whole = _text(client)
    stop = whole[3:5]
    answer = _ask(client, stop=[stop]).choices[0]
    assert answer.message.content == whole[: whole.index(stop)]
    assert answer.finish_reason == "stop"
    streamed = _stream(client, stop=stop)
    text = "".join(c.choices[0].delta.content or "" for c in streamed)
    assert text == answer.message.content


def test_the_newer_name_of_the_limit_is_taken(client: OpenAI) -> None:
    answer = _ask(client, max_tokens=None, max_completion_tokens=3)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_an_answer_is_never_longer_than_the_models_memory(client: OpenAI) -> None:
    usage = _ask(
        client,
        [{"role": "user", "content": "race " * 245}],
        max_tokens=1000,
        temperature=0,
    ).usage
    assert usage is not None
    assert usage.total_tokens <= 512


def test_messages_beyond_the_models_memory_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="at most 512 tokens") as caught:
        _ask(client, [{"role": "user", "content": "race " * 600}])
    assert caught.value.code == "context_length_exceeded"


def test_text_in_parts_names_and_roles_are_understood(client: OpenAI) -> None:
    parts = [{"type": "text", "text": "hello"}]
    messages = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "name": "Ann", "content": parts},
        {"role": "assistant", "content": "hi", "refusal": None},
        {"role": "user", "content": ""},
    ]
    assert _ask(client, messages).choices


@pytest.mark.parametrize("model", ["gpt-4", "/etc/passwd", "../x", "ft:tiny:local::0"])
def test_a_model_that_is_not_served_is_a_404(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        _ask(client, model=model)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "change",
    [
        {"messages": []},
        {"messages": None},
        {"messages": "hello"},
        {"messages": [{"content": "no role"}]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]},
        {"messages": [{"role": "user", "content": "x", "surprise": 1}]},
        {"messages": _HELLO * 5000},
        {"temperature": 2.1},
        {"temperature": -1},
        {"temperature": "warm"},
        {"temperature": True},
        {"top_p": 1.1},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"max_completion_tokens": -1},
        {"stop": ["a"] * 5},
        {"stop": 5},
        {"seed": 10**30},
        {"seed": "x"},
        {"n": 2},
        {"n": 0},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"presence_penalty": 1},
        {"frequency_penalty": -1},
        {"logit_bias": {"5": 1}},
        {"tools": [{"type": "function"}]},
        {"tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"modalities": ["audio"]},
        {"store": True},
        {"stream": "yes"},
        {"stream_options": {"surprise": 1}},
        {"surprise": 1},
        {"model": 5},
    ],
)
def test_what_is_not_served_is_a_400(http: TestClient, change: dict[str, Any]) -> None:
    body = {"model": "tiny", "messages": _HELLO, "max_tokens": 1, **change}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == next(iter(change))


@pytest.mark.parametrize(
    "change",
    [
        {"n": 1},
        {"logprobs": False},
        {"presence_penalty": 0},
        {"logit_bias": {}},
        {"tools": []},
        {"response_format": {"type": "text"}},
        {"user": "me"},
        {"metadata": {"a": "b"}},
        {"temperature": None, "stop": None, "seed": None},
        {"temperature": 1e-300},
        {"temperature": 2, "top_p": 1e-9},
        {"stop": ""},
    ],
)
def test_what_asks_for_nothing_special_is_taken(
    http: TestClient, change: dict[str, Any]
) -> None:
    body = {"model": "tiny", "messages": _HELLO, "max_tokens": 1, **change}
    assert http.post("/v1/chat/completions", json=body).status_code == 200


def test_half_a_surrogate_pair_is_no_harm(http: TestClient) -> None:
    body = {
        "model": "tiny",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "a\ud83d"}],
    }
    response = http.post(
        "/v1/chat/completions",
        content=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 200


def test_infinity_is_no_temperature(http: TestClient) -> None:
    text = b'{"model":"tiny","messages":[{"role":"user","content":"a"}],"temperature":'
    for number in (b"1e999}", b"NaN}", b"Infinity}"):
        response = http.post(
            "/v1/chat/completions",
            content=text + number,
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 400


def test_too_many_waiting_chats_are_a_429(
    client: OpenAI, service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise EngineBusyError

    monkeypatch.setattr(service.scorer, "submit", full)
    with pytest.raises(openai.RateLimitError):
        _ask(client)


def test_models_are_the_base_and_its_aliases(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == ["tiny", "gpt-3.5-turbo"]
    assert client.models.retrieve("tiny").owned_by == "local"


@pytest.mark.parametrize("name", ["tiny", "gpt-3.5-turbo"])
def test_the_base_cannot_be_deleted(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(name)


@pytest.mark.parametrize("name", ["x", "..%2F..", "a/b/c", "ft:tiny:local:x:0123"])
def test_a_model_that_is_not_there_is_a_404(http: TestClient, name: str) -> None:
    assert http.get(f"/v1/models/{name}").status_code == 404
    assert http.delete(f"/v1/models/{name}").status_code == 404


def test_tokens_are_counted_as_the_model_reads_them(client: OpenAI) -> None:
    """A chat of any length is counted, to be shortened."""
    answer = _ask(client)
    assert answer.usage is not None
    for messages, expected in ((_HELLO, answer.usage.prompt_tokens), (_HELLO * 999, 0)):
        body = {"model": "tiny", "messages": messages}
        found: Any = client.post("/tokenize", body=body, cast_to=object)
        assert found["count"] == len(found["tokens"])
        assert found["count"] == expected or not expected < found["count"] < 2048
    body = {"model": "tiny", "prompt": "Are you ready?"}
    text: Any = client.post("/tokenize", body=body, cast_to=object)
    assert 0 < text["count"] < answer.usage.prompt_tokens

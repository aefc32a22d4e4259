"""Chat completions, models, scores and tokens, and refused requests."""

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from starlette.testclient import TestClient

from langchain_chatexports.local_server.testing import EchoEngine
from langchain_chatexports.local_server.workspace import Model, Workspace
from tests.unit_tests.builders.workspaces import add_job, add_model

_HELLO: list[Any] = [{"role": "user", "content": "Are you ready for the race?"}]
_TOOL: Any = {"type": "function", "function": {"name": "now"}}
_OTHER_TOOL: Any = {"type": "function", "function": {"name": "then"}}


def _ask(client: OpenAI, **options: Any) -> Any:
    request: Any = {"model": "tiny", "messages": _HELLO, **options}
    return client.chat.completions.create(**request)


def test_reply_has_its_usage(client: OpenAI) -> None:
    reply = _ask(client, max_tokens=3)
    assert reply.choices[0].message.content == "Are you ready"
    assert reply.choices[0].finish_reason == "length"
    assert (reply.usage.completion_tokens, reply.usage.prompt_tokens) == (3, 6)


def test_stream_has_the_same_text(client: OpenAI) -> None:
    options = {"stream_options": {"include_usage": True}}
    *chunks, last = _ask(client, stream=True, **options)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == _HELLO[0]["content"]
    assert (last.choices, last.usage.completion_tokens) == ([], 6)


def test_tuned_model_replies_until_it_is_deleted(
    client: OpenAI, workspace: Workspace
) -> None:
    model = add_model(workspace, results={"reply_tokens": 2})
    assert [m.id for m in client.models.list()] == ["tiny", "gpt-3.5-turbo", model.name]
    assert client.models.retrieve(model.name).created == int(model.created_at)
    # The model's own limit.
    assert _ask(client, model=model.name).choices[0].message.content == "Are you"
    with pytest.raises(openai.BadRequestError, match="cannot be tuned again"):
        client.fine_tuning.jobs.create(model=model.name, training_file="file-1")
    assert client.models.delete(model.name).deleted
    with pytest.raises(openai.NotFoundError):
        _ask(client, model=model.name)
    assert (workspace.jobs.list(), workspace.files.list()) == ((), ())


def test_strength_of_a_request_comes_before_the_models(
    http: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def score(_: object, model: Model, __: object) -> list[float]:
        return [model.strength]

    monkeypatch.setattr(EchoEngine, "score", score)
    model = add_model(workspace, results={"strength": 0.75})

    def send(**options: float) -> Any:
        body = {"model": model.name, "messages": _HELLO, **options}
        return http.post("/v1/score", json=body)

    assert send().json()["turns"] == [0.75]
    assert send(strength=0.5).json()["turns"] == [0.5]
    assert send(strength=1.5).status_code == 400
    body = {"model": "tiny", "messages": _HELLO, "strength": 0.5}
    assert http.post("/v1/chat/completions", json=body).status_code == 200


def test_model_of_another_base_is_named(client: OpenAI, workspace: Workspace) -> None:
    model = add_model(workspace, base_model="large")
    assert model.name not in [listed.id for listed in client.models.list()]
    with pytest.raises(openai.NotFoundError, match="tuned from large"):
        _ask(client, model=model.name)


@pytest.mark.parametrize("name", ["tiny", "gpt-3.5-turbo"])
def test_base_cannot_be_deleted(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(name)


@pytest.mark.parametrize(
    "name", ["gpt-4", "..%2F..", "/etc/passwd", "path/tiny", "ft:tiny:local:x:0123"]
)
def test_unknown_model_is_a_404(http: TestClient, name: str) -> None:
    assert http.get(f"/v1/models/{name}").status_code == 404
    assert http.delete(f"/v1/models/{name}").status_code == 404
    chat = {"model": name, "messages": _HELLO}
    job = {"model": name, "training_file": "file-1"}
    bodies = {"chat/completions": chat, "score": chat, "tokenize": chat}
    for route, body in {**bodies, "fine_tuning/jobs": job}.items():
        response = http.post(f"/v1/{route}", json=body)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"


@pytest.mark.usefixtures("client")
def test_unfinished_model_is_not_listed(client: OpenAI, workspace: Workspace) -> None:
    add_job(workspace)
    assert len(client.models.list().data) == 2


@pytest.mark.parametrize(
    ("param", "values"),
    [
        ("messages", ([], None, "hello", [{"content": "no role"}], _HELLO * 5000)),
        ("messages", ([{"role": role, "content": 5}] for role in ("user", "robot"))),
        ("messages", ([{"role": "user"}], [{**_HELLO[0], "surprise": 1}])),
        ("temperature", (2.1, -1, "warm", True)),
        ("top_p", (1.1,)),
        ("max_tokens", (0, 1.5)),
        ("max_completion_tokens", (-1,)),
        ("stop", (["a"] * 5, 5)),
        ("seed", (10**30, "x")),
        ("tools", ([{"type": "function"}], [_TOOL] * 9000)),
        ("tool_choice", ("required", "maybe", _TOOL)),
        ("response_format", (5, {"type": "json_schema", "x": "y" * 70_000})),
        ("functions", ([{"name": "x"}],)),
        ("modalities", (["audio"],)),
        ("store", (True,)),
        ("stream", ("yes",)),
        ("stream_options", ({"include_usage": "yes"},)),
        ("surprise", (1,)),
        ("model", (5,)),
    ],
)
def test_invalid_chat_value_is_a_400(http: TestClient, param: str, values: Any) -> None:
    for value in values:
        body = {"model": "tiny", "messages": _HELLO, "max_tokens": 1, param: value}
        response = http.post("/v1/chat/completions", json=body)
        assert response.status_code == 400, response.text
        assert response.json()["error"]["param"] == param


def test_chosen_tool_must_be_offered(http: TestClient) -> None:
    body = {"model": "tiny", "messages": _HELLO, "tools": [_TOOL]}
    for choice, status in ((_TOOL, 200), ("auto", 200), (_OTHER_TOOL, 400)):
        response = http.post(
            "/v1/chat/completions", json={**body, "tool_choice": choice}
        )
        assert response.status_code == status


@pytest.mark.parametrize(
    "change",
    [
        {"n": 1, "logprobs": False, "presence_penalty": 0, "logit_bias": {}},
        {"tools": [], "response_format": {"type": "text"}, "stop": ""},
        {"user": "me", "metadata": {"a": "b"}, "model": "gpt-3.5-turbo"},
        {"temperature": None, "stop": None, "seed": None},
        {"temperature": 2, "top_p": 1e-9},
        {"messages": [{"role": "developer", "content": "be kind"}, *_HELLO]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
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


def test_scores_are_those_of_the_engine(client: OpenAI) -> None:
    messages = [*_HELLO, {"role": "assistant", "content": "Slow and steady"}]
    body = {"model": "gpt-3.5-turbo", "messages": messages}
    found: Any = client.post("/score", body=body, cast_to=object)
    assert (found["object"], found["model"]) == ("score", "tiny")
    assert [(turn["index"], turn["tokens"]) for turn in found["turns"]] == [(1, 3)]


def test_tokens_are_counted(client: OpenAI) -> None:
    text = {"prompt": "Are you ready?"}
    for body, count in ((text, 3), ({"messages": _HELLO}, 6)):
        request = {"model": "tiny", **body}
        found: Any = client.post("/tokenize", body=request, cast_to=object)
        assert found["count"] == len(found["tokens"]) == count

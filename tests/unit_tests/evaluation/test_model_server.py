"""The client of a server: replies, scores and errors."""

import json
from typing import Any

import httpx
import openai
import pytest

from langchain_chatexports.evaluation.model_server import (
    ModelClient,
    PromptTooLongError,
    ScoredReply,
)
from langchain_chatexports.exceptions import ChatExportError

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
URL = "http://me:hush@127.0.0.1:9/v1"


def server(
    answer: dict[str, Any], status: int = 200, requests: list[Any] | None = None
) -> ModelClient:
    """Return a server with the same answer to all requests."""

    def handle(request: httpx.Request) -> httpx.Response:
        if requests is not None:
            requests.append((request.url.path, json.loads(request.content)))
        return httpx.Response(status, json=answer)

    http: Any = httpx.Client(transport=httpx.MockTransport(handle))
    return ModelClient(
        openai.OpenAI(base_url=URL, api_key="k", max_retries=0, http_client=http)
    )


def reply(server: ModelClient) -> Any:
    return server.reply("m", CHAT[:1], temperature=0.7, max_tokens=9, seed=4)


@pytest.mark.parametrize(
    ("content", "text", "reason", "is_cut"),
    [("yo", "yo", "length", True), (None, "", "stop", False)],
)
def test_reply_is_read(
    content: str | None, text: str, reason: str, *, is_cut: bool
) -> None:
    choice = {"message": {"content": content}, "finish_reason": reason}
    requests: list[Any] = []
    found = reply(server({"choices": [choice]}, requests=requests))
    assert (found.text, found.is_cut) == (text, is_cut)
    body = {"model": "m", "messages": CHAT[:1], "temperature": 0.7, "top_p": 1.0}
    body |= {"max_completion_tokens": 9, "seed": 4}
    assert requests == [("/v1/chat/completions", body)]


def test_scores_are_read() -> None:
    turn = {"index": 1, "nll": 2.5, "end_nll": 0.5, "tokens": 3, "size_bytes": 2}
    scored = server({"turns": [turn]}).score("m", CHAT)
    assert scored == [ScoredReply(1, 2.5, 0.5, 2, 3)]


def test_too_long_prompt_has_its_own_error() -> None:
    error = {"message": "too long", "code": "context_length_exceeded"}
    with pytest.raises(PromptTooLongError):
        reply(server({"error": error}, 400))


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "invalid_api_key", "rejected the API key"),
        (404, "model_not_found", "has no model m"),
        (500, "oops", "could not answer"),
    ],
)
def test_errors_have_no_text_or_password(status: int, code: str, message: str) -> None:
    failing = server({"error": {"message": "hi was bad", "code": code}}, status)
    for request in (reply, lambda server: server.score("m", CHAT)):
        with pytest.raises(ChatExportError, match=message) as raised:
            request(failing)
        assert "127.0.0.1:9" in str(raised.value)
        assert "hi was bad" not in str(raised.value)
        assert "hush" not in str(raised.value)


def test_unreachable_server_is_reported() -> None:
    client = openai.OpenAI(base_url=URL, api_key="k", max_retries=0)
    with client, pytest.raises(ChatExportError, match="is not responding"):
        reply(ModelClient(client))

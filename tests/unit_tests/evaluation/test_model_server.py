"""What servers answer, and what becomes of it."""

import json
from typing import Any

import httpx
import openai
import pytest

from langchain_chatexports.evaluation.model_server import (
    ModelServer,
    PromptTooLongError,
    ScoredReply,
)
from langchain_chatexports.exceptions import ChatExportError

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
URL = "http://me:hush@127.0.0.1:9/v1"


def server(
    answer: dict[str, Any], status: int = 200, seen: list[Any] | None = None
) -> ModelServer:
    """Return a server that gives the same answer to everything."""

    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append((request.url.path, json.loads(request.content)))
        return httpx.Response(status, json=answer)

    http: Any = httpx.Client(transport=httpx.MockTransport(handle))
    return ModelServer(
        openai.OpenAI(base_url=URL, api_key="k", max_retries=0, http_client=http)
    )


def ask(server: ModelServer) -> Any:
    return server.reply("m", CHAT[:1], temperature=0.7, max_tokens=9, seed=4)


@pytest.mark.parametrize(
    ("content", "text", "reason", "is_cut"),
    [("yo", "yo", "length", True), (None, "", "stop", False)],
)
def test_a_reply_says_whether_it_was_cut(
    content: str | None, text: str, reason: str, *, is_cut: bool
) -> None:
    choice = {"message": {"content": content}, "finish_reason": reason}
    seen: list[Any] = []
    found = ask(server({"choices": [choice]}, seen=seen))
    assert (found.text, found.is_cut) == (text, is_cut)
    asked = {"model": "m", "messages": CHAT[:1], "temperature": 0.7, "top_p": 1.0}
    asked |= {"max_completion_tokens": 9, "seed": 4}
    assert seen == [("/v1/chat/completions", asked)]


def test_scores_are_read() -> None:
    turn = {"index": 1, "nll": 2.5, "end_nll": None, "tokens": 3, "size_bytes": 2}
    scored = server({"turns": [turn]}).score("m", CHAT)
    assert scored == [ScoredReply(1, 2.5, None, 2, 3)]


def test_too_long_is_told_apart() -> None:
    error = {"message": "too long", "code": "context_length_exceeded"}
    with pytest.raises(PromptTooLongError):
        ask(server({"error": error}, 400))


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "invalid_api_key", "refuses the key"),
        (404, "model_not_found", "has no model m"),
        (500, "oops", "could not answer"),
    ],
)
def test_refusals_are_a_line_without_any_text_or_password(
    status: int, code: str, said: str
) -> None:
    refusing = server({"error": {"message": "hi was bad", "code": code}}, status)
    for act in (ask, lambda server: server.score("m", CHAT)):
        with pytest.raises(ChatExportError, match=said) as raised:
            act(refusing)
        assert "127.0.0.1:9" in str(raised.value)
        assert "hi was bad" not in str(raised.value)
        assert "hush" not in str(raised.value)


def test_a_server_that_is_gone_is_a_line() -> None:
    with openai.OpenAI(base_url=URL, api_key="k", max_retries=0) as client:
        gone = ModelServer(client)
        with pytest.raises(ChatExportError, match="does not answer"):
            ask(gone)

"""What servers answer, and what becomes of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest

from langchain_chatexports.evaluation.model_server import (
    ModelServer,
    PromptTooLongError,
    ScoredReply,
)
from langchain_chatexports.exceptions import ChatExportError

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]


class Canned:
    """A server that gives the same answer to everything, and remembers."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: dict[str, Any] = {}
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                body = json.loads(self.rfile.read(size))
                canned.bodies.append((self.path, body))
                data = json.dumps(canned.answer).encode()
                self.send_response(canned.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def canned() -> Iterator[Canned]:
    made = Canned()
    thread = threading.Thread(target=made.http.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def server(canned: Canned) -> Iterator[ModelServer]:
    with openai.OpenAI(base_url=canned.url, api_key="k", max_retries=0) as client:
        yield ModelServer(client)


def ask(server: ModelServer) -> Any:
    return server.reply("m", CHAT[:1], temperature=0.7, max_tokens=9, seed=4)


@pytest.mark.parametrize(("reason", "is_cut"), [("length", True), ("stop", False)])
def test_a_reply_says_whether_it_was_cut(
    canned: Canned, server: ModelServer, reason: str, *, is_cut: bool
) -> None:
    choice = {"message": {"content": "yo"}, "finish_reason": reason}
    canned.answer = {"choices": [choice]}
    found = ask(server)
    assert (found.text, found.is_cut) == ("yo", is_cut)
    assert canned.bodies == [
        (
            "/v1/chat/completions",
            {
                "model": "m",
                "messages": CHAT[:1],
                "temperature": 0.7,
                "top_p": 1.0,
                "max_completion_tokens": 9,
                "seed": 4,
            },
        )
    ]


def test_an_empty_reply_is_a_text(canned: Canned, server: ModelServer) -> None:
    choice = {"message": {"content": None}, "finish_reason": "stop"}
    canned.answer = {"choices": [choice]}
    assert ask(server).text == ""


def test_scores_are_read(canned: Canned, server: ModelServer) -> None:
    turn = {"index": 1, "nll": 2.5, "end_nll": None, "tokens": 3, "size_bytes": 2}
    canned.answer = {"turns": [turn]}
    assert server.score("m", CHAT) == [ScoredReply(1, 2.5, None, 2, 3)]


def test_too_long_is_told_apart(canned: Canned, server: ModelServer) -> None:
    error = {"message": "too long", "code": "context_length_exceeded"}
    canned.status, canned.answer = 400, {"error": error}
    with pytest.raises(PromptTooLongError):
        ask(server)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "invalid_api_key", "refuses the key"),
        (404, "model_not_found", "has no model m"),
        (500, "oops", "could not answer"),
    ],
)
def test_refusals_are_a_line_without_any_text(
    canned: Canned, server: ModelServer, status: int, code: str, said: str
) -> None:
    error = {"message": "hi was bad", "code": code}
    canned.status, canned.answer = status, {"error": error}
    for act in (ask, lambda server: server.score("m", CHAT)):
        with pytest.raises(ChatExportError, match=said) as raised:
            act(server)
        assert "hi was bad" not in str(raised.value)


def test_an_error_does_not_tell_a_password_of_the_address() -> None:
    url = "http://me:hush@127.0.0.1:9/v1"
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        server = ModelServer(client)
        with pytest.raises(ChatExportError, match="does not answer") as raised:
            ask(server)
    assert "127.0.0.1:9" in str(raised.value)
    assert "hush" not in str(raised.value)

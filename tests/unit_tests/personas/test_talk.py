"""A model in a talk: its prompts and its answers."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.personas.talk import ChatSettings, Talk, Turn, create_model
from tests.unit_tests.builders.chat_models import ContextFull
from tests.unit_tests.builders.openai_server import (
    BASE_MODEL,
    KEY,
    OpenAIServer,
    refused,
)
from tests.unit_tests.builders.tracers import traced


@pytest.fixture
def talk(server: OpenAIServer) -> Talk:
    settings = ChatSettings("Be brief.")
    talk = Talk(
        "base", create_model(BASE_MODEL, settings, server.base_url, KEY), settings
    )
    talk.turns.append(Turn("Hello", "Hi"))
    talk.add_line("And now?")
    return talk


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_answer_at_token_limit_is_cut(reason: str) -> None:
    last = AIMessageChunk(content=" then", response_metadata={"finish_reason": reason})
    chunks = [AIMessageChunk(content="And"), last]
    model: Any = SimpleNamespace(stream=lambda _messages: iter(chunks))
    talk = Talk("Tortoise", model)
    talk.add_line("Ready?")
    assert "".join(talk.answer()) == "And then"
    assert talk.turns[-1].is_cut == (reason == "length")


def test_strength_is_sent(server: OpenAIServer, talk: Talk) -> None:
    talk.settings = replace(talk.settings, strength=0.5)
    assert "".join(talk.answer())
    assert server.chats[-1]["strength"] == 0.5


def test_too_long_history_is_halved(server: OpenAIServer, talk: Talk) -> None:
    talk.turns[:] = [Turn(f"line {n}", f"answer {n}") for n in range(4)]
    talk.add_line("And now?")
    too_long = "context_length_exceeded"
    server.faults.append(refused("POST /chat/completions", 400, code=too_long))
    assert "".join(talk.answer())
    turns = ["line 2", "answer 2", "line 3", "answer 3"]
    contents = [message["content"] for message in server.chats[-1]["messages"]]
    assert contents[1:] == [*turns, "And now?"]
    server.faults.append(refused("POST /chat/completions", 400, code=too_long, times=9))
    talk.add_line("long " * 9)
    with pytest.raises(ChatExportError, match="too long for the context"):
        list(talk.answer())


def test_started_answer_is_not_repeated(talk: Talk) -> None:
    talk.model = ContextFull(messages=iter(()))
    with pytest.raises(ChatExportError, match="could not answer"):
        list(talk.answer())
    assert talk.last_answer == "Always"


def test_chat_is_not_traced(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    with traced(monkeypatch) as sent:
        assert "".join(talk.answer())
    assert not sent

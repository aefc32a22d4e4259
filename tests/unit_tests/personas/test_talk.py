"""A model in a talk: its prompts and its answers."""

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.personas.talk import ChatSettings, Turn, Voice, create_model
from tests.unit_tests.builders.chat_models import ContextFull
from tests.unit_tests.builders.openai_server import (
    BASE_MODEL,
    KEY,
    OpenAIServer,
    refused,
)
from tests.unit_tests.builders.tracers import traced


@pytest.fixture
def voice(server: OpenAIServer) -> Voice:
    settings = ChatSettings("Be brief.")
    voice = Voice(
        "base", create_model(BASE_MODEL, settings, server.base_url, KEY), settings
    )
    voice.turns.append(Turn("Hello", "Hi"))
    voice.add_line("And now?")
    return voice


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_answer_at_token_limit_is_cut(reason: str) -> None:
    last = AIMessageChunk(content=" then", response_metadata={"finish_reason": reason})
    chunks = [AIMessageChunk(content="And"), last]
    model: Any = SimpleNamespace(stream=lambda _messages: iter(chunks))
    voice = Voice("Tortoise", model)
    voice.add_line("Ready?")
    assert "".join(voice.answer()) == "And then"
    assert voice.turns[-1].is_cut == (reason == "length")


def test_too_long_history_is_halved(server: OpenAIServer, voice: Voice) -> None:
    voice.turns[:] = [Turn(f"line {n}", f"answer {n}") for n in range(4)]
    voice.add_line("And now?")
    too_long = "context_length_exceeded"
    server.faults.append(refused("POST /chat/completions", 400, code=too_long))
    assert "".join(voice.answer())
    turns = ["line 2", "answer 2", "line 3", "answer 3"]
    contents = [message["content"] for message in server.chats[-1]["messages"]]
    assert contents[1:] == [*turns, "And now?"]
    server.faults.append(refused("POST /chat/completions", 400, code=too_long, times=9))
    voice.add_line("long " * 9)
    with pytest.raises(ChatExportError, match="too long for the context"):
        list(voice.answer())


def test_started_answer_is_not_repeated(voice: Voice) -> None:
    voice.model = ContextFull(messages=iter(()))
    with pytest.raises(ChatExportError, match="could not answer"):
        list(voice.answer())
    assert voice.last_answer == "Always"


def test_chat_is_not_traced(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    with traced(monkeypatch) as sent:
        assert "".join(voice.answer())
    assert not sent

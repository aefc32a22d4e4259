"""A model in a chat: what it is asked, and where its answer ends."""

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.personas.talk import ChatSettings, Turn, Voice, make_model
from tests.unit_tests.builders.chat_models import CutOff
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
        "base", make_model(BASE_MODEL, settings, server.base_url, KEY), settings
    )
    voice.turns.append(Turn("Hello", "Hi"))
    voice.hear("And now?")
    return voice


def _prompt(server: OpenAIServer) -> list[str]:
    return [message["content"] for message in server.chats[-1]["messages"]]


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_an_answer_that_reached_the_limit_is_cut(reason: str) -> None:
    last = AIMessageChunk(content=" then", response_metadata={"finish_reason": reason})
    chunks = [AIMessageChunk(content="And"), last]
    model: Any = SimpleNamespace(stream=lambda _messages: iter(chunks))
    voice = Voice("Tortoise", model)
    voice.hear("Ready?")
    assert "".join(voice.answer()) == "And then"
    assert voice.turns[-1].is_cut == (reason == "length")


def test_of_a_conversation_that_does_not_fit_the_last_half_is_shown(
    server: OpenAIServer, voice: Voice
) -> None:
    voice.turns[:] = [Turn(f"line {n}", f"answer {n}") for n in range(4)]
    voice.hear("And now?")
    too_long = "context_length_exceeded"
    server.faults.append(refused("POST /chat/completions", 400, code=too_long))
    assert "".join(voice.answer())
    assert _prompt(server)[1:] == [
        "line 2",
        "answer 2",
        "line 3",
        "answer 3",
        "And now?",
    ]
    server.faults.append(refused("POST /chat/completions", 400, code=too_long, times=9))
    voice.hear("long " * 9)
    with pytest.raises(ChatExportError, match="too long for the context"):
        list(voice.answer())


def test_an_answer_that_has_begun_is_not_begun_again(voice: Voice) -> None:
    voice.model = CutOff(messages=iter(()))
    with pytest.raises(ChatExportError, match="could not answer"):
        list(voice.answer())
    assert voice.last == "Always"


def test_a_chat_is_in_no_trace(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    with traced(monkeypatch) as sent:
        assert "".join(voice.answer())
    assert not sent

"""`chatexports chat`: talk to a tuned model, with its base beside it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from rich.console import Console

from langchain_chatexports.cli.console import say, stdin_is_terminal
from langchain_chatexports.cli.side_by_side import (
    Answer,
    bubbles_of,
    show_side_by_side,
)
from langchain_chatexports.exceptions import ChatExportError, LocalServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from langchain_core.language_models import BaseChatModel
    from langchain_openai import ChatOpenAI

    from langchain_chatexports.local_server import TunedModel

__all__ = [
    "TEST_RUN",
    "ChatSettings",
    "Voice",
    "chat_elsewhere",
    "chat_here",
    "kept_model",
    "key_for",
    "talk",
]

TEST_RUN = "test-with-secrets"
"""The suffix of models that `evaluate --secrets` trains, probes and deletes."""

# What the model sees of the chat so far: it learned from windows of this order of size.
_REMEMBERED_MESSAGES = 15
_END_WORDS = {"/quit", "/exit", "/bye"}


@dataclass(frozen=True)
class ChatSettings:
    """How to talk.

    Attributes:
        system: A system message, if any.
        temperature: Sampling temperature.
        max_tokens: Longest answer, in tokens.
        compare: Another model to answer beside; `None` for the base model on this
            machine, and for none elsewhere.
        alone: Let nobody answer beside the tuned model.
        as_json: Write one JSON object an answer.
    """

    system: str | None
    temperature: float
    max_tokens: int
    compare: str | None = None
    alone: bool = False
    as_json: bool = False


@dataclass
class Voice:
    """A model in a chat, with what it remembers: its own answers, not the others'.

    Attributes:
        title: What to call it.
        model: Whom to ask.
        has_bubbles: Whether each line of its answers is a message.
        system: A system message, if any.
    """

    title: str
    model: BaseChatModel
    has_bubbles: bool = False
    system: str | None = None
    _remembered: list[BaseMessage] = field(default_factory=list, repr=False)

    def hear(self, line: str) -> None:
        """Take in what the person says."""
        self._remembered.append(HumanMessage(line))
        # An odd number, so that what the model sees begins with the person.
        del self._remembered[:-_REMEMBERED_MESSAGES]

    def answer(self) -> Iterator[str]:
        """Answer, piece by piece, and remember that.

        Raises:
            ChatExportError: If the server cannot answer.
        """
        from openai import OpenAIError

        begin: list[BaseMessage] = [SystemMessage(self.system)] if self.system else []
        text = ""
        try:
            for chunk in self.model.stream([*begin, *self._remembered]):
                piece = str(chunk.text)
                text += piece
                yield piece
        except OpenAIError as error:
            raise ChatExportError(_explained(self.model, error)) from error
        self._remembered.append(AIMessage(text))


def chat_here(name: str | None, data_dir: Path | None, settings: ChatSettings) -> None:
    """Talk to a model that was tuned on this machine.

    Args:
        name: The model; `None` for the newest.
        data_dir: Where it is kept; `None` for the default.
        settings: How to talk.

    Raises:
        LocalServerError: If there is no such model.
    """
    from langchain_chatexports.local_server import LocalServer

    tuned = kept_model(name, data_dir)
    say(f"Starting {tuned.name} …")
    with LocalServer(tuned.base, data_dir=data_dir) as server:
        where = (server.base_url, server.api_key)
        other = settings.compare or server.base_model
        title = "base model" if settings.compare is None else other
        voices = [_voice(tuned.name, settings, *where, is_tuned=True)]
        if not settings.alone and (settings.compare or _is_seen(settings)):
            voices.insert(0, _voice(other, settings, *where, title=title))
        talk(voices, as_json=settings.as_json)


def chat_elsewhere(name: str, base_url: str, settings: ChatSettings) -> None:
    """Talk to a model on another server, with the key from `OPENAI_API_KEY`.

    Args:
        name: The model.
        base_url: The server.
        settings: How to talk.
    """
    key = key_for(base_url)
    voices = [_voice(name, settings, base_url, key, is_tuned=True)]
    if settings.compare and not settings.alone:
        voices.insert(0, _voice(settings.compare, settings, base_url, key))
    talk(voices, as_json=settings.as_json)


def key_for(base_url: str) -> str:
    """Return the key for another server, which stands in `OPENAI_API_KEY`.

    Args:
        base_url: The server.

    Raises:
        ChatExportError: If there is none.
    """
    from langchain_chatexports.finetuning.clients import public_url

    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        msg = f"There is no key for {public_url(base_url)}. Put it into OPENAI_API_KEY."
        raise ChatExportError(msg)
    return key


def kept_model(name: str | None, data_dir: Path | None) -> TunedModel:
    """Find a model that was tuned on this machine.

    Args:
        name: The model; `None` for the newest.
        data_dir: Where it is kept; `None` for the default.

    Raises:
        LocalServerError: If there is no such model.
    """
    from langchain_chatexports.cli.people import did_you_mean
    from langchain_chatexports.local_server import list_models

    kept = sorted(list_models(data_dir), key=lambda model: model.created_at)
    if not kept:
        msg = (
            "No tuned model is kept on this machine. Make one: "
            "chatexports finetune PATH --ai NAME"
        )
        raise LocalServerError(msg)
    if name is None:
        # One that was killed while it was probed is still there.
        real = [model for model in kept if f":{TEST_RUN}:" not in model.name]
        return (real or kept)[-1]
    for model in kept:
        if model.name == name:
            return model
    nearest = did_you_mean([name], [model.name for model in kept])
    listed = ", ".join(model.name for model in kept)
    msg = f"There is no model {name!r} on this machine.{nearest} Kept here: {listed}."
    raise LocalServerError(msg)


def talk(voices: Sequence[Voice], *, as_json: bool = False) -> None:
    """Answer what the person types, line by line, until there is no more.

    Args:
        voices: Who answers, from left to right; the last one is the tuned model.
        as_json: Whether to write one JSON object a line.
    """
    console = Console()
    for line in _lines():
        for voice in voices:
            voice.hear(line)
        if as_json:
            _write_json(voices)
        elif console.is_terminal:
            answers = [Answer(v.title, v.answer(), v.has_bubbles) for v in voices]
            show_side_by_side(console, answers)
        else:
            _write_plainly(voices)


def _voice(
    name: str,
    settings: ChatSettings,
    base_url: str,
    key: str,
    *,
    title: str | None = None,
    is_tuned: bool = False,
) -> Voice:
    model = _chat_model(name, settings, base_url, key)
    return Voice(title or name, model, has_bubbles=is_tuned, system=settings.system)


def _chat_model(
    name: str, settings: ChatSettings, base_url: str, key: str
) -> ChatOpenAI:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=SecretStr(key),
        temperature=settings.temperature,
        max_completion_tokens=settings.max_tokens,
        use_responses_api=False,
    )


def _is_seen(settings: ChatSettings) -> bool:
    # A program that reads the answers asked for one model's.
    return not settings.as_json and Console().is_terminal and stdin_is_terminal()


def _write_json(voices: Sequence[Voice]) -> None:
    for voice in voices:
        text = "".join(voice.answer())
        bubbles = bubbles_of(text) if voice.has_bubbles else [text]
        told = {"model": voice.title, "text": text, "bubbles": bubbles}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _write_plainly(voices: Sequence[Voice]) -> None:
    for voice in voices:
        if len(voices) > 1:
            sys.stdout.write(f"{voice.title}: ")
        try:
            for piece in voice.answer():
                sys.stdout.write(piece)
                sys.stdout.flush()
        finally:
            sys.stdout.write("\n")
            sys.stdout.flush()


def _explained(model: BaseChatModel, error: Exception) -> str:
    from openai import APIConnectionError, AuthenticationError, NotFoundError

    server = str(getattr(model, "openai_api_base", "the server"))
    name = str(getattr(model, "model_name", "the model"))
    if isinstance(error, APIConnectionError):
        return f"{server} does not answer. Check the address, and that it runs."
    if isinstance(error, AuthenticationError):
        return f"{server} refuses the key. Check OPENAI_API_KEY."
    if isinstance(error, NotFoundError):
        return f"{server} has no model {name}. Check the name."
    status = getattr(error, "status_code", None)
    code = f"status {status}" if status else type(error).__name__
    return f"{server} could not answer ({code}). Try again, or a shorter --system."


def _lines() -> Iterator[str]:
    if not stdin_is_terminal():
        for line in sys.stdin:
            if line.strip():
                yield line.strip()
        return
    say("Type a message and Enter; /quit or Ctrl-D ends.")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return
        if line in _END_WORDS:
            return
        if line:
            yield line

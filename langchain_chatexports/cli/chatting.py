"""`chatexports chat`: talk to a tuned model."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_chatexports.cli.console import say, stdin_is_terminal
from langchain_chatexports.exceptions import ChatExportError, LocalServerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from langchain_core.language_models import BaseChatModel

    from langchain_chatexports.local_server import TunedModel

__all__ = ["ChatSettings", "chat_elsewhere", "chat_here"]

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
    """

    system: str | None
    temperature: float
    max_tokens: int


def chat_here(name: str | None, data_dir: Path | None, settings: ChatSettings) -> None:
    """Talk to a model that was tuned on this machine.

    Args:
        name: The model; `None` for the newest.
        data_dir: Where it is kept; `None` for the default.
        settings: How to talk.

    Raises:
        LocalServerError: If there is no such model.
    """
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from langchain_chatexports.local_server import LocalServer

    tuned = _kept_model(name, data_dir)
    say(f"Starting {tuned.name} …")
    with LocalServer(tuned.base, data_dir=data_dir) as server:
        model = ChatOpenAI(
            model=tuned.name,
            base_url=server.base_url,
            api_key=SecretStr(server.api_key),
            temperature=settings.temperature,
            max_completion_tokens=settings.max_tokens,
            use_responses_api=False,
        )
        _talk(model, settings.system)


def chat_elsewhere(name: str, base_url: str, settings: ChatSettings) -> None:
    """Talk to a model on another server, with the key from `OPENAI_API_KEY`.

    Args:
        name: The model.
        base_url: The server.
        settings: How to talk.
    """
    from langchain_openai import ChatOpenAI

    if not os.environ.get("OPENAI_API_KEY"):
        msg = f"There is no key for {base_url}. Put it into OPENAI_API_KEY."
        raise ChatExportError(msg)
    model = ChatOpenAI(
        model=name,
        base_url=base_url,
        temperature=settings.temperature,
        max_completion_tokens=settings.max_tokens,
        use_responses_api=False,
    )
    _talk(model, settings.system)


def _kept_model(name: str | None, data_dir: Path | None) -> TunedModel:
    from langchain_chatexports.local_server import list_models

    kept = sorted(list_models(data_dir), key=lambda model: model.created_at)
    if not kept:
        msg = (
            "No tuned model is kept on this machine. Make one: "
            "chatexports finetune PATH --ai NAME"
        )
        raise LocalServerError(msg)
    if name is None:
        return kept[-1]
    for model in kept:
        if model.name == name:
            return model
    listed = ", ".join(model.name for model in kept)
    msg = f"There is no model {name!r} on this machine. Kept here: {listed}."
    raise LocalServerError(msg)


def _talk(model: BaseChatModel, system: str | None) -> None:
    begin: list[BaseMessage] = [SystemMessage(system)] if system else []
    remembered: list[BaseMessage] = []
    for line in _lines():
        remembered.append(HumanMessage(line))
        # An odd number, so that what the model sees begins with the person.
        del remembered[:-_REMEMBERED_MESSAGES]
        answer = _streamed(model, [*begin, *remembered])
        remembered.append(AIMessage(answer))


def _streamed(model: BaseChatModel, messages: list[BaseMessage]) -> str:
    from openai import OpenAIError

    answer = ""
    try:
        for chunk in model.stream(messages):
            text = str(chunk.text)
            answer += text
            sys.stdout.write(text)
            sys.stdout.flush()
    except OpenAIError as error:
        raise ChatExportError(_explained(model, error)) from error
    finally:
        sys.stdout.write("\n")
        sys.stdout.flush()
    return answer


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

"""`chatexports chat`: talk to a tuned model, with its base beside it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from langchain_chatexports.cli._chat_columns import (
    Answer,
    bubbles_of,
    show_side_by_side,
)
from langchain_chatexports.cli._console import say, stdin_is_terminal
from langchain_chatexports.cli._jobs import shared_server
from langchain_chatexports.cli._options import DataDir, command
from langchain_chatexports.cli._voice import Voice, check_model, short_titles
from langchain_chatexports.exceptions import ChatExportError, LocalServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.local_server import TunedModel

__all__ = [
    "TEST_RUN",
    "ChatSettings",
    "Voice",
    "chat",
    "kept_model",
    "key_for",
    "make_voice",
    "show_answers",
    "talk",
]

TEST_RUN = "test-with-secrets"
"""The suffix of models that `evaluate --secrets` trains, probes and deletes."""


@dataclass(frozen=True)
class ChatSettings:
    """How to talk.

    Attributes:
        system: A system message; `None` for that of the model's training, if there is
            one.
        temperature: Sampling temperature.
        max_tokens: Longest answer, in tokens.
        seed: Random seed; `None` for a new one each time.
    """

    system: str | None
    temperature: float
    max_tokens: int
    seed: int | None = None


@command
def chat(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A tuned model: its name, or the beginning of its suffix or id. "
            "Without it: the newest one on this machine.",
            show_default=False,
        ),
    ] = None,
    *,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another server; its key is read from OPENAI_API_KEY.",
            show_default=False,
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help='A system message; "" for none. Without it: that of the training.',
            show_default=False,
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            metavar="T",
            min=0,
            max=2,
            help="How much answers vary: 0 always the same, 1 as it learned.",
        ),
    ] = 0.7,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Longest answer, in tokens.")
    ] = 200,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Another model that answers beside it. Without it: the base model, on "
            "this machine and at a terminal.",
            show_default=False,
        ),
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Show no other model's answers beside it.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per answer, on stdout."),
    ] = False,
) -> None:
    """Talk to a tuned model, its base beside it; or answer stdin line by line.

    For example:
        chatexports chat
        echo Hello | chatexports chat --json
    """
    settings = ChatSettings(system, temperature, max_tokens)
    if compare and alone:
        msg = "--compare and --alone contradict each other: leave one out."
        raise typer.BadParameter(msg)
    if not base_url:
        with_base = _shows_base(alone=alone, as_json=as_json)
        _chat_here(
            model, data_dir, settings, compare, with_base=with_base, as_json=as_json
        )
        return
    if model is None:
        msg = "With --base-url the model must be named."
        raise typer.BadParameter(msg)
    where = (base_url, key_for(base_url))
    voices = [make_voice(model, settings, *where, is_tuned=True)]
    if compare:
        voices.insert(0, make_voice(compare, settings, *where))
    for name in filter(None, (model, compare)):
        check_model(name, *where)
    talk(voices, as_json=as_json)


def _chat_here(
    name: str | None,
    data_dir: Path | None,
    settings: ChatSettings,
    compare: str | None,
    *,
    with_base: bool,
    as_json: bool,
) -> None:
    tuned = kept_model(name, data_dir)
    if compare and compare != tuned.base_model:
        # The server knows the steps of its checkpoints.
        other, *step = compare.partition(":ckpt-step-")
        compare = "".join([kept_model(other, data_dir).name, *step])
    say(f"Starting {tuned.name} …")
    if settings.system is None and tuned.system_prompt:
        settings = replace(settings, system=tuned.system_prompt)
        say("It has the system message of its training; --system replaces it.")
    with shared_server(tuned.base, data_dir) as server:
        where = (server.base_url, server.api_key)
        voices = [make_voice(tuned.name, settings, *where, is_tuned=True)]
        if compare:
            check_model(compare, *where)
            voices.insert(0, make_voice(compare, settings, *where))
        elif with_base:
            base = server.base_model
            voices.insert(0, make_voice(base, settings, *where, title="base model"))
        talk(voices, as_json=as_json)


def key_for(base_url: str) -> str:
    """Return the key for another server, from `OPENAI_API_KEY`.

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
        name: The model, or the beginning of one of its names; `None` for the newest.
        data_dir: Where it is kept; `None` for the default.

    Raises:
        LocalServerError: If there is no such model, or several.
    """
    from langchain_chatexports.local_server import find_model, list_models

    kept = sorted(list_models(data_dir), key=lambda model: model.created_at)
    if not kept:
        msg = (
            "There is no tuned model on this machine. Train one: "
            "chatexports finetune PATH --ai NAME"
        )
        raise LocalServerError(msg)
    if name is not None:
        return find_model(name, data_dir)
    # A test run that was killed while it was probed leaves its model behind.
    real = [model for model in kept if f":{TEST_RUN}:" not in model.name]
    return (real or kept)[-1]


def talk(voices: Sequence[Voice], *, as_json: bool = False) -> None:
    """Answer what the person types, or each line of stdin, until the input ends.

    Args:
        voices: Who answers, from left to right; the last one is the tuned model.
        as_json: Whether to write one JSON object a line.
    """
    answer = _write_json if as_json else show_answers
    if stdin_is_terminal():
        from langchain_chatexports.cli._chat_prompt import TerminalChat

        TerminalChat(voices, answer).run()
        return
    for line in filter(None, map(str.strip, sys.stdin)):
        for voice in voices:
            voice.hear(line)
        answer(voices)


def show_answers(voices: Sequence[Voice]) -> None:
    """Answer what was heard: side by side at a terminal, otherwise one after another.

    Args:
        voices: Who answers, from left to right.
    """
    console = Console()
    if console.is_terminal:
        answers = [
            Answer(title, voice.answer(), voice.has_bubbles)
            for title, voice in zip(short_titles(voices), voices, strict=True)
        ]
        show_side_by_side(console, answers)
    else:
        _write_plainly(voices)


def make_voice(
    name: str,
    settings: ChatSettings,
    base_url: str,
    key: str,
    *,
    title: str | None = None,
    is_tuned: bool = False,
) -> Voice:
    """Return a voice from a model's name and its server.

    Args:
        name: The model.
        settings: How to talk.
        base_url: The server.
        key: Its key.
        title: What to call it; `None` for the model's name.
        is_tuned: Whether its lines are messages of their own.
    """
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    model = ChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=SecretStr(key),
        temperature=settings.temperature,
        seed=settings.seed,
        max_completion_tokens=settings.max_tokens,
        use_responses_api=False,
    )
    return Voice(title or name, model, has_bubbles=is_tuned, system=settings.system)


def _shows_base(*, alone: bool, as_json: bool) -> bool:
    # A program that reads the answers expects one model's.
    is_asked_for = not (alone or as_json)
    return is_asked_for and Console().is_terminal and stdin_is_terminal()


def _write_json(voices: Sequence[Voice]) -> None:
    for voice in voices:
        text = "".join(voice.answer())
        bubbles = bubbles_of(text) if voice.has_bubbles else [text]
        answer = {"model": voice.title, "text": text, "bubbles": bubbles}
        sys.stdout.write(json.dumps(answer) + "\n")
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

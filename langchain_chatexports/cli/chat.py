"""`chatexports chat`: talk to a tuned model, or to the person of an export."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._chat_columns import (
    Answer,
    show_side_by_side,
)
from langchain_chatexports.cli._chat_options import ChatOptions
from langchain_chatexports.cli._console import say, stdin_is_terminal
from langchain_chatexports.cli._example_options import MAX_REPLIES, SpeakerOptions
from langchain_chatexports.cli._jobs import say_base, shared_server
from langchain_chatexports.cli._memory import agree_to_send, memory_of
from langchain_chatexports.cli._options import Base, DataDir, command
from langchain_chatexports.cli._search_index import IndexDir
from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.exceptions import ChatExportError, LocalServerError
from langchain_chatexports.personas.talk import (
    ChatSettings,
    Voice,
    bubbles_of,
    check_model,
    make_voice,
    short_titles,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.cli._chat_exports import Person
    from langchain_chatexports.local_server import TunedModel
    from langchain_chatexports.personas import VoicePrompt

__all__ = [
    "ChatSettings",
    "Voice",
    "chat",
    "kept_model",
    "key_for",
    "make_voice",
    "show_answers",
    "talk",
]


@command
def chat(
    who: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL|EXPORT...]",
            help="A tuned model: its name, or the beginning of its suffix or id. Or "
            "exports, as for finetune, or what prepare has written: then a base model "
            "answers as the person, without a training. Without it: the newest tuned "
            "model on this machine.",
            show_default=False,
        ),
    ] = None,
    *,
    speaker: SpeakerOptions,
    chats: ChatOptions,
    replies: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=MAX_REPLIES,
            help="How many earlier replies of the person, to messages like yours, the "
            "model sees at most; 0 for none.",
            show_default="as in the training, or 4; of exports 8",
        ),
    ] = None,
    base: Base = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another server; its key is read from OPENAI_API_KEY.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model on the other server that answers as the person of exports.",
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
    user: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Who you are to it, such as somebody whose chats it has learned from. "
            "Without it: whoever the person chats with most.",
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
    remember: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="An export in which it may look up what was said; may be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    index_dir: IndexDir = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Send messages of your exports to the server of --base-url without "
            "asking.",
        ),
    ] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Show no other model's answers beside it.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per answer, on stdout."),
    ] = False,
) -> None:
    """Talk to a tuned model, its base beside it; or answer stdin line by line.

    It sees replies of the person to messages like yours. Of an export, a base model
    answers as the person at once.

    For example:
        chatexports chat
        echo Hello | chatexports chat --json
        chatexports chat chat.db --ai Tortoise
    """
    from langchain_chatexports.cli._chat_exports import exports_among, read_person

    words = who or []
    options = replace(speaker.prepare_options(), chats=chats.choice())
    if compare and alone:
        msg = "--compare and --alone contradict each other: leave one out."
        raise typer.BadParameter(msg)
    names_model = bool(base_url and not model)
    exports = exports_among(words, options, data_dir, names_model=names_model)
    _check_place(words, exports, base_url, base=base, model=model, replies=replies)
    sends = bool(base_url and (remember or exports))
    if sends and not agree_to_send(str(base_url), agreed=yes):
        say("Nothing was sent.")
        return
    settings = ChatSettings(system, temperature, max_tokens, label=user)
    person = None
    if exports:
        person = read_person(exports, options, replies)
        settings = _with_voice(settings, person.voice)
    with memory_of(remember or (), index_dir) as recall:
        settings = replace(settings, recall=recall)
        if base_url:
            name = model or words[0]
            _chat_there(name, base_url, settings, person, compare, as_json=as_json)
        elif person:
            say_base(base)
            title = person.name
            _chat_here(base, data_dir, settings, compare, title=title, as_json=as_json)
        else:
            with_base = _shows_base(alone=alone, as_json=as_json)
            tuned = kept_model(words[0] if words else None, data_dir)
            _chat_tuned(
                *(tuned, data_dir, settings, compare, replies),
                with_base=with_base,
                as_json=as_json,
            )


def _check_place(
    words: list[str],
    exports: list[Path],
    base_url: str | None,
    *,
    base: str | None,
    model: str | None,
    replies: int | None,
) -> None:
    if base_url and not model and (exports or not words):
        msg = "With --base-url the model must be named."
        if exports:
            msg = "--model must name the model on the other server."
        raise typer.BadParameter(msg)
    if model and not (base_url and exports):
        msg = "--model goes with exports and --base-url; here it is --base."
        raise typer.BadParameter(msg)
    if base and (base_url or not exports):
        msg = "--base goes with exports, on this machine: a tuned model knows its base."
        raise typer.BadParameter(msg)
    if replies and base_url and not exports:
        msg = "--replies goes with exports, or with a tuned model of this machine."
        raise typer.BadParameter(msg)


def _with_voice(settings: ChatSettings, voice: VoicePrompt) -> ChatSettings:
    """Return settings with the prompt of a voice, as far as none was given."""
    from langchain_chatexports.personas.chat_model import with_voice

    prompt = ChatPrompt(voice.persona, voice.label)
    if settings.label:
        prompt = prompt.with_user(settings.label)
    if prompt.label:
        say(f"You write to it as {prompt.label}; --as NAME changes that.")
    system = prompt.system if settings.system is None else settings.system
    return replace(
        settings, system=system, label=prompt.label, persona=with_voice(voice)
    )


def _chat_there(
    model: str,
    base_url: str,
    settings: ChatSettings,
    person: Person | None,
    compare: str | None,
    *,
    as_json: bool,
) -> None:
    where = (base_url, key_for(base_url))
    title = person.name if person else None
    voices = [make_voice(model, settings, *where, title=title, is_tuned=True)]
    if compare:
        voices.insert(0, make_voice(compare, settings, *where))
    for name in filter(None, (model, compare)):
        check_model(name, *where)
    talk(voices, as_json=as_json)


def _chat_tuned(
    tuned: TunedModel,
    data_dir: Path | None,
    settings: ChatSettings,
    compare: str | None,
    replies: int | None,
    *,
    with_base: bool,
    as_json: bool,
) -> None:
    from langchain_chatexports.local_server import voice_of

    if compare and compare != tuned.base_model:
        # The server knows the steps of its checkpoints.
        other, *step = compare.partition(":ckpt-step-")
        compare = "".join([kept_model(other, data_dir).name, *step])
    say(f"Starting {tuned.name} …")
    if settings.system is None and tuned.prompt.system:
        say("It has the system message of its training; --system replaces it.")
    voice = voice_of(tuned, replies=replies)
    if voice.k:
        shown = plural(voice.k, "earlier reply", "earlier replies")
        say(f"It sees up to {shown} to messages like yours; --replies N changes that.")
    elif replies != 0:
        say("What it was trained on is deleted, so it sees no earlier replies.")
    settings = _with_voice(settings, voice)
    _chat_here(
        *(tuned.base, data_dir, settings, compare),
        model=tuned.name,
        with_base=with_base,
        as_json=as_json,
    )


def _chat_here(
    base: str | None,
    data_dir: Path | None,
    settings: ChatSettings,
    compare: str | None,
    *,
    model: str | None = None,
    title: str | None = None,
    with_base: bool = False,
    as_json: bool,
) -> None:
    with shared_server(base, data_dir) as server:
        where = (server.base_url, server.api_key)
        untuned = server.base_model
        name = model or untuned
        voices = [make_voice(name, settings, *where, title=title, is_tuned=True)]
        # The base is shown as it is, without replies.
        plain = replace(settings, persona=None)
        if compare:
            check_model(compare, *where)
            beside = plain if compare == untuned else settings
            voices.insert(0, make_voice(compare, beside, *where))
        elif with_base:
            voices.insert(0, make_voice(untuned, plain, *where, title="base model"))
        talk(voices, as_json=as_json)


def key_for(base_url: str) -> str:
    """Return the key for another server, from `OPENAI_API_KEY`.

    Args:
        base_url: The server.

    Raises:
        ChatExportError: If there is none.
    """
    from langchain_chatexports.finetuning.connection import public_url

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
    real = [model for model in kept if not model.is_test_run]
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

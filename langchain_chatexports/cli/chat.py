"""`chatexports chat`: talk to a tuned model, or to the person of an export."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports._terminal import plural, short_duration
from langchain_chatexports.cli._answers import show_answers, write_json
from langchain_chatexports.cli._chat_prompt import TerminalChat
from langchain_chatexports.cli._console import (
    command_line,
    confirmed,
    print_line,
    show_progress,
    speaker_chooser,
    stdin_is_terminal,
)
from langchain_chatexports.cli._options import (
    Ai,
    AsJson,
    BaseUrl,
    ChatOptions,
    DataDir,
    check,
    command,
    default_export,
    flag,
    option,
    print_owners,
)
from langchain_chatexports.cli._training import print_base, settle_base
from langchain_chatexports.exceptions import ChatExportError, LocalServerError
from langchain_chatexports.personas.talk import ChatSettings, Voice
from langchain_chatexports.workflows.bases import (
    choose_base_to_talk,
    find_base,
    training_seconds,
)
from langchain_chatexports.workflows.memory import memory_of
from langchain_chatexports.workflows.models import TunedModel, find_tuned, models_named
from langchain_chatexports.workflows.talk import (
    Speaker,
    open_talk,
    person_of,
    served_base,
    tuned_speaker,
)
from langchain_chatexports.workflows.train_elsewhere import THIS_MACHINE, host_of


@command
def chat(
    who: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL|EXPORT",
            help="A tuned model by name, or exports: then a base model answers as the "
            "person, without a training. Default: the newest tuned model.",
        ),
    ] = None,
    *,
    ai: Ai = None,
    chats: ChatOptions,
    base: Annotated[
        str | None,
        option(
            "BASE",
            "The base model that answers: as for finetune, ollama:NAME or a URL.",
        ),
    ] = None,
    data_dir: DataDir = None,
    base_url: BaseUrl = None,
    user: Annotated[
        str | None,
        option(
            "NAME", "Your name in the chat. Default: the person it knows best.", "--as"
        ),
    ] = None,
    temperature: Annotated[
        float, option("T", "How much answers vary.", min=0, max=2)
    ] = 0.7,
    max_tokens: Annotated[
        int | None,
        option("N", "Longest answer, in tokens. Default: as the person writes.", min=1),
    ] = None,
    compare: Annotated[
        bool, flag("--compare", "Show the base model's answers, too.")
    ] = False,
    remember: Annotated[
        list[Path] | None,
        option(
            "PATH",
            "An export to cite messages from. Default: the person's own, if that is "
            "fast.",
        ),
    ] = None,
    no_save: Annotated[
        bool, flag("--no-save", "Begin a new talk, and do not save it.")
    ] = False,
    yes: Annotated[
        bool, flag("--yes", "Download, or send to --base-url, without asking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Talk to a tuned model, or to a person of an export.

    With an export, a base model answers as the person at once: it sees the person's
    replies to messages like yours. Without a terminal, each line of stdin is answered.

    For example:
        chatexports chat
        chatexports chat --compare
        echo Hello | chatexports chat --json
        chatexports chat chat.db --ai Tortoise
    """
    words = who or []
    exports = _exports_among(
        words,
        data_dir,
        is_choice=bool(ai) or chats != ChatOptions(),
        names_model=bool(base_url and not base),
    )
    check(
        (
            base_url and exports and not base,
            "--base must name the model on the other server.",
        ),
        (base_url and not words, "With --base-url the model must be named."),
        (
            base and not exports,
            "--base goes with exports: a tuned model knows its base.",
        ),
    )
    if base and not base_url:
        base_url, base = served_base(base) or (None, base)
    sends = bool(base_url and (remember or exports))
    if sends and not _agrees_to_send(str(base_url), agreed=yes):
        print_line("Nothing was sent.")
        return
    if exports:
        speaker = _person(exports, ai or [], chats, base)
        if base_url:
            speaker = replace(speaker, model=base)
        else:
            speaker = _on_base(speaker, base, agreed=yes)
            _propose_training(speaker, exports, ai or [], chats)
    elif base_url:
        speaker = Speaker(model=words[0])
    else:
        speaker = _tuned(words[0] if words else None, data_dir)
    settings = ChatSettings(None, temperature, max_tokens, label=user)
    if label := speaker.settings(settings).label:
        print_line(f"You write to it as {label}; --as NAME changes that.")
    with (
        memory_of(
            remember or speaker.exports,
            person=speaker.person,
            language=speaker.language,
            only_if_quick=not remember,
            options=chats.prepare_options(),
            watch=show_progress,
        ) as memory,
        open_talk(
            speaker,
            replace(settings, memory=memory),
            data_dir=data_dir,
            base_url=base_url,
            with_base=compare,
            on_event=print_line,
        ) as voices,
    ):
        saved_with = None if no_save else speaker.tuned
        _talk(voices, saved_with, as_json=as_json)


def _exports_among(
    words: list[str], data_dir: Path | None, *, is_choice: bool, names_model: bool
) -> list[Path]:
    """Return the named exports; empty if a model was named."""
    paths = [Path(word) for word in words]
    if len(paths) > 1 or is_choice:
        return default_export(paths)
    if names_model or not paths or not paths[0].expanduser().exists():
        return []
    try:
        find_tuned(words[0], data_dir)
    except LocalServerError:
        return paths
    return []


def _agrees_to_send(base_url: str, *, agreed: bool) -> bool:
    host = host_of(base_url)
    if host in THIS_MACHINE:
        return True
    refusal = ChatExportError(
        f"This sends messages of your exports to {host}, which needs --yes here. "
        "Nothing was sent."
    )
    question = f"With each line, send similar messages of your exports to {host}?"
    return confirmed(question, agreed=agreed, refusal=refusal)


def _person(
    exports: list[Path],
    ai: list[str],
    chats: ChatOptions,
    base: str | None,
) -> Speaker:
    speaker = person_of(
        exports,
        replace(chats.prepare_options(), ai=tuple(ai)),
        base=base,
        choose_speaker=speaker_chooser(),
        watch=show_progress,
    )
    if speaker.preparation:
        print_owners(speaker.preparation)
    known = len(speaker.voice.replies) if speaker.voice else 0
    print_line(
        f"No training: the model answers as {speaker.title or 'the person'}, and sees "
        f"up to {speaker.shown_replies} of "
        f"{plural(known, 'earlier reply', 'earlier replies')} with each message."
    )
    return speaker


def _on_base(speaker: Speaker, base: str | None, *, agreed: bool) -> Speaker:
    language = speaker.language
    if base is not None:
        print_base(base, language)
        return speaker
    _, base = settle_base(
        lambda downloads: choose_base_to_talk(language, downloads=downloads),
        agreed=agreed,
    )
    return replace(speaker, base=base)


def _propose_training(
    speaker: Speaker, exports: list[Path], ai: list[str], chats: ChatOptions
) -> None:
    seconds = training_seconds(find_base(speaker.base), speaker.examples)
    took = "" if seconds is None else f", in about {short_duration(seconds)}"
    names = [word for name in ai for word in ("--ai", name)]
    base = [] if speaker.base is None else ["--base", speaker.base]
    line = command_line("finetune", *exports, *names, *chats.words(), *base)
    print_line(f"To train a model on this voice{took}:")
    print_line(f"  {line}")


def _tuned(name: str | None, data_dir: Path | None) -> Speaker:
    model, *older = models_named(name, data_dir)
    if older:
        others = plural(len(older), "older model")
        listed = command_line("models")
        print_line(f"Using the newest model named {name}; {others}: {listed}")
    print_line(f"Starting {model.name} …")
    return tuned_speaker(model)


def _talk(
    voices: Sequence[Voice],
    saved_with: TunedModel | None = None,
    *,
    as_json: bool,
) -> None:
    """Answer each typed line, or each line of stdin, until the input ends."""

    def answer(voices: Sequence[Voice]) -> None:
        if as_json:
            write_json(voices)
            return
        show_answers(voices)
        for line in voices[-1].turns[-1].cited:
            print_line(f"  said {line}")

    if stdin_is_terminal():
        TerminalChat(voices, answer, saved_with).run()
        return
    for line in filter(None, map(str.strip, sys.stdin)):
        for voice in voices:
            voice.hear(line)
        answer(voices)

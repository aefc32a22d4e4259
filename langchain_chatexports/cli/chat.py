"""`chatexports chat`: talk to a tuned model, or to the person of an export."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports._translation import _
from langchain_chatexports.cli._chat_prompt import TerminalChat
from langchain_chatexports.cli._console import (
    command_line,
    confirm,
    get_speaker_chooser,
    print_line,
    say,
    say_count,
    show_progress,
    show_waiting,
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
    flag,
    option,
    print_owners,
    resolve_paths,
)
from langchain_chatexports.cli._replies import show_replies, write_json
from langchain_chatexports.cli._training import print_base, select_base
from langchain_chatexports.local_server import (
    Model,
    NotFoundError,
    Workspace,
    find_base,
)
from langchain_chatexports.personas.talk import CORRECTED, ChatSettings, Talk
from langchain_chatexports.workflows.bases import (
    choose_chat_base,
    estimate_speed,
    training_duration,
)
from langchain_chatexports.workflows.memory import open_memory
from langchain_chatexports.workflows.remote_training import THIS_MACHINE, get_host
from langchain_chatexports.workflows.talk import (
    Speaker,
    find_served_base,
    load_person,
    load_tuned_speaker,
    open_talk,
)


@dataclass(frozen=True)
class Target:
    """Whom to talk to."""

    exports: list[Path]
    """The exports of the person; none for a model."""

    model: str | None
    """The name of a model; `None` for the newest."""

    base: str | None
    """The base that imitates the person of exports; `None` to choose one."""

    base_url: str | None
    """Another server; `None` for this machine."""


@command
def chat(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL|EXPORT",
            help="A tuned model, or exports; with exports, a base model imitates the "
            "person without training. Default: the newest tuned model.",
        ),
    ] = None,
    *,
    ai: Ai = None,
    chats: ChatOptions,
    base: Annotated[
        str | None,
        option(
            "BASE",
            "Base model to use with exports: as for finetune, ollama:NAME or a URL.",
        ),
    ] = None,
    data_dir: DataDir = None,
    base_url: BaseUrl = None,
    user: Annotated[
        str | None,
        option(
            "NAME",
            "Your name in the chat. Default: the person's most frequent chat partner.",
            "--as",
        ),
    ] = None,
    temperature: Annotated[
        float, option("T", "Sampling temperature of replies.", min=0, max=2)
    ] = 0.7,
    max_tokens: Annotated[
        int | None,
        option(
            "N", "Maximum tokens per reply. Default: the person's usual length.", min=1
        ),
    ] = None,
    strength: Annotated[
        float | None,
        option(
            "X",
            "How much of its training to use; 0 is the base. Default: the model's.",
            min=0,
            max=1,
        ),
    ] = None,
    compare: Annotated[
        bool, flag("--compare", "Also show the base model's replies.")
    ] = False,
    remember: Annotated[
        list[Path] | None,
        option(
            "PATH",
            "Export to quote messages from. Default: the person's export, if that is "
            "fast.",
        ),
    ] = None,
    no_save: Annotated[
        bool, flag("--no-save", "Start a new talk, and do not save it.")
    ] = False,
    yes: Annotated[
        bool, flag("--yes", "Download, or send to --base-url, without asking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Talk to a tuned model, or to a person from an export.

    With an export, a base model imitates the person without training: its prompt
    contains replies to messages like yours. Without a terminal, each line of stdin is a
    message.

    For example:
        chatexports chat
        chatexports chat --compare
        echo Hello | chatexports chat --json
        chatexports chat chat.db --ai Tortoise
    """
    workspace = Workspace(data_dir)
    target = resolve_target(
        workspace,
        targets or [],
        has_chat_options=bool(ai) or chats != ChatOptions(),
        base=base,
        base_url=base_url,
    )
    url = target.base_url
    check((compare and url, _("--compare works only with the local server.")))
    if url and (remember or target.exports) and not _confirm_sending(url, yes=yes):
        say("Nothing was sent.")
        return
    speaker = _load_speaker(workspace, target, ai or [], chats, yes=yes)
    settings = ChatSettings(
        None, temperature, max_tokens, strength=strength, label=user
    )
    if label := speaker.settings(settings).label:
        say("Your name in this chat is {name}; change it with --as NAME.", name=label)
    with ExitStack() as stack:
        memory = stack.enter_context(
            open_memory(
                remember or speaker.exports,
                person=speaker.person,
                language=speaker.language,
                only_if_quick=not remember,
                options=chats.to_prepare_options(),
                watch=show_progress,
            )
        )
        with show_waiting(_("Loading the model")):
            talks = stack.enter_context(
                open_talk(
                    *(speaker, replace(settings, memory=memory), workspace),
                    base_url=url,
                    with_base=compare,
                )
            )
        _talk(talks, None if no_save else speaker.tuned, as_json=as_json)


def resolve_target(
    workspace: Workspace,
    names: list[str],
    *,
    has_chat_options: bool,
    base: str | None,
    base_url: str | None,
) -> Target:
    """Return whom to talk to, or raise a usage error."""
    exports = _find_exports(
        workspace,
        names,
        has_chat_options=has_chat_options,
        is_remote=bool(base_url and not base),
    )
    check(
        (
            base_url and exports and not base,
            "--base-url with exports needs --base, a model on that server.",
        ),
        (
            base_url and not names,
            "--base-url needs the name of a model on that server.",
        ),
        (
            base and not exports,
            "--base is only for exports; a tuned model has its own base.",
        ),
    )
    if base and not base_url:
        base_url, base = find_served_base(base) or (None, base)
    model = names[0] if names and not exports else None
    return Target(exports, model, base, base_url)


def _find_exports(
    workspace: Workspace, names: list[str], *, has_chat_options: bool, is_remote: bool
) -> list[Path]:
    """Return the exports; an empty list if the target is a model."""
    paths = [Path(name) for name in names]
    if len(paths) > 1 or has_chat_options:
        return resolve_paths(paths)
    if is_remote or not paths or not paths[0].expanduser().exists():
        return []
    try:
        workspace.models.match(names[0])
    except NotFoundError:
        return paths
    return []


def _load_speaker(
    workspace: Workspace,
    target: Target,
    ai: list[str],
    chats: ChatOptions,
    *,
    yes: bool,
) -> Speaker:
    if target.exports:
        speaker, ai = _load_person(target.exports, ai, chats, target.base)
        if target.base_url:
            return replace(speaker, model=target.base)
        speaker = _choose_base(workspace, speaker, target.base, yes=yes)
        _suggest_training(workspace, speaker, target.exports, ai, chats)
        return speaker
    if target.base_url:
        return Speaker(model=target.model)
    return _load_tuned_model(workspace, target.model)


def _confirm_sending(base_url: str, *, yes: bool) -> bool:
    host = get_host(base_url)
    if host in THIS_MACHINE:
        return True
    refusal = _(
        "This would send messages from your exports to {host}. Nothing was sent. "
        "Add --yes to agree.",
        host=host,
    )
    question = _(
        "Send messages from your exports to {host} with each prompt?", host=host
    )
    return confirm(question, yes=yes, refusal=refusal)


def _load_person(
    exports: list[Path],
    ai: list[str],
    chats: ChatOptions,
    base: str | None,
) -> tuple[Speaker, list[str]]:
    """Return the person and their names; by default, the other one in a chat of two."""
    speaker = load_person(
        exports,
        replace(chats.to_prepare_options(), ai=tuple(ai)),
        base=base,
        choose_speaker=get_speaker_chooser(),
        watch=show_progress,
    )
    if speaker.preparation and not ai:
        ai = [*speaker.preparation.options.ai]
        if ai:
            say(
                "Imitating {name}, the other person. For another: --ai NAME",
                name=ai[0],
            )
        print_owners(speaker.preparation)
    replies = len(speaker.voice.replies) if speaker.voice else 0
    say_count(
        "Without training, a base model imitates {person}, using up to {used} of "
        "{count} earlier reply in each prompt.",
        "Without training, a base model imitates {person}, using up to {used} of "
        "{count} earlier replies in each prompt.",
        replies,
        person=speaker.title or _("the person"),
        used=speaker.replies_per_prompt,
    )
    return speaker, ai


def _choose_base(
    workspace: Workspace, speaker: Speaker, base: str | None, *, yes: bool
) -> Speaker:
    language = speaker.language
    if base is not None:
        print_base(find_base(base), language)
        return speaker
    speed = estimate_speed(workspace)
    _, base = select_base(
        lambda downloads: choose_chat_base(
            language, seconds_per_token=speed, downloads=downloads
        ),
        yes=yes,
    )
    return replace(speaker, base=base)


def _suggest_training(
    workspace: Workspace,
    speaker: Speaker,
    exports: list[Path],
    ai: list[str],
    chats: ChatOptions,
) -> None:
    base = find_base(speaker.base)
    if duration := training_duration(base, speaker.examples, workspace):
        say("To train a model of this person in {duration}:", duration=duration)
    else:
        say("To train a model of this person:")
    names = [word for name in ai for word in ("--ai", name)]
    named = [] if speaker.base is None else ["--base", speaker.base]
    line = command_line("finetune", *exports, *names, *chats.to_arguments(), *named)
    print_line(f"  {line}")


def _load_tuned_model(workspace: Workspace, name: str | None) -> Speaker:
    model, *older = workspace.models.match(name)
    if older and name is not None:
        say_count(
            "Using the newest model named {name}; {count} older model: {command}",
            "Using the newest model named {name}; {count} older models: {command}",
            len(older),
            name=name,
            command=command_line("models"),
        )
    say("Starting {model} …", model=model.name)
    return load_tuned_speaker(workspace, model)


def _talk(
    talks: Sequence[Talk],
    model: Model | None,
    *,
    as_json: bool,
) -> None:
    """Reply to each typed message, or each line of stdin, until the input ends."""

    def show_reply(talks: Sequence[Talk]) -> None:
        if as_json:
            write_json(talks)
            return
        show_replies(talks)
        for line in talks[-1].turns[-1].cited:
            said = line.removeprefix(CORRECTED)
            print_line(
                _("  said {line}", line=line)
                if said == line
                else _("  corrected by you: {line}", line=said)
            )

    if stdin_is_terminal():
        TerminalChat(talks, show_reply, model).run()
        return
    for line in filter(None, map(str.strip, sys.stdin)):
        for talk in talks:
            talk.add_line(line)
        show_reply(talks)

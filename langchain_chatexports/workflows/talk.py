"""Talks with a tuned model, or with a base model as the person of exports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import msgspec

from langchain_chatexports._files import write_whole
from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.replies import replies_of
from langchain_chatexports.datasets.trace import speaker_of
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.storage.files import training_examples
from langchain_chatexports.local_server.storage.models import TunedModel
from langchain_chatexports.personas import VoicePrompt
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.style import style_card
from langchain_chatexports.personas.talk import (
    ChatSettings,
    Turn,
    Voice,
    make_model,
)
from langchain_chatexports.workflows.bases import language_of_examples
from langchain_chatexports.workflows.models import find_tuned
from langchain_chatexports.workflows.prepare import ChooseSpeaker, Paths, read_examples
from langchain_chatexports.workflows.train import open_server
from langchain_chatexports.workflows.train_elsewhere import OLLAMA_URL, host_of, key_for
from langchain_chatexports.workflows.training_events import OnEvent

_BASE_TITLE = "base model"
_TALKS = "talks"
_MAX_NAMES = 5


@dataclass(frozen=True)
class Speaker:
    """A tuned model, or a base model as a person, in a talk.

    Attributes:
        model: The tuned model's name; `None` for a base model.
        base: The base to start the local server with; `None` for the default.
        voice: The prompt that gives the person's voice, with earlier replies.
        style: The description of a tuned model's person for its base, if known.
        tuned: The tuned model, if it is on this machine.
        exports: The exports with the person's chats, for the memory of the talk.
    """

    title: str | None = None
    model: str | None = None
    base: str | None = None
    voice: VoicePrompt | None = None
    style: str | None = None
    tuned: TunedModel | None = None
    preparation: Preparation | None = None
    exports: tuple[Path, ...] = ()
    examples: Sequence[TrainingExample] = field(default=(), repr=False)

    @property
    def language(self) -> str | None:
        """The language of the person, if known."""
        return language_of_examples(self.examples)

    @property
    def person(self) -> str | None:
        """The imitated person, if known."""
        return self.tuned.person if self.tuned else self.title

    @property
    def shown_replies(self) -> int:
        """The maximum number of earlier replies in the prompt."""
        return min(self.voice.k, len(self.voice.replies)) if self.voice else 0

    def settings(self, given: ChatSettings) -> ChatSettings:
        """Return settings with the person's prompt, unless one is given."""
        if self.voice is None:
            return given
        prompt = ChatPrompt(self.voice.persona, self.voice.label)
        if given.label:
            prompt = prompt.with_user(given.label)
        limits = self.voice.limits
        tokens = self.tuned.reply_tokens if self.tuned else None
        if limits is not None:
            tokens = tokens or limits.tokens
            limits = replace(limits, label=prompt.label)
        # The persona and the labels are settings of the talk, so that its base has
        # them, too.
        added = {"persona": None, "label": None, "limits": limits}
        return replace(
            given,
            system=prompt.system if given.system is None else given.system,
            label=prompt.label,
            max_tokens=given.max_tokens or tokens,
            voice=self.voice.model_copy(update=added),
        )


@contextmanager
def talk(
    who: TunedModel | Speaker | str | None = None,
    *,
    data_dir: str | Path | None = None,
    settings: ChatSettings | None = None,
) -> Iterator[Callable[[str], str]]:
    """Talk to a tuned model, or to the person of exports, on this machine.

    Args:
        who: A tuned model or its name, `None` for the newest; or the result of
            `person_of`.
        data_dir: The directory of models; `None` for the default.
        settings: The settings of the talk.

    Yields:
        A function that returns the answer to a message, with an empty line between
        several messages. It remembers the earlier messages of the talk.
    """
    speaker = who
    if not isinstance(speaker, Speaker):
        name = speaker.name if isinstance(speaker, TunedModel) else speaker
        speaker = tuned_speaker(find_tuned(name, data_dir))
    with open_talk(speaker, settings or ChatSettings(), data_dir=data_dir) as voices:
        voice = voices[-1]

        def ask(message: str) -> str:
            voice.hear(message)
            for _ in voice.answer():
                pass
            return voice.last

        yield ask


def tuned_speaker(model: TunedModel) -> Speaker:
    """Return a tuned model of this machine as a speaker."""
    examples = training_examples(model)
    replies = [one.reply for example in examples for one in replies_of(example)]
    # It has learned its examples, so earlier replies in its prompt do not help.
    voice = VoicePrompt(
        persona=model.prompt.system,
        label=model.prompt.label,
        k=0,
        limits=ReplyLimits.of(replies),
    )
    return Speaker(
        model=model.name,
        base=model.base,
        voice=voice,
        style=style_card(replies),
        tuned=model,
        exports=tuple(path for path in model.exports if path.exists()),
        examples=examples,
    )


def person_of(
    exports: Paths,
    choices: PrepareOptions | None = None,
    *,
    base: str | None = None,
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = unwatched,
) -> Speaker:
    """Return the person of exports as a speaker, without a training.

    Args:
        exports: Exports, files of examples, or sets, which are read without their
            validation part.
        choices: The person and the chats.
        base: The base model that answers; `None` for the default.
        choose_speaker: As for `prepare`.
        watch: Shows progress while exports are read.

    Raises:
        SenderNotFoundError: If the name is not found.
        TrainingDataError: If the person has no replies.
    """
    options = choices or PrepareOptions()
    preparation, examples = read_examples(
        exports, options, choose_speaker=choose_speaker, watch=watch
    )
    listed = [item.example for item in examples]
    voice = VoicePrompt.from_examples(listed)
    name = speaker_of(examples)
    return Speaker(
        name,
        base=base,
        voice=voice,
        preparation=preparation,
        exports=preparation.whole_exports,
        examples=listed,
    )


@contextmanager
def open_talk(
    speaker: Speaker,
    settings: ChatSettings,
    *,
    data_dir: str | Path | None = None,
    base_url: str | None = None,
    with_base: bool = False,
    on_event: OnEvent | None = None,
) -> Iterator[list[Voice]]:
    """Start a local server if needed, and yield the voices of the talk."""
    if base_url is not None:
        elsewhere = OtherServer(base_url, key_for(base_url))
        yield voices_on(elsewhere, speaker, settings)
        return
    with open_server(speaker.base, data_dir, on_event=on_event) as server:
        yield voices_on(server, speaker, settings, with_base=with_base)


class OtherServer(NamedTuple):
    """A server with OpenAI's protocol that is not the local server."""

    base_url: str
    api_key: str
    base_model: str = ""


def voices_on(
    server: LocalServer | OtherServer,
    speaker: Speaker,
    settings: ChatSettings,
    *,
    with_base: bool = False,
) -> list[Voice]:
    """Return the voices on a running server; the last one is the speaker."""
    where = (server.base_url, server.api_key)

    def voice(name: str, settings: ChatSettings, title: str | None) -> Voice:
        model = make_model(name, settings, *where)
        return Voice(title or name, model, settings, server=where[0], name=name)

    own = speaker.settings(settings)
    name = speaker.model or server.base_model
    main = voice(name, own, speaker.title)
    main.has_bubbles = True
    if own.voice and (server.base_model or not speaker.tuned):
        # Trained or shown replies, models repeat these instead of what is remembered.
        style = speaker.style or own.voice.style
        plain = own.voice.model_copy(update={"style": style, "k": 0})
        asked = server.base_model if speaker.tuned else name
        main.recalling = make_model(asked, replace(own, voice=plain), *where)
    if not with_base:
        return [main]
    # The base is shown as it is, without a memory.
    plain_settings = replace(own, voice=None, memory=None)
    return [voice(server.base_model, plain_settings, _BASE_TITLE), main]


def served_base(base: str) -> tuple[str, str] | None:
    """Return the server and the name of a base on another running server."""
    from openai import APIError, OpenAI

    if base.startswith("ollama:"):
        return OLLAMA_URL, base.removeprefix("ollama:")
    if not base.startswith(("http://", "https://")):
        return None
    try:
        with OpenAI(base_url=base, api_key=key_for(base)) as client:
            names = [model.id for model in client.models.list()]
    except APIError as error:
        msg = (
            f"{host_of(base)} does not list its models ({type(error).__name__}). Check "
            "the address, which usually ends in /v1, and that the server runs."
        )
        raise ChatExportError(msg) from error
    if len(names) != 1:
        named = f": {', '.join(sorted(names)[:_MAX_NAMES])}" if names else ""
        msg = (
            f"{host_of(base)} has {plural(len(names), 'model')}{named}. Name one: "
            f"--base-url {base} --base NAME"
        )
        raise ChatExportError(msg)
    return base, names[0]


@dataclass(frozen=True)
class SavedTalk:
    """A saved talk with a tuned model."""

    id: str
    turns: list[Turn]
    changed_at: datetime


def saved_talks(model: TunedModel) -> list[SavedTalk]:
    """Return the saved talks with a model, the last one first."""
    found = []
    for file in (model.path / _TALKS).glob("*.json"):
        try:
            turns = msgspec.json.decode(file.read_bytes(), type=list[Turn])
            changed_at = datetime.fromtimestamp(file.stat().st_mtime, timezone.utc)
        except (OSError, msgspec.DecodeError):
            continue
        found.append(SavedTalk(file.stem, turns, changed_at))
    return sorted(found, key=lambda talk: (talk.changed_at, talk.id), reverse=True)


def new_talk_id() -> str:
    """Return an id for a new talk: the time, for their order."""
    return str(time.time_ns())


def save_turns(model: TunedModel, turns: Sequence[Turn], talk_id: str) -> None:
    """Save a talk in the folder of its model; without turns, delete it.

    Only the user can read the file.
    """
    file = model.path / _TALKS / f"{talk_id}.json"
    answered = [turn for turn in turns if turn.answer]
    if answered:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(file, msgspec.json.encode(answered))
    else:
        file.unlink(missing_ok=True)


def continue_talk(
    voices: Sequence[Voice], model: TunedModel, talk_id: str | None = None
) -> str | None:
    """Let voices continue a saved talk with a model; without an id, the last one.

    Returns:
        The id of the talk; `None` if there is none.
    """
    talks = saved_talks(model)
    found = next((talk for talk in talks if talk_id in {None, talk.id}), None)
    if found is None:
        return None
    *beside, speaker = voices
    speaker.turns[:] = found.turns
    for voice in beside:  # Their answers were not saved.
        voice.turns[:] = [Turn(turn.line) for turn in found.turns]
    return found.id

"""Talk to a tuned model, or to a base model that imitates a person in exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, cast

from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.replies import EarlierReply, extract_replies
from langchain_chatexports.datasets.trace import find_person
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import LocalServer, Model, Workspace
from langchain_chatexports.personas import VoicePrompt
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.style import style_card
from langchain_chatexports.personas.talk import (
    ChatSettings,
    Talk,
    Turn,
    create_model,
)
from langchain_chatexports.workflows.bases import detect_language
from langchain_chatexports.workflows.corrections import (
    open_corrections,
    person_models,
)
from langchain_chatexports.workflows.preparation import Preparation, PrepareOptions
from langchain_chatexports.workflows.prepare import ChooseSpeaker, Paths, read_examples
from langchain_chatexports.workflows.remote_training import (
    OLLAMA_URL,
    get_api_key,
    get_host,
)
from langchain_chatexports.workflows.training_data import TrainingData

_BASE_TITLE = "base model"
_MAX_NAMES = 5
_UNTRAINED_ANSWERS = 3


@dataclass(frozen=True)
class Speaker:
    """A tuned model, or a base model that imitates a person."""

    title: str | None = None
    model: str | None = None
    """The tuned model's name; `None` for a base model."""

    base: str | None = None
    """The base to start the local server with; `None` for the default."""

    voice: VoicePrompt | None = None
    """The prompt with the person's earlier replies."""

    style: str | None = None
    """The person's style card, for the base of a tuned model."""

    tuned: Model | None = None
    """The tuned model, if it is on this machine."""

    preparation: Preparation | None = None
    exports: tuple[Path, ...] = ()
    """The exports with the person's chats, searched by the talk's memory."""

    examples: Sequence[TrainingExample] = field(default=(), repr=False)

    @property
    def language(self) -> str | None:
        """The person's language, if known."""
        return detect_language(self.examples)

    @property
    def person(self) -> str | None:
        """The imitated person, if known."""
        return self.tuned.person if self.tuned else self.title

    @property
    def replies_per_prompt(self) -> int:
        """The maximum number of earlier replies in the prompt."""
        return min(self.voice.k, len(self.voice.replies)) if self.voice else 0

    def settings(self, settings: ChatSettings) -> ChatSettings:
        """Add the person's prompt to settings that do not have one."""
        if self.voice is None:
            return settings
        prompt = ChatPrompt(self.voice.persona, self.voice.label)
        if settings.label:
            prompt = prompt.with_user(settings.label)
        limits = self.voice.limits
        tokens = self.tuned.reply_tokens if self.tuned else None
        if limits is not None:
            tokens = tokens or limits.tokens
            limits = replace(limits, label=prompt.label)
        # Persona and label move to the settings, because the base uses them as well.
        changes = {"persona": None, "label": None, "limits": limits}
        return replace(
            settings,
            system=prompt.system if settings.system is None else settings.system,
            label=prompt.label,
            max_tokens=settings.max_tokens or tokens,
            voice=self.voice.model_copy(update=changes),
        )


@contextmanager
def talk(
    speaker: Model | Speaker | str | None = None,
    *,
    workspace: Workspace | None = None,
    settings: ChatSettings | None = None,
) -> Iterator[Callable[[str], str]]:
    """Talk to a tuned model, or to a person in exports, on this machine.

    Args:
        speaker: A tuned model or its name, `None` for the newest; or the result of
            `load_person`.
        workspace: The jobs and models; `None` for those of the user.
        settings: The settings of the talk.

    Yields:
        A function that returns the reply to a message and remembers the talk. Messages
        in a reply are separated by empty lines.
    """
    workspace = workspace or Workspace()
    if not isinstance(speaker, Speaker):
        name = speaker.name if isinstance(speaker, Model) else speaker
        model = workspace.models.match(name)[0]
        speaker = load_tuned_speaker(workspace, model)
    with open_talk(speaker, settings or ChatSettings(), workspace) as talks:
        current = talks[-1]

        def ask(message: str) -> str:
            current.add_line(message)
            for _ in current.answer():
                pass
            return current.last_answer

        yield ask


def load_tuned_speaker(
    workspace: Workspace, model: Model, *, index_dir: Path | None = None
) -> Speaker:
    """Load a tuned model on this machine as a speaker."""
    examples = cast("list[TrainingExample]", workspace.examples(model)[0])
    replies = [item.reply for example in examples for item in extract_replies(example)]
    # The model was trained on its examples, so replies in its prompt do not help.
    others = person_models(workspace, model.person) if model.person else []
    models = [model, *(other for other in others if other.name != model.name)]
    voice = VoicePrompt(
        persona=model.prompt.system,
        label=model.prompt.label,
        k=0,
        # The number of messages is learned, so it is not capped.
        limits=replace(ReplyLimits.from_replies(replies), bubbles=None),
        corrections=open_corrections(model.person or "", models, index_dir),
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


def load_person(
    exports: Paths,
    choices: PrepareOptions | None = None,
    *,
    base: str | None = None,
    choose_speaker: ChooseSpeaker | None = None,
    index_dir: Path | None = None,
    watch: Watch = no_progress,
) -> Speaker:
    """Load a person from exports as a speaker, without training.

    Args:
        exports: Exports, files of examples, or sets, of which the validation split is
            not read.
        choices: Whom to imitate, and which chats to use. Without a name, it is the
            other person of chats of two, or else the owner.
        base: The base model that imitates the person; `None` for the default.
        choose_speaker: As for `prepare`.
        index_dir: The folder of search indexes, with the person's corrections; `None`
            for the default.
        watch: Shows progress while exports are read.

    Raises:
        SenderNotFoundError: If the name is not found.
        TrainingDataError: If the person has no replies.
    """
    preparation, traced_examples = read_examples(
        *(exports, choices),
        choose_speaker=choose_speaker,
        prefers_other=True,
        watch=watch,
    )
    examples = [traced.example for traced in traced_examples]
    voice = VoicePrompt.from_examples(examples)
    name = find_person(traced_examples)
    voice.corrections = open_corrections(name or "", index_dir=index_dir)
    return Speaker(
        name,
        base=base,
        voice=voice,
        preparation=preparation,
        exports=preparation.citable_exports,
        examples=examples,
    )


def sample_replies(data: TrainingData) -> list[EarlierReply]:
    """Return three messages to the person with what the person wrote.

    They are held out, or from the newest examples; questions come first.
    """
    asked = data.validation or data.examples[-_UNTRAINED_ANSWERS:]
    found = (item for example in asked for item in extract_replies(example))
    by_message = {item.message: item for item in found}
    items = by_message.values()
    ranked = sorted(items, key=lambda item: not item.message.endswith("?"))
    return ranked[:_UNTRAINED_ANSWERS]


def answer_tuned(
    data: TrainingData, model: Model, *, workspace: Workspace | None = None
) -> list[Turn]:
    """Answer the messages of `sample_replies` with a new model."""
    workspace = workspace or Workspace()
    speaker = load_tuned_speaker(workspace, model)
    return _answer(data, speaker, workspace)


def answer_untrained(
    data: TrainingData,
    base: str | None = None,
    *,
    workspace: Workspace | None = None,
) -> list[Turn]:
    """Answer the messages of `sample_replies` with a base that was not trained.

    If these answers make no sense, training will give the base the person's tone, but
    not sense.

    Args:
        data: The result of `prepare`.
        base: The base; `None` for the default.
        workspace: The jobs and models; `None` for those of the user.
    """
    examples = data.examples
    known = examples if data.validation else examples[:-_UNTRAINED_ANSWERS]
    voice = VoicePrompt.from_examples(known)
    speaker = Speaker(data.person, base=base, voice=voice, examples=known)
    return _answer(data, speaker, workspace or Workspace())


def _answer(data: TrainingData, speaker: Speaker, workspace: Workspace) -> list[Turn]:
    turns: list[Turn] = []
    with open_talk(speaker, ChatSettings(), workspace) as talks:
        for asked in sample_replies(data):
            talks[-1].turns.clear()
            talks[-1].add_line(asked.message)
            for _ in talks[-1].answer():
                pass
            turns += talks[-1].turns
    return turns


@contextmanager
def open_talk(
    speaker: Speaker,
    settings: ChatSettings,
    workspace: Workspace,
    *,
    base_url: str | None = None,
    with_base: bool = False,
) -> Iterator[list[Talk]]:
    """Start a local server if needed and yield the talks with the speaker and base."""
    if base_url is not None:
        remote_server = RemoteServer(base_url, get_api_key(base_url))
        yield create_talks(remote_server, speaker, settings)
        return
    with LocalServer(
        speaker.base, data_dir=workspace.data_dir, runs_jobs=False
    ) as server:
        yield create_talks(server, speaker, settings, with_base=with_base)


class RemoteServer(NamedTuple):
    """An OpenAI-compatible server other than the local server."""

    base_url: str
    api_key: str
    base_model: str = ""


def create_talks(
    server: LocalServer | RemoteServer,
    speaker: Speaker,
    settings: ChatSettings,
    *,
    with_base: bool = False,
) -> list[Talk]:
    """Return the talks on a running server; the last one is with the speaker."""
    address = (server.base_url, server.api_key)

    def create_talk(name: str, settings: ChatSettings, title: str | None) -> Talk:
        model = create_model(name, settings, *address)
        return Talk(title or name, model, settings, server=server.base_url, name=name)

    speaker_settings = speaker.settings(settings)
    name = speaker.model or server.base_model
    main = create_talk(name, speaker_settings, speaker.title)
    main.has_bubbles = True
    if not speaker.tuned and speaker.voice:
        main.imitated = speaker.title or ""
    if speaker_settings.voice and (server.base_model or not speaker.tuned):
        # Answers about facts come from recalled messages: neither training nor earlier
        # replies may suggest others.
        style = speaker.style or speaker_settings.voice.style
        plain_prompt = speaker_settings.voice.model_copy(
            update={"style": style, "k": 0}
        )
        recall_model = server.base_model if speaker.tuned else name
        recall_settings = replace(speaker_settings, voice=plain_prompt)
        main.recall_model = create_model(recall_model, recall_settings, *address)
    if not with_base:
        return [main]
    # The base replies without the voice prompt and memory.
    plain_settings = replace(speaker_settings, voice=None, memory=None)
    return [create_talk(server.base_model, plain_settings, _BASE_TITLE), main]


def find_served_base(base: str) -> tuple[str, str] | None:
    """Return the URL and model name if the base is on another server, else `None`."""
    from openai import APIError, OpenAI

    if base.startswith("ollama:"):
        return OLLAMA_URL, base.removeprefix("ollama:")
    if not base.startswith(("http://", "https://")):
        return None
    try:
        with OpenAI(base_url=base, api_key=get_api_key(base)) as client:
            names = [model.id for model in client.models.list()]
    except APIError as error:
        msg = (
            f"{get_host(base)} does not list its models ({type(error).__name__}). Is "
            "the server running, and does its address end in /v1?"
        )
        raise ChatExportError(msg) from error
    if len(names) != 1:
        name_list = f": {', '.join(sorted(names)[:_MAX_NAMES])}" if names else ""
        msg = (
            f"{get_host(base)} has {plural(len(names), 'model')}{name_list}. Choose "
            f"one: --base-url {base} --base NAME"
        )
        raise ChatExportError(msg)
    return base, names[0]

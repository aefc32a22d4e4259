"""A talk with a model: its history and its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_chatexports._tracing import untraced
from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.finetuning.errors import is_too_long
from langchain_chatexports.finetuning.model_names import TunedModelName
from langchain_chatexports.personas.reply_limits import bubbles_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from langchain_chatexports.personas.voice_prompt import VoicePrompt

# Size of the visible history; training windows have about this size.
_REMEMBERED_TURNS = 7

MAX_TOKENS = 200
"""Longest answer of a model, in tokens, if the lengths of the person's are unknown."""


@dataclass(frozen=True)
class Recalled:
    """The messages of exports about a line of a talk.

    Attributes:
        text: The messages, for the model; empty for none.
        cited: The same as lines for people.
        is_fact: Whether the line asks for a fact.
        refusal: The answer to a fact that nobody mentioned.
    """

    text: str = field(default="", repr=False)
    cited: tuple[str, ...] = field(default=(), repr=False)
    is_fact: bool = False
    refusal: str = field(default="", repr=False)


Recall: TypeAlias = "Callable[[str, str], Recalled]"
"""Returns what exports have about a line, given the earlier talk."""


@dataclass(frozen=True)
class ChatSettings:
    """The settings of a talk.

    Attributes:
        system: A system message; `None` for that of the model's training, if there is
            one.
        temperature: Sampling temperature.
        max_tokens: Longest answer, in tokens; `None` for twice as long as nearly all
            of the person's, or 200 where these are not known.
        seed: Random seed; `None` for a new one each time.
        memory: The memory of the talk, if any. What it recalls follows the system
            message for that line's answer.
        label: The name before the person's messages, if the model learned such names.
        voice: The prompt before the chat, if any.
    """

    system: str | None = None
    temperature: float = 0.7
    max_tokens: int | None = None
    seed: int | None = None
    memory: Recall | None = None
    label: str | None = None
    voice: VoicePrompt | None = None


@dataclass
class Turn:
    """A line of the person, and the received part of the answer."""

    line: str
    answer: str = ""
    is_cut: bool = False
    """Whether the token limit ended the answer."""

    cited: list[str] = field(default_factory=list)
    """The messages of exports that the model was shown."""


@dataclass
class Voice:
    """A model in a chat, with its own history, without the answers of other models.

    Attributes:
        has_bubbles: Whether each line of its answers is a message.
        recalling: The model that answers if the line asks for a fact and the memory has
            found something; `None` for the same one.
        server: The model's server, for errors, and its name there.
        turns: The conversation. The model sees its end, as far as it fits into the
            context.
    """

    title: str
    model: BaseChatModel
    settings: ChatSettings = field(default_factory=ChatSettings, repr=False)
    has_bubbles: bool = False
    recalling: BaseChatModel | None = field(default=None, repr=False)
    server: str = "the server"
    name: str = "the model"
    turns: list[Turn] = field(default_factory=list, repr=False)

    def hear(self, line: str) -> None:
        """Add a line of the person to the conversation."""
        self.turns.append(Turn(line))

    def answer(self) -> Iterator[str]:
        """Yield the answer in pieces, and add it to the conversation."""
        from openai import OpenAIError

        *earlier, turn = self.turns
        recalled = Recalled()
        if self.settings.memory:
            history = "\n".join(f"{one.line}\n{one.answer}" for one in earlier)
            recalled = self.settings.memory(turn.line, history)
            turn.cited = [*recalled.cited]
        if recalled.refusal:
            turn.answer = recalled.refusal
            yield turn.answer
            return
        # Chat templates require alternating roles.
        answered = [one for one in earlier if one.answer][-_REMEMBERED_TURNS:]
        model = (recalled.is_fact and self.recalling) or self.model
        while True:
            try:
                # Messages to a model on this machine are not traced elsewhere.
                with untraced():
                    chat = self.messages(answered, turn.line, recalled.text)
                    chunks = model.stream(chat)
                    first = [*islice(chunks, 1)]
                for chunk in chain(first, chunks):
                    piece = str(chunk.text)
                    turn.answer += piece
                    reason = chunk.response_metadata.get("finish_reason")
                    turn.is_cut |= reason == "length"
                    yield piece
            except OpenAIError as error:
                if not turn.answer and is_too_long(error) and answered:
                    answered = answered[(len(answered) + 1) // 2 :]
                    continue
                msg = error_message(self.server, self.name, error)
                raise ChatExportError(msg) from error
            return

    def stop(self) -> None:
        """Keep the received part of the answer, and ignore the rest."""
        self.turns[-1] = replace(self.turns[-1])

    def messages(
        self, before: Iterable[Turn], line: str, recalled: str = ""
    ) -> list[BaseMessage]:
        """Return the messages to the model for a line after some turns."""
        prompt = ChatPrompt(self.settings.system, self.settings.label)
        messages: list[BaseMessage] = []
        if system := "\n\n".join(filter(None, (prompt.system, recalled))):
            messages.append(SystemMessage(system))
        for turn in before:
            messages += [
                HumanMessage(prompt.labeled(turn.line)),
                AIMessage(turn.answer),
            ]
        return [*messages, HumanMessage(prompt.labeled(line))]

    @property
    def last(self) -> str:
        """The last answer, its messages merged as in training."""
        return "\n\n".join(self.bubbles(self.turns[-1]))

    def bubbles(self, turn: Turn) -> list[str]:
        """Return the messages of an answer."""
        whole = turn.answer.strip()
        if self.has_bubbles:
            return bubbles_of(whole)
        return [whole] if whole else []


def make_model(
    name: str, settings: ChatSettings, base_url: str, key: str
) -> BaseChatModel:
    """Return a model on a server, behind the prompt of the settings."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from langchain_chatexports.personas.chat_model import PersonaChatModel

    model = ChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=SecretStr(key),
        temperature=settings.temperature,
        seed=settings.seed,
        max_completion_tokens=settings.max_tokens or MAX_TOKENS,
        use_responses_api=False,
    )
    if settings.voice is None:
        return model
    return PersonaChatModel(model=model, voice=settings.voice)


def short_titles(voices: Sequence[Voice]) -> list[str]:
    """Return the titles of voices for narrow columns; of a tuned model, its suffix."""
    names = [TunedModelName.parse(voice.title) for voice in voices]
    return [
        (name.suffix or "tuned model") if name else voice.title
        for name, voice in zip(names, voices, strict=True)
    ]


def error_message(server: str, name: str, error: Exception) -> str:
    """Return a remedy for a server's error, without its text, which may quote chats."""
    from openai import APIConnectionError, AuthenticationError, NotFoundError

    if isinstance(error, APIConnectionError):
        return f"{server} does not answer. Check the address, and that it runs."
    if isinstance(error, AuthenticationError):
        return f"{server} refuses the key. Check OPENAI_API_KEY."
    if isinstance(error, NotFoundError):
        return f"{server} has no model {name}. Check the name."
    if is_too_long(error):
        return (
            f"{server} could not answer: your message is too long for the context of "
            f"{name}. Write less, or use a shorter system message."
        )
    status = getattr(error, "status_code", None)
    code = f"status {status}" if status else type(error).__name__
    return f"{server} could not answer ({code}). Try again, or with a shorter message."

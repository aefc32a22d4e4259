"""A talk with a model: its history and its replies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_chatexports._terminal import one_line
from langchain_chatexports._tracing import disable_tracing
from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.finetuning.errors import is_context_length_error
from langchain_chatexports.finetuning.model_names import TunedModelName
from langchain_chatexports.personas.repetition import is_unspaced, words
from langchain_chatexports.personas.reply_limits import split_bubbles

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from langchain_chatexports.personas.corrections import Corrections
    from langchain_chatexports.personas.voice_prompt import VoicePrompt

# Earlier turns in the prompt, about as many as in training examples.
_MAX_HISTORY_TURNS = 7

# A name within these first words of an answer is a greeting.
_GREETING_WORDS = 3

CORRECTED = "corrected by you: "
"""The beginning of a citation of a correction."""

MAX_TOKENS = 200
"""Default maximum length of an answer, in tokens."""


@dataclass(frozen=True)
class RecalledMessages:
    """Messages from exports that are relevant to a message in a talk."""

    text: str = field(default="", repr=False)
    """The messages formatted for the model; empty if none were found."""

    cited: tuple[str, ...] = field(default=(), repr=False)
    """The messages, formatted for users."""

    asks_for_fact: bool = False
    """Whether the message asks for a fact."""

    refusal: str = field(default="", repr=False)
    """The reply if no recalled message mentions the requested fact."""


Recall: TypeAlias = "Callable[[str, str], RecalledMessages]"
"""Finds exported messages relevant to a message, given the earlier talk."""


@dataclass(frozen=True)
class ChatSettings:
    """The settings of a talk."""

    system: str | None = None
    """A system message; `None` for the one used in training, if any."""

    temperature: float = 0.7
    """Sampling temperature."""

    max_tokens: int | None = None
    """Maximum length of an answer, in tokens; `None` for twice the 99th percentile of
    the person's replies, or for 200 if that is unknown."""

    seed: int | None = None
    """Random seed; `None` for a random one in each request."""

    strength: float | None = None
    """How much of the training a tuned model uses, from 0 to 1; `None` for the model's
    own setting. Only the local server knows this parameter."""

    memory: Recall | None = None
    """The memory of the talk, if any. Recalled messages follow the system message."""

    label: str | None = None
    """The name before the user's messages, if the model learned such names."""

    voice: VoicePrompt | None = None
    """The prompt before the chat, if any."""


@dataclass
class Turn:
    """A message from the user and the reply received so far."""

    line: str
    answer: str = ""
    is_cut: bool = False
    """Whether the answer reached the token limit."""

    cited: list[str] = field(default_factory=list)
    """The recalled messages, formatted for users."""

    sent: list[float] = field(default_factory=list)
    """When each message of the user was sent, in Unix seconds; empty if unknown."""

    received: list[float] = field(default_factory=list)
    """When each message of the answer was complete; empty if unknown."""

    base_answer: str = ""
    """The reply of the model without training, if it was asked."""

    is_corrected: bool = False
    """Whether the user replaced the answer by what the person would have said."""


@dataclass
class Talk:
    """A talk of the user with a model."""

    title: str
    """The model's name for users."""

    model: BaseChatModel
    settings: ChatSettings = field(default_factory=ChatSettings, repr=False)
    has_bubbles: bool = False
    """Whether each line of an answer is a message."""

    recall_model: BaseChatModel | None = field(default=None, repr=False)
    """The model that answers questions about facts from recalled messages; `None` for
    `model`."""

    server: str = "the server"
    """The server's address, for error messages."""

    name: str = "the model"
    """The model's name on the server, for error messages."""

    imitated: str | None = field(default=None, repr=False)
    """The person whom an untrained model imitates. If it greets them, or repeats the
    message, its answer is drawn again, once."""

    turns: list[Turn] = field(default_factory=list, repr=False)
    """The talk so far. The model sees the last turns that fit its context."""

    def add_line(self, line: str) -> None:
        """Add a message from the user to the talk."""
        self.turns.append(Turn(line, sent=[time.time()]))

    def answer(self) -> Iterator[str]:
        """Stream the reply and add it to the talk."""
        from openai import OpenAIError

        turn = self.turns[-1]  # `stop` replaces it.
        recalled, answered = self._recall(), self._answered()
        if recalled.refusal:
            yield _add(turn, recalled.refusal)
            return
        model, draft = self._choose_model(recalled), _Draft(turn, self.imitated)
        while True:
            try:
                # Chats with a local model must not leave the machine as traces.
                with disable_tracing():
                    chat = self.messages(answered, turn.line, recalled.text)
                    chunks = model.stream(chat, **self._options())
                    first_chunk = [*islice(chunks, 1)]
                for chunk in chain(first_chunk, chunks):
                    if piece := draft.add(chunk):
                        yield piece
                    if draft.is_odd:
                        break
                if piece := draft.end():
                    yield piece
            except OpenAIError as error:
                answered = self._shorten(turn, answered, error)
                continue
            if not draft.is_odd:
                return
            draft = _Draft(turn)

    def _options(self) -> dict[str, Any]:
        strength = self.settings.strength
        return {} if strength is None else {"extra_body": {"strength": strength}}

    async def aanswer(self) -> AsyncGenerator[str, None]:
        """Stream the reply and add it to the talk; closing it stops the model."""
        from openai import OpenAIError

        turn = self.turns[-1]
        recalled, answered = await asyncio.to_thread(self._recall), self._answered()
        if recalled.refusal:
            yield _add(turn, recalled.refusal)
            return
        model, draft = self._choose_model(recalled), _Draft(turn, self.imitated)
        while True:
            try:
                with disable_tracing():
                    chat = self.messages(answered, turn.line, recalled.text)
                    chunks = model.astream(chat, **self._options())
                    first_chunk = await anext(chunks, None)
                if first_chunk is not None and (piece := draft.add(first_chunk)):
                    yield piece
                async for chunk in chunks:
                    if piece := draft.add(chunk):
                        yield piece
                    if draft.is_odd:
                        break
                if piece := draft.end():
                    yield piece
            except OpenAIError as error:
                answered = self._shorten(turn, answered, error)
                continue
            if not draft.is_odd:
                return
            draft = _Draft(turn)

    def correct(self, better: str = "") -> None:
        """Keep what the person would have said, and continue the talk from it.

        If it is empty, only what the model said is marked as wrong.

        Raises:
            ChatExportError: If there is no answer or no person, or if it could not be
                written.
        """
        correct_last(self.corrections, self.turns, better, model=self.name)

    @property
    def corrections(self) -> Corrections | None:
        """The person's corrections; `None` without a person."""
        return self.settings.voice.corrections if self.settings.voice else None

    def _recall(self) -> RecalledMessages:
        *earlier, turn = self.turns
        near = (
            self.corrections.nearest(turn.line) if self.corrections is not None else []
        )
        corrected = [f"{CORRECTED}{one_line(c.better)}" for c in near if c.better]
        recalled = RecalledMessages()
        if self.settings.memory:
            history = "\n".join(f"{turn.line}\n{turn.answer}" for turn in earlier)
            recalled = self.settings.memory(turn.line, history)
        turn.cited = [*corrected[::-1], *recalled.cited]
        return replace(recalled, refusal="") if corrected else recalled

    def _answered(self) -> list[Turn]:
        """Return the earlier turns for the prompt."""
        # Chat templates require alternating roles.
        return [turn for turn in self.turns[:-1] if turn.answer][-_MAX_HISTORY_TURNS:]

    def _choose_model(self, recalled: RecalledMessages) -> BaseChatModel:
        return (recalled.asks_for_fact and self.recall_model) or self.model

    def _shorten(
        self, turn: Turn, answered: list[Turn], error: Exception
    ) -> list[Turn]:
        """Return fewer turns if the prompt was too long, else raise an error."""
        if not turn.answer and is_context_length_error(error) and answered:
            return answered[(len(answered) + 1) // 2 :]
        msg = error_message(self.server, self.name, error)
        raise ChatExportError(msg) from error

    def stop(self) -> None:
        """Keep the reply received so far and ignore the rest."""
        self.turns[-1] = replace(self.turns[-1])

    def messages(
        self, before: Iterable[Turn], line: str, recalled: str = ""
    ) -> list[BaseMessage]:
        """Return the prompt for a line after some turns."""
        prompt = ChatPrompt(self.settings.system, self.settings.label)
        messages: list[BaseMessage] = []
        if system := "\n\n".join(filter(None, (prompt.system, recalled))):
            messages.append(SystemMessage(system))
        for turn in before:
            messages += [
                HumanMessage(prompt.add_label(turn.line)),
                AIMessage(turn.answer),
            ]
        return [*messages, HumanMessage(prompt.add_label(line))]

    @property
    def last_answer(self) -> str:
        """The last answer, with its messages merged as in training."""
        return "\n\n".join(self.bubbles(self.turns[-1]))

    def bubbles(self, turn: Turn) -> list[str]:
        """Return the messages of an answer."""
        answer = turn.answer.strip()
        if self.has_bubbles:
            return split_bubbles(answer)
        return [answer] if answer else []


def correct_last(
    corrections: Corrections | None, turns: Sequence[Turn], better: str, *, model: str
) -> None:
    """Keep a correction of the last of some turns, as `Talk.correct` does."""
    if corrections is None:
        msg = "Only replies of a person on this machine can be corrected."
        raise ChatExportError(msg)
    if not turns or not turns[-1].answer.strip():
        msg = "There is no reply to correct yet."
        raise ChatExportError(msg)
    *earlier, last = turns
    lines = [
        line
        for turn in earlier[-_MAX_HISTORY_TURNS:]
        if turn.answer
        for line in (("user", turn.line), ("assistant", turn.answer))
    ]
    chat = [{"role": r, "content": text} for r, text in [*lines, ("user", last.line)]]
    corrections.add(chat, last.answer, better, model=model)
    if bubbles := split_bubbles(better):
        last.answer, last.is_corrected = "\n\n".join(bubbles), True
        last.cited, last.received = [], []


def _add(turn: Turn, piece: str) -> str:
    turn.answer += piece
    return piece


@dataclass
class _Draft:
    """An answer whose start is held back until it cannot be odd."""

    turn: Turn
    imitated: str | None = None
    """The person who would not greet themselves; `None` to accept any answer."""

    is_odd: bool = False
    held: str = ""

    def add(self, chunk: BaseMessage) -> str:
        """Add a chunk and return the text to show."""
        self.turn.is_cut |= chunk.response_metadata.get("finish_reason") == "length"
        self.held += str(chunk.text)
        return "" if self._may_be_odd() else self.end()

    def end(self) -> str:
        """Return what was held back, unless it is odd."""
        if self.is_odd:
            return ""
        self.is_odd = self.imitated is not None and self._check()
        text, self.held = self.held, ""
        if self.is_odd:
            self.turn.is_cut = False
            return ""
        self.imitated = None  # The rest is not held back.
        return _add(self.turn, text)

    def _may_be_odd(self) -> bool:
        start = words(self.held)
        is_short = len(start) <= _GREETING_WORDS
        # The last word may be incomplete.
        complete = start[:-1]
        repeats = words(self.turn.line)[: len(complete)] == complete
        return self.imitated is not None and (is_short or repeats)

    def _check(self) -> bool:
        """Return whether the text repeats the message, or greets the person."""
        said, name = words(self.held), (self.imitated or "").lower().split()[:1]
        start = said[:_GREETING_WORDS]
        if name and is_unspaced(name[0]):  # Each letter counts as a word.
            start = ["".join(said[: len(name[0])])]
        repeats = len(said) > 1 and said == words(self.turn.line)
        return repeats or not {*name}.isdisjoint(start)


def create_model(
    name: str, settings: ChatSettings, base_url: str, key: str
) -> BaseChatModel:
    """Create a chat model client, with the prompt from the settings."""
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


def short_titles(talks: Sequence[Talk]) -> list[str]:
    """Return titles for narrow columns: the suffix of a tuned model's name."""
    names = [TunedModelName.parse(talk.title) for talk in talks]
    return [
        (name.suffix or "tuned model") if name else talk.title
        for name, talk in zip(names, talks, strict=True)
    ]


def error_message(server: str, name: str, error: Exception) -> str:
    """Describe a server's error, without its message, which may quote chats."""
    from openai import APIConnectionError, AuthenticationError, NotFoundError

    if isinstance(error, APIConnectionError):
        return f"{server} is not responding. Check the address, and that it is running."
    if isinstance(error, AuthenticationError):
        return f"{server} rejected the API key. Check OPENAI_API_KEY."
    if isinstance(error, NotFoundError):
        return f"{server} has no model {name}. Check the name."
    if is_context_length_error(error):
        return (
            f"{server} could not answer: the message is too long for the context of "
            f"{name}. Shorten it or the system message."
        )
    status = getattr(error, "status_code", None)
    code = f"status {status}" if status else type(error).__name__
    return f"{server} could not answer ({code}). Try again, or send a shorter message."

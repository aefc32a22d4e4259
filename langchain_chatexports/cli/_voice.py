"""A model in a chat: what was said, and what it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from openai import OpenAI

__all__ = ["Turn", "Voice", "check_model", "short_titles"]

# What the model sees of the chat so far; it learned from windows of about this size.
_REMEMBERED_TURNS = 7

_TUNED = re.compile(r"ft:[^:]*:[^:]*:(?P<suffix>[^:]*):(?P<id>.+)")


@dataclass
class Turn:
    """What the person said, and as much of the answer as has arrived."""

    line: str
    answer: str = ""


@dataclass
class Voice:
    """A model in a chat, with what it remembers: its own answers, not the others'.

    Attributes:
        title: What to call it.
        model: The chat model.
        has_bubbles: Whether each line of its answers is a message.
        system: A system message, if any.
        turns: The conversation, of which it sees the end.
    """

    title: str
    model: BaseChatModel
    has_bubbles: bool = False
    system: str | None = None
    turns: list[Turn] = field(default_factory=list, repr=False)

    def hear(self, line: str) -> None:
        """Add what the person says to the conversation."""
        self.turns.append(Turn(line))

    def answer(self) -> Iterator[str]:
        """Yield the answer in pieces, and add it to the conversation.

        Raises:
            ChatExportError: If the server cannot answer.
        """
        from openai import OpenAIError

        turn = self.turns[-1]
        try:
            for chunk in self.model.stream(self._messages()):
                piece = str(chunk.text)
                turn.answer += piece
                yield piece
        except OpenAIError as error:
            server = str(getattr(self.model, "openai_api_base", "the server"))
            name = str(getattr(self.model, "model_name", "the model"))
            raise ChatExportError(_explained(server, name, error)) from error

    def stop(self) -> None:
        """Keep what has arrived of the answer, whatever still arrives."""
        self.turns[-1] = replace(self.turns[-1])

    def _messages(self) -> list[BaseMessage]:
        from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

        messages: list[BaseMessage] = []
        if self.system:
            messages.append(SystemMessage(self.system))
        *earlier, last = self.turns
        # Chat templates want questions and answers in turn.
        answered = [turn for turn in earlier if turn.answer]
        for turn in answered[-_REMEMBERED_TURNS:]:
            messages += [HumanMessage(turn.line), AIMessage(turn.answer)]
        return [*messages, HumanMessage(last.line)]

    @property
    def last(self) -> str:
        """The last answer."""
        return self.turns[-1].answer


def short_titles(voices: Sequence[Voice]) -> list[str]:
    """Return what to call voices where there is little room.

    A tuned model's name has its base and an id around the suffix that its owner chose.

    Args:
        voices: The voices of a chat.
    """
    names = [_TUNED.fullmatch(voice.title) for voice in voices]
    words = [name["suffix"] or "tuned model" if name else "" for name in names]
    titles = []
    for voice, name, word in zip(voices, names, words, strict=True):
        if name is None:
            titles.append(voice.title)
        elif words.count(word) == 1:
            titles.append(word)
        else:
            titles.append(":".join(filter(None, name.groups())))
    return titles


def check_model(name: str, base_url: str, key: str) -> None:
    """Make sure that a server has a model, as far as it says which ones it has.

    Args:
        name: The model.
        base_url: The server.
        key: Its key.

    Raises:
        ChatExportError: If the server lists its models, and has no such model, or if it
            does not answer.
    """
    from openai import APIConnectionError, APIStatusError, NotFoundError, OpenAI

    with OpenAI(base_url=base_url, api_key=key) as client:
        try:
            client.models.retrieve(name)
        except APIConnectionError as error:
            raise ChatExportError(_explained(base_url, name, error)) from error
        except NotFoundError as error:
            # Some servers have the list only, and some not even that.
            names = _listed_models(client)
            if names and name not in names:
                nearest = did_you_mean([name], names)
                msg = f"{_explained(base_url, name, error)}{nearest}"
                raise ChatExportError(msg) from None
        except APIStatusError:
            return  # The key may be for chats only.


def _listed_models(client: OpenAI) -> list[str]:
    from openai import APIError

    try:
        return [model.id for model in client.models.list()]
    except APIError:
        return []


def _explained(server: str, name: str, error: Exception) -> str:
    from openai import APIConnectionError, AuthenticationError, NotFoundError

    if isinstance(error, APIConnectionError):
        return f"{server} does not answer. Check the address, and that it runs."
    if isinstance(error, AuthenticationError):
        return f"{server} refuses the key. Check OPENAI_API_KEY."
    if isinstance(error, NotFoundError):
        return f"{server} has no model {name}. Check the name."
    status = getattr(error, "status_code", None)
    code = f"status {status}" if status else type(error).__name__
    return f"{server} could not answer ({code}). Try again, or use a shorter --system."

"""A fake loader, a tracer and sessions for the tests of steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import HumanMessage

_START = 1_693_182_723  # The first message of LangChain's iMessage tutorial.
_DAY = 86_400


class CountingChatLoader(BaseChatLoader):
    """A loader of given sessions that counts what is read and closed."""

    def __init__(self, sessions: list[ChatSession]) -> None:
        self.sessions = sessions
        self.reads = 0
        self.closed = 0

    def lazy_load(self) -> Iterator[ChatSession]:
        """Yield the sessions one by one."""
        try:
            for session in self.sessions:
                self.reads += 1
                yield session
        finally:
            self.closed += 1


class Recorder(BaseCallbackHandler):
    """Records all events of a run."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.names: list[Any] = []
        self.outputs: list[Any] = []
        self.errors: list[BaseException] = []

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: dict[str, Any], **kwargs: Any
    ) -> None:
        """Record the run's name and input."""
        self.inputs.append((serialized, inputs, kwargs))
        self.names.append(kwargs.get("name"))

    def on_chain_end(self, outputs: dict[str, Any], **kwargs: Any) -> None:
        """Record the run's output."""
        del kwargs
        self.outputs.append(outputs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """Record the run's error."""
        del kwargs
        self.errors.append(error)

    def everything(self) -> str:
        """Return all of it as text, to look for what must not be in it."""
        return repr((self.inputs, self.outputs, self.errors))


def example_session(number: int) -> ChatSession:
    """Build a conversation of 24 messages, with runs, half of it a day later."""
    senders = ("Tortoise", "Hare", "Hare", "Tortoise", "Tortoise", "Hare")
    messages = []
    for index in range(24):
        sender = senders[(index + number) % len(senders)]
        moment = _START + index * 30 + (_DAY if index >= 12 else 0)
        kwargs = {
            "message_time": moment,
            "sender": sender,
            "is_from_me": sender == "Tortoise",
            "events": [{"message_time": f"2023-08-28T00:00:{index:02}+00:00"}],
        }
        text = f"Line {index} of race {number}, by {sender}."
        message_id = f"race-{number}-{index}"
        messages.append(
            HumanMessage(content=text, additional_kwargs=kwargs, id=message_id)
        )
    session: Any = {"messages": messages, "metadata": {"id": f"race-{number}"}}
    return cast("ChatSession", session)

"""A chat model for agents in tests, which plays a script."""

from collections.abc import Callable
from typing import Any, TypeAlias
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

Turn: TypeAlias = Callable[[list[BaseMessage]], AIMessage]


class ScriptedModel(BaseChatModel):
    """Answers with the turns of a script, each made of the messages so far."""

    script: list[Any]
    tools: list[Any] = Field(default_factory=list)
    """What it was offered, at its last request."""

    def bind_tools(self, tools: Any, **_kwargs: Any) -> Any:
        """Note the tools; the script decides which are called."""
        self.tools[:] = tools
        return self

    def _generate(
        self, messages: list[BaseMessage], *_args: Any, **_kwargs: Any
    ) -> ChatResult:
        turn: Turn = self.script.pop(0)
        return ChatResult(generations=[ChatGeneration(message=turn(messages))])

    @property
    def _llm_type(self) -> str:
        return "scripted"


def calls(name: str, **arguments: Any) -> Turn:
    """Return a turn that calls a tool."""
    call = {"name": name, "args": arguments, "id": uuid4().hex, "type": "tool_call"}
    return lambda _messages: AIMessage("", tool_calls=[call])

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
    """Replies with the turns of a script; a function creates a turn from the chat."""

    script: list[Any]
    requests: list[list[BaseMessage]] = Field(default_factory=list, repr=False)
    tools: list[Any] = Field(default_factory=list)
    """The tools of the last request."""

    def bind_tools(self, tools: Any, **_kwargs: Any) -> Any:
        """Record the tools; the script decides which are called."""
        self.tools[:] = tools
        return self

    def _generate(
        self, messages: list[BaseMessage], *_args: Any, **_kwargs: Any
    ) -> ChatResult:
        self.requests.append(messages)
        turn: Turn | AIMessage = self.script.pop(0)
        answer = turn if isinstance(turn, AIMessage) else turn(messages)
        return ChatResult(generations=[ChatGeneration(message=answer)])

    @property
    def _llm_type(self) -> str:
        return "scripted"


def calls(name: str, **arguments: Any) -> Turn:
    """Return a turn that calls a tool."""
    call = {"name": name, "args": arguments, "id": uuid4().hex, "type": "tool_call"}
    return lambda _messages: AIMessage("", tool_calls=[call])

"""Middleware that gives an agent a person's voice."""

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_chatexports.personas.chat_model import PersonaChatModel
from langchain_chatexports.personas.voice_prompt import VoicePrompt

try:
    from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
except ImportError as error:
    msg = (
        "Middleware is for LangChain's agents. Install them with: pip install langchain"
    )
    raise ImportError(msg) from error


class VoiceMiddleware(AgentMiddleware[Any, Any, Any]):
    """Lets an agent answer as a person, with tools and structured output.

    Each call of the model gets the voice as by `PersonaChatModel`: state, callbacks and
    traces do not include it.

    ```python
    from langchain.agents import create_agent

    agent = create_agent(model, tools=tools, middleware=[VoiceMiddleware(voice)])
    ```
    """

    def __init__(self, voice: VoicePrompt) -> None:
        """Initialize with the voice, such as from `VoicePrompt.from_sessions`."""
        super().__init__()
        self.voice = voice

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Call the model with the voice."""
        return handler(self._with_voice(request))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Call the model with the voice."""
        return await handler(self._with_voice(request))

    def _with_voice(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        persona = PersonaChatModel(model=request.model, voice=self.voice)
        return request.override(model=persona)

"""A chat model with a person's voice before another chat model."""

from __future__ import annotations

from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import run_in_executor
from pydantic import Field

from langchain_chatexports._tracing import untraced
from langchain_chatexports.finetuning.errors import is_too_long
from langchain_chatexports.personas.voice_prompt import VoicePrompt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool

__all__ = ["PersonaChatModel", "with_voice"]


class PersonaChatModel(BaseChatModel):
    """Any chat model with a person's voice, wherever a chat model is expected.

    With an untuned model it is the person at once; with a tuned one the hybrid of both.
    Nothing is sent before it is called, and then the model gets what `VoicePrompt`
    returns, with messages of the person's chats; with fewer earlier replies, if a
    server of OpenAI's API says that they do not fit into the model's context. Callbacks
    and traces get the chat as it was given, and the answer.
    """

    model: Runnable[LanguageModelInput, Any]
    """The chat model that answers."""

    voice: VoicePrompt = Field(repr=False, exclude=True)
    """What is put before the chat."""

    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    """Off: the model's own cache knows the whole prompt."""

    @property
    def _llm_type(self) -> str:
        return "chatexports-persona"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the persona before the model with tools.

        Raises:
            NotImplementedError: If the model takes no tools.
        """
        if not isinstance(self.model, BaseChatModel):
            msg = "The model behind this persona takes no tools: bind them to it first."
            raise NotImplementedError(msg)
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return type(self)(
            model=self.model.bind_tools(tools, **kwargs), voice=self.voice
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del run_manager
        options = _options(stop, kwargs)
        answer = self._ask(messages, partial(self.model.invoke, **options))
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del run_manager
        options = _options(stop, kwargs)
        answer = await self._aask(messages, partial(self.model.ainvoke, **options))
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        del run_manager

        def begin(prompt: list[BaseMessage]) -> Iterator[AIMessage]:
            chunks = self.model.stream(prompt, **_options(stop, kwargs))
            return chain([*islice(chunks, 1)], chunks)

        for chunk in self._ask(messages, begin):
            yield ChatGenerationChunk(message=_as_chunk(chunk))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del run_manager

        async def begin(prompt: list[BaseMessage]) -> tuple[Any, AsyncIterator[Any]]:
            chunks = self.model.astream(prompt, **_options(stop, kwargs))
            return await anext(chunks, None), chunks

        first, rest = await self._aask(messages, begin)
        if first is not None:
            yield ChatGenerationChunk(message=_as_chunk(first))
        async for chunk in rest:
            yield ChatGenerationChunk(message=_as_chunk(chunk))

    def _ask(self, messages: list[BaseMessage], ask: Callable[..., Any]) -> Any:
        """Ask the model, with fewer replies where they do not fit.

        Of a stream, `ask` returns the first piece: after it, nothing is asked again.
        """
        voice = self.voice
        prompt = voice.invoke(messages)
        while True:
            try:
                with untraced():
                    return ask(prompt)
            except Exception as error:  # noqa: BLE001, PERF203 - raised again
                voice, prompt = _shorter(voice, messages, prompt, error)

    async def _aask(self, messages: list[BaseMessage], ask: Callable[..., Any]) -> Any:
        voice = self.voice
        prompt = await voice.ainvoke(messages)
        while True:
            try:
                with untraced():
                    return await ask(prompt)
            except Exception as error:  # noqa: BLE001, PERF203 - raised again
                given = voice, messages, prompt, error
                voice, prompt = await run_in_executor(None, _shorter, *given)


def with_voice(voice: VoicePrompt) -> Callable[[BaseChatModel], BaseChatModel] | None:
    """Return what puts a voice before a chat model, in chats that name the persona.

    Args:
        voice: The voice. Its style and replies are added; its persona and label are the
            chat's own, where one can replace them.

    Returns:
        A function from a chat model to one with the voice; `None` if nothing is added.
    """
    if not (voice.style or voice.k or voice.contrast):
        return None
    added = voice.model_copy(update={"persona": None, "label": None})
    return lambda model: PersonaChatModel(model=model, voice=added)


def _shorter(
    voice: VoicePrompt,
    messages: list[BaseMessage],
    prompt: list[BaseMessage],
    error: Exception,
) -> tuple[VoicePrompt, list[BaseMessage]]:
    """Return the voice and a prompt with fewer replies, if the prompt was too long."""
    shorter = voice.shorter() if is_too_long(error) else None
    while shorter is not None:
        # It may have shown fewer replies than it could.
        if (fewer := shorter.invoke(messages)) != prompt:
            return shorter, fewer
        shorter = shorter.shorter()
    raise error


def _as_chunk(answer: AIMessage) -> AIMessageChunk:
    # A model that does not stream yields its whole answer.
    if isinstance(answer, AIMessageChunk):
        return answer
    return AIMessageChunk(**answer.model_dump(exclude={"type"}))


def _options(stop: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
    options = given if stop is None else {**given, "stop": stop}
    # The persona's own run has the answer; the prompt is in no callback or trace.
    config: RunnableConfig = {"callbacks": []}
    return {**options, "config": config}

"""A chat model that adds a person's voice to another chat model."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import (
    BaseChatModel,
    LangSmithParams,
    LanguageModelInput,
)
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.runnables.config import run_in_executor
from langchain_core.tools import BaseTool
from pydantic import Field, model_validator

from langchain_chatexports.finetuning.errors import is_too_long
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.voice_prompt import VoicePrompt

# Settings of core that apply to the model's own runs, too.
_SHARED = (
    "callbacks",
    "disable_streaming",
    "metadata",
    "output_version",
    "profile",
    "rate_limiter",
    "tags",
)


class PersonaChatModel(BaseChatModel):
    """A chat model with a person's voice, for use like any other chat model.

    An untuned model answers as the person without training. The model gets the prompt
    of `VoicePrompt`, which has messages of the person's chats; with fewer earlier
    replies, if they do not fit into the model's context (detected for servers with
    OpenAI's API). A call is one run. Its callbacks and traces get the given chat and
    the answer, but not the prompt. Tools, structured output, token counts, profile and
    tracing parameters are the model's own.

    An answer is cut where the person would have stopped, see `VoicePrompt.limits`,
    except in calls with bound arguments, such as tools.

    In an agent, use `VoiceMiddleware`.
    """

    model: BaseChatModel
    """The chat model that answers."""

    voice: VoicePrompt = Field(repr=False, exclude=True)
    """The prompt before the chat."""

    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    """Off, because the keys of a cache do not include the voice."""

    @model_validator(mode="before")
    @classmethod
    def _share_settings(cls, values: dict[str, Any]) -> dict[str, Any]:
        shared = {name: getattr(values.get("model"), name, None) for name in _SHARED}
        known = {name: value for name, value in shared.items() if value is not None}
        return {**known, **values}

    @property
    def _llm_type(self) -> str:
        return "chatexports-persona"

    @property
    def model_name(self) -> str:
        """The model's name, from which agents derive its abilities."""
        names = (getattr(self.model, name, None) for name in ("model_name", "model"))
        return next((name for name in names if isinstance(name, str)), self._llm_type)

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return self.model._get_invocation_params(stop=stop, **kwargs)  # noqa: SLF001 - what subclasses override

    def _get_ls_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> LangSmithParams:
        return self.model._get_ls_params(stop=stop, **kwargs)  # noqa: SLF001 - as above

    def _should_stream(self, **kwargs: Any) -> bool:
        return self.model._should_stream(**kwargs)  # noqa: SLF001 - as above

    def get_token_ids(self, text: str) -> list[int]:
        """Return the model's token ids of a text."""
        return self.model.get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return the number of the model's tokens in a text."""
        return self.model.get_num_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the number of the model's tokens in a chat, without the voice."""
        return self.model.get_num_tokens_from_messages(messages, tools)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the persona with tools, bound as the model binds them."""
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self._instead_of_model(self.model.bind_tools(tools, **kwargs))

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Return the persona with structured output, as implemented by the model."""
        structured = self.model.with_structured_output(
            schema, include_raw=include_raw, **kwargs
        )
        return self._instead_of_model(structured)

    def _instead_of_model(self, runnable: Runnable[Any, Any]) -> Runnable[Any, Any]:
        """Return a bound runnable with the persona in place of the model."""
        if runnable is self.model:
            return self
        if isinstance(runnable, BaseChatModel):  # A copy with the tools.
            return self.model_copy(update={"model": runnable})
        if isinstance(runnable, RunnableBinding):
            bound = self._instead_of_model(runnable.bound)
            return runnable.model_copy(update={"bound": bound})
        if isinstance(runnable, RunnableSequence):
            first, *rest = runnable.steps
            return RunnableSequence(self._instead_of_model(first), *rest)
        if isinstance(runnable, RunnableParallel):
            steps = runnable.steps__.items()
            return RunnableParallel(
                {name: self._instead_of_model(step) for name, step in steps}
            )
        msg = (
            f"{type(self.model).__name__} binds tools and schemas in a way of its own, "
            "which PersonaChatModel cannot follow. Bind them first: voice | bound."
        )
        raise NotImplementedError(msg)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del run_manager  # Core reports the result.
        prompt = _Prompt(self.voice, messages)
        ending = self._ending(kwargs)
        while True:
            try:
                result = self.model._generate(prompt.messages, stop, **kwargs)  # noqa: SLF001 - `invoke` would be a run with the prompt
                return ending.whole(result)
            except Exception as error:  # noqa: BLE001, PERF203 - raised again
                prompt.shorten(error)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del run_manager
        prompt = await run_in_executor(None, _Prompt, self.voice, messages)
        ending = self._ending(kwargs)
        while True:
            try:
                result = await self.model._agenerate(prompt.messages, stop, **kwargs)  # noqa: SLF001 - as above
                return ending.whole(result)
            except Exception as error:  # noqa: BLE001, PERF203 - raised again
                await run_in_executor(None, prompt.shorten, error)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        del run_manager
        if type(self.model)._stream is BaseChatModel._stream:  # noqa: SLF001 - as core asks
            yield _as_chunk(self._generate(messages, stop, **kwargs))
            return
        prompt = _Prompt(self.voice, messages)
        while True:
            chunks = self.model._stream(prompt.messages, stop, **kwargs)  # noqa: SLF001 - as above
            try:
                first = next(chunks, None)
                break
            except Exception as error:  # noqa: BLE001 - raised again
                prompt.shorten(error)
        ending = self._ending(kwargs)
        for chunk in chain(() if first is None else (first,), chunks):
            yield ending.piece(chunk)
            if ending.is_reached():
                return
        yield from ending.rest()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del run_manager
        kind = type(self.model)
        is_sync = kind._astream is BaseChatModel._astream  # noqa: SLF001 - as core asks
        if is_sync and kind._stream is BaseChatModel._stream:  # noqa: SLF001 - as above
            yield _as_chunk(await self._agenerate(messages, stop, **kwargs))
            return
        prompt = await run_in_executor(None, _Prompt, self.voice, messages)
        while True:
            chunks = self.model._astream(prompt.messages, stop, **kwargs)  # noqa: SLF001 - as above
            try:
                first = await anext(chunks, None)
                break
            except Exception as error:  # noqa: BLE001 - raised again
                await run_in_executor(None, prompt.shorten, error)
        ending = self._ending(kwargs)
        if first is not None:
            yield ending.piece(first)
        if ending.is_reached():
            return
        async for chunk in chunks:
            yield ending.piece(chunk)
            if ending.is_reached():
                return
        for chunk in ending.rest():
            yield chunk

    def _ending(self, bound: dict[str, Any]) -> "_Ending":
        # Answers to bound tools or schemas are not messages.
        return _Ending(None if bound else self.voice.limits)


class _Prompt:
    """A chat with a voice, which can be shortened."""

    def __init__(self, voice: VoicePrompt, chat: list[BaseMessage]) -> None:
        self._voice = voice
        self._chat = chat
        self.messages = voice.invoke(chat)

    def shorten(self, error: Exception) -> None:
        """Show half as many replies; raise the error if that cannot help."""
        while is_too_long(error) and self._voice.k:
            self._voice = self._voice.model_copy(update={"k": self._voice.k // 2})
            before, self.messages = self.messages, self._voice.invoke(self._chat)
            # It may have shown fewer replies than the maximum.
            if self.messages != before:
                return
        raise error


class _Ending:
    """Cuts an answer where the person would have stopped."""

    def __init__(self, limits: ReplyLimits | None) -> None:
        self._limits = limits
        self._text = self._sent = ""
        self._is_reached = False

    def is_reached(self) -> bool:
        """Return whether the answer has ended."""
        return self._is_reached

    def whole(self, result: ChatResult) -> ChatResult:
        """Return a result with cut answers."""
        for generation in result.generations:
            message = generation.message
            if self._limits and isinstance(message.content, str):
                text = self._limits.beginning(message.content)
                generation.message = message.model_copy(update={"content": text})
                generation.text = text
        return result

    def piece(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """Return the part of a received chunk to send."""
        text = chunk.message.content
        if self._limits is None or not isinstance(text, str):
            return chunk
        self._text += text
        shown = self._limits.beginning(self._text)
        self._is_reached = shown != self._text
        # The last chunk has no text.
        settled = self._is_reached or not text
        return self._send(chunk, shown if settled else self._limits.settled(shown))

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """Yield the held-back rest after the model's last chunk."""
        if self._text != self._sent:
            empty = ChatGenerationChunk(message=AIMessageChunk(content=""))
            yield self._send(empty, self._text)

    def _send(self, chunk: ChatGenerationChunk, text: str) -> ChatGenerationChunk:
        content = text[len(self._sent) :]
        self._sent = max(self._sent, text, key=len)
        message = chunk.message.model_copy(update={"content": content})
        return ChatGenerationChunk(
            message=message, generation_info=chunk.generation_info
        )


def _as_chunk(result: ChatResult) -> ChatGenerationChunk:
    (generation,) = result.generations
    answer = generation.message
    if not isinstance(answer, AIMessageChunk):
        answer = AIMessageChunk(**answer.model_dump(exclude={"type"}))
    return ChatGenerationChunk(
        message=answer, generation_info=generation.generation_info
    )

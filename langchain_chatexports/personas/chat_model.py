"""A chat model that adds a person's voice to another chat model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.callbacks import CallbackManagerForLLMRun
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
from langchain_core.tools import BaseTool
from pydantic import Field, model_validator

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
    of `VoicePrompt`, which has messages of the person's chats. A call is one run. Its
    callbacks and traces get the given chat and the answer, but not the prompt. Tools,
    structured output, token counts, profile and tracing parameters are the model's own.
    An awaited call runs in a thread.

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

    def _should_stream(self, *, async_api: bool, **kwargs: Any) -> bool:
        del async_api  # Core serves `astream` by `_stream`.
        return self.model._should_stream(async_api=False, **kwargs)  # noqa: SLF001 - as above

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
        prompt = self.voice.invoke(messages)
        result = self.model._generate(prompt, stop, **kwargs)  # noqa: SLF001 - `invoke` would be a run with the prompt
        limits = self._limits(kwargs)
        for generation in result.generations if limits else ():
            message = generation.message
            if limits and isinstance(message.content, str):
                text = limits.beginning(message.content)
                generation.message = message.model_copy(update={"content": text})
                generation.text = text
        return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        del run_manager
        prompt = self.voice.invoke(messages)
        chunks = self.model._stream(prompt, stop, **kwargs)  # noqa: SLF001 - as above
        limits = self._limits(kwargs)
        yield from chunks if limits is None else _limited(chunks, limits)

    def _limits(self, bound: dict[str, Any]) -> ReplyLimits | None:
        # Answers to bound tools or schemas are not messages.
        return None if bound else self.voice.limits


def _limited(
    chunks: Iterable[ChatGenerationChunk], limits: ReplyLimits
) -> Iterator[ChatGenerationChunk]:
    """Yield an answer up to where the person would have stopped."""
    received = sent = ""
    for chunk in chunks:
        piece = chunk.message.content
        if not isinstance(piece, str):
            yield chunk
            continue
        received += piece
        shown = limits.beginning(received)
        is_over = shown != received
        # The last chunk has no text.
        if piece and not is_over:
            shown = limits.settled(shown)
        yield _with_text(chunk, shown[len(sent) :])
        sent = max(sent, shown, key=len)
        if is_over:
            return
    if received != sent:
        empty = ChatGenerationChunk(message=AIMessageChunk(content=""))
        yield _with_text(empty, received[len(sent) :])


def _with_text(chunk: ChatGenerationChunk, text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(
        message=chunk.message.model_copy(update={"content": text}),
        generation_info=chunk.generation_info,
    )

"""A chat model that adds a person's voice to another chat model."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
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
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
)
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.tools import BaseTool
from pydantic import Field, model_validator

from langchain_chatexports.personas.corrections import Correction
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.voice_prompt import VoicePrompt, to_messages

# Settings of langchain-core that are copied from the wrapped model.
_SHARED_SETTINGS = (
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

    It lets an untuned model answer as the person. The model receives the prompt of
    `VoicePrompt`, which contains messages from the person's chats. Each call is one
    run, whose callbacks and traces contain the input and the answer, but not the
    prompt. Tools, structured output, token counts, profile and tracing parameters are
    those of the wrapped model, and so are async streams; other async calls run in a
    thread.

    Answers are cut where the person would have stopped (see `VoicePrompt.limits`),
    except in calls with bound arguments, such as tools.

    In an agent, use `VoiceMiddleware`.
    """

    model: BaseChatModel
    """The chat model that answers."""

    voice: VoicePrompt = Field(repr=False, exclude=True)
    """The prompt before the chat."""

    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    """Off by default, because cache keys do not include the voice."""

    def correct(
        self, messages: LanguageModelInput, said: str, better: str = ""
    ) -> Correction:
        """Keep what the person would have said, in `voice.corrections`.

        Later prompts have it where a message is similar.

        Args:
            messages: The messages before the reply, or the one that it answers.
            said: What the persona said.
            better: What the person would have said; empty for only "not that".

        Raises:
            ValueError: If there is no reply, or no message of the user before it.
        """
        roles = {HumanMessage: "user", AIMessage: "assistant"}
        chat = [
            {"role": role, "content": str(message.text)}
            for message in to_messages(messages)
            for kind, role in roles.items()
            if isinstance(message, kind)
        ]
        return self.voice.corrections.add(chat, said, better, model=self.model_name)

    @model_validator(mode="before")
    @classmethod
    def _share_settings(cls, values: dict[str, Any]) -> dict[str, Any]:
        settings = {
            name: getattr(values.get("model"), name, None) for name in _SHARED_SETTINGS
        }
        non_null_settings = {name: v for name, v in settings.items() if v is not None}
        return {**non_null_settings, **values}

    @property
    def _llm_type(self) -> str:
        return "chatexports-persona"

    @property
    def model_name(self) -> str:
        """The wrapped model's name, from which agents derive its capabilities."""
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
        return self.model._should_stream(async_api=async_api, **kwargs)  # noqa: SLF001 - as above

    def get_token_ids(self, text: str) -> list[int]:
        """Tokenize text with the model's tokenizer."""
        return self.model.get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return the number of tokens in text."""
        return self.model.get_num_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the number of tokens in a chat, excluding the voice prompt."""
        return self.model.get_num_tokens_from_messages(messages, tools)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the persona with tools, bound by the wrapped model's method."""
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self._replace_model(self.model.bind_tools(tools, **kwargs))

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Return the persona with the wrapped model's structured output."""
        structured = self.model.with_structured_output(
            schema, include_raw=include_raw, **kwargs
        )
        return self._replace_model(structured)

    def _replace_model(self, runnable: Runnable[Any, Any]) -> Runnable[Any, Any]:
        """Return a bound runnable with the persona in place of the model."""
        if runnable is self.model:
            return self
        if isinstance(runnable, BaseChatModel):  # A copy of the model with tools.
            return self.model_copy(update={"model": runnable})
        if isinstance(runnable, RunnableBinding):
            bound = self._replace_model(runnable.bound)
            return runnable.model_copy(update={"bound": bound})
        if isinstance(runnable, RunnableSequence):
            first, *rest = runnable.steps
            return RunnableSequence(self._replace_model(first), *rest)
        if isinstance(runnable, RunnableParallel):
            steps = runnable.steps__.items()
            return RunnableParallel(
                {name: self._replace_model(step) for name, step in steps}
            )
        msg = (
            f"PersonaChatModel does not support how {type(self.model).__name__} binds "
            "tools and schemas. Bind them first, and use voice | bound_model."
        )
        raise NotImplementedError(msg)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del run_manager  # langchain-core reports the result.
        prompt = self.voice.invoke(messages)
        result = self.model._generate(prompt, stop, **kwargs)  # noqa: SLF001 - `invoke` would be a run with the prompt
        limits = self._limits(kwargs)
        for generation in result.generations if limits else ():
            message = generation.message
            if limits and isinstance(message.content, str):
                text = limits.truncate(message.content)
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
        truncation = _Truncation(self._limits(kwargs))
        for chunk in chunks:
            yield truncation.add(chunk)
            if truncation.is_over:
                return
        yield from truncation.rest()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del run_manager
        prompt = await self.voice.ainvoke(messages)
        chunks = self.model._astream(prompt, stop, **kwargs)  # noqa: SLF001 - as above
        truncation = _Truncation(self._limits(kwargs))
        async for chunk in chunks:
            yield truncation.add(chunk)
            if truncation.is_over:
                return
        for chunk in truncation.rest():
            yield chunk

    def _limits(self, bound: dict[str, Any]) -> ReplyLimits | None:
        # With bound tools or schemas, the output may not be a chat message.
        return None if bound else self.voice.limits


class _Truncation:
    """Cuts a streamed reply where it exceeds its limits."""

    def __init__(self, limits: ReplyLimits | None) -> None:
        self.is_over = False
        self._limits = limits
        self._received = self._sent = ""

    def add(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """Return a chunk with as much of the reply as may be sent."""
        piece = chunk.message.content
        if self._limits is None or not isinstance(piece, str):
            return chunk
        self._received += piece
        allowed = self._limits.truncate(self._received)
        self.is_over = allowed != self._received
        # The last chunk has no text: nothing follows that could be a stop.
        if piece and not self.is_over:
            allowed = self._limits.strip_partial_stop(allowed)
        new = allowed[len(self._sent) :]
        self._sent = max(self._sent, allowed, key=len)
        return _replace_text(chunk, new)

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """Yield what looked like the beginning of a stop sequence, but was none."""
        if self._received != self._sent:
            empty = ChatGenerationChunk(message=AIMessageChunk(content=""))
            yield _replace_text(empty, self._received[len(self._sent) :])


def _replace_text(chunk: ChatGenerationChunk, text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(
        message=chunk.message.model_copy(update={"content": text}),
        generation_info=chunk.generation_info,
    )

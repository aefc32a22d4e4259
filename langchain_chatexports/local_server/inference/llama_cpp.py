"""Answers by llama.cpp: requests in its terms, and its answers in ours.

`llama_cpp_pool` has the processes in which it runs.
"""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.inference.engine import (
    EngineBusyError,
    RefusedRequestError,
    TextPiece,
)
from langchain_chatexports.local_server.inference.llama_cpp_pool import (
    MAX_ACTIVE,
    EngineProcessError,
    ModelKey,
    ProcessPool,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
    from langchain_chatexports.local_server.inference.engine import (
        Ability,
        Engine,
        Generation,
        GenerationRequest,
    )

__all__ = ["EngineProcessError", "LlamaCppEngine"]

_MAX_WAITING = 32
_EMBEDDING_CONTEXT = 2048
_MAX_SEED = 0xFFFFFFFF  # llama.cpp's sign for a random one.
_BAD_REQUEST = range(400, 500)
_NOT_LOADED = "it cannot load this model"


class _LlamaCppGeneration:
    """Answers that a process generates."""

    def __init__(
        self, request: GenerationRequest, cancel: Callable[[], None] | None = None
    ) -> None:
        self.request = request
        self.is_cancelled = False
        self._cancel = cancel

    def cancel(self) -> None:
        """Stop after the current batch, and send no more pieces."""
        if not self.is_cancelled:
            self.is_cancelled = True
            if self._cancel is not None:
                self._cancel()

    def cancel_with(self, cancel: Callable[[], None]) -> None:
        """Set what `cancel` calls."""
        self._cancel = cancel
        if self.is_cancelled:
            cancel()


class LlamaCppEngine:
    """A base's `.gguf` file, and a process for each of its models in use."""

    name = "llama.cpp"
    abilities: frozenset[Ability] = frozenset(
        {
            "choices",
            "embeddings",
            "logit_bias",
            "logprobs",
            "penalties",
            "schema",
            "tools",
        }
    )

    def __init__(
        self,
        base: Path,
        tokenizer: ChatTokenizer,
        *,
        adapter_file: Callable[[Path], Path],
        fallback: Engine,
        threads: int,
        max_context: int | None = None,
        is_training: Callable[[], bool] = lambda: False,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        """Initialize the engine.

        Args:
            base: The base's `.gguf` file.
            tokenizer: The base's tokenizer.
            adapter_file: Returns the `.gguf` file of an adapter's folder.
            fallback: Answers for models that llama.cpp cannot load.
            threads: The number of CPU threads.
            max_context: The tokens that memory allows the contexts of all processes
                together; any number if `None`.
            is_training: Whether a training needs the processor, too.
            max_waiting: How many requests may wait, besides those being answered.
        """
        self._tokenizer = tokenizer
        self._fallback = fallback
        self._max_context = max_context
        self._pool = ProcessPool(
            base,
            adapter_file=adapter_file,
            threads=threads,
            max_context=max_context,
            is_training=is_training,
            max_waiting=max_waiting,
        )

    @property
    def context(self) -> int:
        """The longest context of an answer in tokens, prompt included."""
        longest = self._tokenizer.context
        return longest if self._max_context is None else min(longest, self._max_context)

    def submit(
        self, request: GenerationRequest, on_piece: Callable[[TextPiece], None]
    ) -> Generation:
        """Queue a request; `on_piece` is called in a thread of the engine.

        Raises:
            EngineBusyError: If too many requests are waiting.
        """
        generation = _LlamaCppGeneration(request)
        unfinished = request.choices

        def send(piece: TextPiece) -> None:
            nonlocal unfinished
            # The process can end before it has said that it is done.
            if generation.is_cancelled or not unfinished:
                return
            if piece.error is not None:
                unfinished = 0
            elif piece.finish_reason:
                unfinished -= 1
            on_piece(piece)

        tokens = request.choices * (len(request.prompt) + request.max_tokens)
        if request.choices > MAX_ACTIVE or tokens > self._pool.max_tokens(
            request.choices, self.context
        ):
            msg = "its choices have too many tokens together; lower max_tokens"
            send(TextPiece(error=RefusedRequestError(msg)))
            return generation

        def use_fallback() -> None:
            if request.options or request.choices > 1:
                send(TextPiece(error=RefusedRequestError(_NOT_LOADED)))
                return
            try:
                other = self._fallback.submit(request, send)
            except EngineBusyError as error:
                send(TextPiece(error=error))
            else:
                generation.cancel_with(other.cancel)

        task = Task(
            key=ModelKey(request.adapter),
            route="completions",
            body=_body(request),
            tokens=tokens,
            slots=request.choices,
            on_line=lambda line: send(_piece(line)),
            on_error=lambda error: send(TextPiece(error=error)),
            on_unsupported=use_fallback,
        )
        generation.cancel_with(lambda: self._pool.cancel(task))
        self._pool.add(task)
        return generation

    def embed(
        self, prompts: list[list[int]], adapter: Path | None = None
    ) -> Future[list[list[float]]]:
        """Return the embeddings of texts, given as token ids; they have length 1.

        Raises:
            EngineBusyError: If too many requests are waiting.

        The future raises `RefusedRequestError` if a text is too long or empty, or, with
        a text that says so, if llama.cpp cannot load the model.
        """
        future: Future[list[list[float]]] = Future()

        # The process can end before it has said that it is done, and who waits for the
        # future can have left.
        def fail(error: BaseException) -> None:
            with suppress(InvalidStateError):
                future.set_exception(error)

        def on_line(line: dict[str, Any]) -> None:
            if "embeddings" in line:
                with suppress(InvalidStateError):
                    future.set_result(line["embeddings"])
            else:
                fail(_error(line))

        longest = min(_EMBEDDING_CONTEXT, self.context)
        if max(map(len, prompts), default=0) > longest:
            fail(RefusedRequestError())
            return future
        task = Task(
            key=ModelKey(adapter, embeds=True),
            route="embeddings",
            body={"input": prompts, "embd_normalize": 2},
            tokens=longest,
            slots=1,
            on_line=on_line,
            on_error=fail,
            on_unsupported=lambda: fail(RefusedRequestError(_NOT_LOADED)),
        )
        self._pool.add(task)
        return future

    def forget(self, adapter: Path) -> None:
        """End the processes of an adapter, and of those in subfolders of its folder."""
        self._pool.forget(adapter)

    def close(self) -> None:
        """Cancel all answers and end all processes."""
        self._pool.close()


def _body(request: GenerationRequest) -> dict[str, Any]:
    """Return llama.cpp's request, which has other defaults than OpenAI's."""
    return {
        **request.options,
        "prompt": request.prompt,
        "n": request.choices,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": 0,
        "min_p": 0.0,
        # The order of OpenAI's and of transformers' sampling.
        "samplers": ["penalties", "temperature", "top_p"],
        "seed": _MAX_SEED if request.seed is None else request.seed % _MAX_SEED,
        # A surrogate that stands alone is never generated.
        "stop": [stop for stop in request.stops if _is_unicode(stop)],
        "stream": True,
        # A chunk for each batch of the prompt: without, it could not be cancelled.
        "return_progress": True,
        "cache_prompt": True,
    }


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _piece(line: dict[str, Any]) -> TextPiece:
    if "code" in line or "failed" in line:
        return TextPiece(error=_error(line))
    return TextPiece(**line)


def _error(line: dict[str, Any]) -> Exception:
    if line.get("code") in _BAD_REQUEST:
        return RefusedRequestError()
    return EngineProcessError()

"""Answers by transformers: one thread generates them, a token of each in turn.

It answers where llama.cpp cannot, and scores given answers for both.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from langchain_chatexports.local_server.inference.engine import (
    EngineBusyError,
    GenerationRequest,
    RefusedRequestError,
    TextPiece,
)
from langchain_chatexports.local_server.inference.text_stream import (
    StopFinder,
    TokenDecoder,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
    from langchain_chatexports.local_server.inference.engine import Ability
    from langchain_chatexports.local_server.inference.loaded_base import LoadedBase

__all__ = ["TransformersEngine"]

Result = TypeVar("Result")

_MAX_ACTIVE = 8
_MAX_WAITING = 32


class TransformersGeneration:
    """An answer that is being generated, until `cancel` is called."""

    def __init__(
        self, request: GenerationRequest, on_piece: Callable[[TextPiece], None]
    ) -> None:
        self.request = request
        self.is_cancelled = False
        self._on_piece = on_piece
        self._decoder: TokenDecoder | None = None
        self._stops = StopFinder(request.stops)
        self._cache: Any = None
        self._generator: Any = None
        self._unread = request.prompt
        self._tokens = 0

    def cancel(self) -> None:
        """Stop after the current token, and send no more text."""
        self.is_cancelled = True

    def step(self, model: LoadedBase, tokenizer: Any, ends: set[int]) -> bool:
        """Generate one token.

        Returns:
            Whether the answer is complete.
        """
        from langchain_chatexports.local_server.inference.loaded_base import (
            new_generator,
            sample,
        )

        if self._decoder is None:
            self._decoder = TokenDecoder(tokenizer)
            self._cache = model.new_cache()
            self._generator = new_generator(self.request.seed)
        logits = model.next_logits(self._unread, self._cache, self.request.adapter)
        token = sample(
            logits,
            temperature=self.request.temperature,
            top_p=self.request.top_p,
            generator=self._generator,
        )
        if token in ends:
            self._finish("stop")
            return True
        self._tokens += 1
        self._unread = [token]
        text = self._stops.add(self._decoder.add(token))
        if self._stops.is_found:
            self.send(TextPiece(text, "stop", self._tokens))
            return True
        if text:
            self.send(TextPiece(text))
        if self._tokens >= self.request.max_tokens:
            self._finish("length")
            return True
        return False

    def send(self, piece: TextPiece) -> None:
        """Send a piece of text, unless cancelled."""
        if not self.is_cancelled:
            self._on_piece(piece)

    def _finish(self, reason: Literal["stop", "length"]) -> None:
        rest = self._decoder.finish() if self._decoder is not None else ""
        text = self._stops.add(rest)
        if self._stops.is_found:
            reason = "stop"
        text += self._stops.finish()
        self.send(TextPiece(text, reason, self._tokens))


class TransformersEngine:
    """A base model and the thread that generates text.

    The weights are loaded with the first chat: a server that only trains never loads
    them.
    """

    name = "transformers"
    abilities: frozenset[Ability] = frozenset()

    def __init__(
        self,
        directory: Path,
        tokenizer: ChatTokenizer,
        *,
        threads: int,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        """Initialize the engine.

        Args:
            directory: The base in transformers' format.
            tokenizer: The base's tokenizer.
            threads: The number of CPU threads.
            max_waiting: How many chats may wait, besides those being answered.
        """
        self._tokenizer = tokenizer
        self._directory = directory
        self._threads = threads
        self._max_waiting = max_waiting
        self._model: LoadedBase | None = None
        self._changed = threading.Condition()
        self._waiting: deque[TransformersGeneration] = deque()
        self._active: deque[TransformersGeneration] = deque()
        self._tasks: deque[Callable[[], None]] = deque()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    @property
    def context(self) -> int:
        """The longest context of an answer in tokens, prompt included."""
        return self._tokenizer.context

    def submit(
        self, request: GenerationRequest, on_piece: Callable[[TextPiece], None]
    ) -> TransformersGeneration:
        """Queue a request; `on_piece` is called in the engine's thread.

        Raises:
            EngineBusyError: If too many chats are waiting.
        """
        generation = TransformersGeneration(request, on_piece)
        with self._changed:
            waiting = [other for other in self._waiting if not other.is_cancelled]
            if self._is_closing or len(waiting) >= self._max_waiting:
                raise EngineBusyError
            self._waiting.append(generation)
            self._start_thread()
            self._changed.notify()
        return generation

    def embed(
        self, prompts: list[list[int]], adapter: Path | None = None
    ) -> Future[list[list[float]]]:
        """Refuse: only llama.cpp computes embeddings here."""
        del prompts, adapter
        future: Future[list[list[float]]] = Future()
        future.set_exception(RefusedRequestError())
        return future

    def forget(self, adapter: Path) -> None:
        """Unload an adapter; its folder may be deleted already."""

        def unload() -> None:
            if self._model is not None:
                self._model.forget(adapter)

        with self._changed:
            if self._thread is not None:
                self._tasks.append(unload)
                self._changed.notify()

    def run(self, task: Callable[[LoadedBase], Result]) -> Future[Result]:
        """Run another task on the model, between two tokens of the chats.

        Raises:
            EngineBusyError: If too many tasks are waiting.
        """
        future: Future[Result] = Future()

        def run_task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(task(self._loaded_model()))
            except BaseException as error:  # noqa: BLE001 - raised by the future.
                future.set_exception(error)

        with self._changed:
            if self._is_closing or len(self._tasks) >= self._max_waiting:
                raise EngineBusyError
            self._tasks.append(run_task)
            self._start_thread()
            self._changed.notify()
        return future

    def close(self) -> None:
        """Cancel all answers and stop the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="generation", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while self._prepare_round():
            for _ in range(len(self._active)):
                generation = self._active.popleft()
                if not generation.is_cancelled and not self._step(generation):
                    self._active.append(generation)
        for generation in [*self._active, *self._waiting]:
            generation.send(TextPiece("", error=EngineBusyError()))

    def _prepare_round(self) -> bool:
        """Run waiting tasks and activate waiting chats; return whether to continue."""
        with self._changed:
            while not (
                self._active or self._waiting or self._tasks or self._is_closing
            ):
                self._changed.wait()
            while self._waiting and len(self._active) < _MAX_ACTIVE:
                self._active.append(self._waiting.popleft())
            tasks = list(self._tasks)
            self._tasks.clear()
        for task in tasks:
            with contextlib.suppress(Exception):
                task()
        return not self._is_closing

    def _step(self, generation: TransformersGeneration) -> bool:
        try:
            model = self._loaded_model()
            ends = model.end_tokens | self._tokenizer.end_tokens
            return generation.step(model, self._tokenizer.tokenizer, ends)
        except Exception as error:  # noqa: BLE001 - sent to the client.
            generation.send(TextPiece("", error=error))
            return True

    def _loaded_model(self) -> LoadedBase:
        if self._model is None:
            from langchain_chatexports.local_server.inference.loaded_base import (
                LoadedBase,
            )

            self._model = LoadedBase(self._directory, threads=self._threads)
        return self._model

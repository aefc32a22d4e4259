"""Answers: one thread that reads and writes token by token, in turns for all chats."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
from langchain_chatexports.local_server.inference.text_stream import (
    StopFinder,
    TokenDecoder,
)
from langchain_chatexports.local_server.training.labels import (
    ChatTemplate,
    TemplateError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from langchain_chatexports.local_server.inference.base_model import BaseModel

__all__ = ["Answer", "Engine", "EngineBusyError", "Order", "Piece"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_AT_ONCE = 8
_MAX_WAITING = 32


class EngineBusyError(Exception):
    """More chats wait than the bound allows."""


@dataclass(frozen=True)
class Order:
    """What to answer, and how."""

    prompt: list[int]
    max_tokens: int
    adapter: Path | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    stops: list[str] = field(default_factory=list)
    seed: int | None = None


@dataclass(frozen=True)
class Piece:
    """A part of an answer; the last one says why it ends."""

    text: str
    finish_reason: Literal["stop", "length"] | None = None
    tokens: int = 0
    error: BaseException | None = None


class Answer:
    """An answer on its way; `cancel` it when nobody listens any more."""

    def __init__(self, order: Order, on_piece: Callable[[Piece], None]) -> None:
        """Take the order, and whom to tell."""
        self.order = order
        self.is_cancelled = False
        self._on_piece = on_piece
        self._decoder: TokenDecoder | None = None
        self._stops = StopFinder(order.stops)
        self._cache: Any = None
        self._generator: Any = None
        self._unread = order.prompt
        self._tokens = 0

    def cancel(self) -> None:
        """Stop after the token at hand; nothing more is told."""
        self.is_cancelled = True

    def step(self, model: BaseModel, tokenizer: Any, ends: set[int]) -> bool:
        """Write one token.

        Returns:
            Whether the answer is complete.
        """
        from langchain_chatexports.local_server.inference.base_model import (
            new_generator,
            sample,
        )

        if self._decoder is None:
            self._decoder = TokenDecoder(tokenizer)
            self._cache = model.new_cache()
            self._generator = new_generator(self.order.seed)
        scores = model.next_scores(self._unread, self._cache, self.order.adapter)
        token = sample(
            scores,
            temperature=self.order.temperature,
            top_p=self.order.top_p,
            generator=self._generator,
        )
        if token in ends:
            self._finish("stop")
            return True
        self._tokens += 1
        self._unread = [token]
        text = self._stops.add(self._decoder.add(token))
        if self._stops.is_found:
            self.tell(Piece(text, "stop", self._tokens))
            return True
        if text:
            self.tell(Piece(text))
        if self._tokens >= self.order.max_tokens:
            self._finish("length")
            return True
        return False

    def tell(self, piece: Piece) -> None:
        """Hand on a piece, unless nobody listens."""
        if not self.is_cancelled:
            self._on_piece(piece)

    def _finish(self, reason: Literal["stop", "length"]) -> None:
        rest = self._decoder.finish() if self._decoder is not None else ""
        text = self._stops.add(rest)
        if self._stops.is_found:
            reason = "stop"
        text += self._stops.finish()
        self.tell(Piece(text, reason, self._tokens))


class Engine:
    """The base, its tokenizer, and the thread that answers.

    The tokenizer is loaded when it is first asked for, the weights with the first
    chat: a server that only trains never holds them.
    """

    def __init__(
        self, directory: Path, *, threads: int, most_waiting: int = _MAX_WAITING
    ) -> None:
        """Name the base's directory.

        Args:
            directory: The base in transformers' format.
            threads: How many threads its mathematics may use.
            most_waiting: How many chats may wait beside those that are answered.
        """
        self._directory = directory
        self._threads = threads
        self._most_waiting = most_waiting
        self._model: BaseModel | None = None
        self._loading = threading.Lock()
        self._tokenizer: Any = None
        self._template: ChatTemplate | None = None
        self._template_error: TemplateError | None = None
        self._context = 0
        self._changed = threading.Condition()
        self._waiting: deque[Answer] = deque()
        self._turns: deque[Answer] = deque()
        self._errands: deque[Callable[[], None]] = deque()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    @property
    def template(self) -> ChatTemplate:
        """The base's chat template."""
        self._load_tokenizer()
        if self._template is None:  # pragma: no cover - loading sets it or raises.
            raise RuntimeError
        return self._template

    @property
    def context(self) -> int:
        """How many tokens the base can read and write in one chat."""
        self._load_tokenizer()
        return self._context

    def submit(self, order: Order, on_piece: Callable[[Piece], None]) -> Answer:
        """Ask for an answer, whose pieces are told in another thread.

        Raises:
            EngineBusyError: If too many chats wait.
        """
        answer = Answer(order, on_piece)
        with self._changed:
            waiting = [other for other in self._waiting if not other.is_cancelled]
            if self._is_closing or len(waiting) >= self._most_waiting:
                raise EngineBusyError
            self._waiting.append(answer)
            self._start_thread()
            self._changed.notify()
        return answer

    def forget(self, adapter: Path) -> None:
        """Drop an adapter from memory; its folder may be gone already."""

        def errand() -> None:
            if self._model is not None:
                self._model.forget(adapter)

        with self._changed:
            if self._thread is not None:
                self._errands.append(errand)
                self._changed.notify()

    def run(self, task: Callable[[BaseModel], Result]) -> Future[Result]:
        """Do something else with the model, between two tokens of the chats.

        Raises:
            EngineBusyError: If too many tasks wait.
        """
        future: Future[Result] = Future()

        def errand() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(task(self._loaded_model()))
            except BaseException as error:  # noqa: BLE001 - told to who asked.
                future.set_exception(error)

        with self._changed:
            if self._is_closing or len(self._errands) >= self._most_waiting:
                raise EngineBusyError
            self._errands.append(errand)
            self._start_thread()
            self._changed.notify()
        return future

    def close(self) -> None:
        """End all answers, and the thread."""
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
        while self._next_turns():
            for _ in range(len(self._turns)):
                answer = self._turns.popleft()
                if not answer.is_cancelled and not self._step(answer):
                    self._turns.append(answer)
        for answer in [*self._turns, *self._waiting]:
            answer.tell(Piece("", error=EngineBusyError()))

    def _next_turns(self) -> bool:
        with self._changed:
            while not (
                self._turns or self._waiting or self._errands or self._is_closing
            ):
                self._changed.wait()
            while self._waiting and len(self._turns) < _AT_ONCE:
                self._turns.append(self._waiting.popleft())
            errands = list(self._errands)
            self._errands.clear()
        for errand in errands:
            with contextlib.suppress(Exception):
                errand()
        return not self._is_closing

    def _step(self, answer: Answer) -> bool:
        try:
            model = self._loaded_model()
            ends = model.end_tokens | {
                token
                for token in (
                    self.template.end_of_turn,
                    self._tokenizer.eos_token_id,
                )
                if token is not None
            }
            return answer.step(model, self._tokenizer, ends)
        except Exception as error:  # noqa: BLE001 - told to whom it concerns.
            answer.tell(Piece("", error=error))
            return True

    def _loaded_model(self) -> BaseModel:
        if self._model is None:
            from langchain_chatexports.local_server.inference.base_model import (
                BaseModel,
            )

            self._model = BaseModel(self._directory, threads=self._threads)
        return self._model

    def _load_tokenizer(self) -> None:
        with self._loading:
            if self._template is not None:
                return
            if self._template_error is not None:
                raise self._template_error
            self._tokenizer, self._context = load_tokenizer(self._directory)
            try:
                self._template = ChatTemplate(self._tokenizer)
            except TemplateError as error:
                # To find it out again may take as long as a template is given.
                self._template_error = error
                raise

"""Answers by llama.cpp, with a child process for each model in use.

Each child has the base, whose file they all map into memory, and at most one adapter:
llama.cpp does not compute answers of different adapters in one batch. Requests and
responses are passed through unchanged.
"""

import asyncio
import logging
import secrets
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports.local_server.bases.chat_template import ChatTokenizer
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    client_options,
    remove_socket,
)
from langchain_chatexports.local_server.engines.transformers import EngineClosedError
from langchain_chatexports.local_server.processes import (
    child_environment,
    json_object,
    start_child,
)
from langchain_chatexports.local_server.storage.models import is_adapter

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

MAX_CHILDREN = 2
"""Maximum number of models in use; the least recently used one ends."""

_CHILD = "langchain_chatexports.local_server.engines.llama_cpp_child"
_MAX_CONTEXT = 16_384
_IDLE_SECONDS = 600.0
_WAIT_SECONDS = 0.05


class UnsuitableModelError(Exception):
    """llama.cpp cannot load the model."""


class EngineEndedError(Exception):
    """The child process ended during an answer."""


class _Child:
    """A child process with the number of its running answers."""

    def __init__(self, adapter: Path | None, threads: tuple[int, int]) -> None:
        self.adapter = adapter
        self.threads = threads
        self.active = 0
        self.used_at = time.monotonic()
        self.ready: Future[None] = Future()
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.key = secrets.token_urlsafe(32)

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def client(self) -> "httpx.AsyncClient":
        """Return a client with a connection of its own."""
        import httpx

        options = client_options(httpx.AsyncHTTPTransport, self.address, self.key)
        return httpx.AsyncClient(**options)

    def end(self) -> None:
        """End the process at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdin is not None:
                with suppress(OSError):
                    self.process.stdin.close()
            remove_socket(self.address)


class LlamaCppEngine:
    """A base's `.gguf` file, and a child process for each of its models in use."""

    def __init__(
        self,
        base: Path,
        tokenizer: ChatTokenizer,
        *,
        name: str,
        adapter_file: Callable[[Path], Path],
        threads: int,
        batch_threads: int | None = None,
        max_context: int | None = None,
        is_training: Callable[[], bool] = lambda: False,
    ) -> None:
        """Initialize the engine with a base's `.gguf` file; nothing is started.

        `adapter_file` returns the `.gguf` file of an adapter's folder. `threads` is the
        number of threads for one answer, `batch_threads` that for prompts and
        simultaneous answers. `max_context` is the maximum number of tokens of a child.
        `is_training` returns whether a training needs the processor, too.
        """
        self._base = base
        self._tokenizer = tokenizer
        self._name = name
        self._adapter_file = adapter_file
        self._threads = (threads, batch_threads or threads)
        self._max_context = min(max_context or _MAX_CONTEXT, _MAX_CONTEXT)
        self._is_training = is_training
        # For the list of children and the start of processes.
        self._lock = threading.RLock()
        self._children: list[_Child] = []
        self._unsuitable: set[Path | None] = set()
        self._is_closed = False

    @property
    def context(self) -> int:
        """The longest context of an answer in tokens, prompt included."""
        return min(self._tokenizer.context, self._max_context)

    @asynccontextmanager
    async def answer(
        self, adapter: Path | None, body: bytes, *, name: str | None = None
    ) -> AsyncIterator["httpx.Response"]:
        """Pass a request to the model's child, and start it if needed.

        The body is that of llama.cpp's `/v1/chat/completions`. The response's body is
        not read yet; closing it ends the answer. An `UnsuitableModelError` means that
        llama.cpp cannot load the model, a `FileNotFoundError` that the adapter was
        deleted.
        """
        import httpx

        # A child may have ended since its last answer.
        for _ in range(2):
            async with (
                self._use_child(adapter, name or self._name) as child,
                child.client() as client,
            ):
                request = client.build_request(
                    "POST", "/v1/chat/completions", content=body
                )
                try:
                    response = await client.send(request, stream=True)
                except httpx.TransportError:
                    self._end(child)
                    continue
                try:
                    yield response
                finally:
                    await response.aclose()
                return
        raise EngineEndedError

    def forget(self, adapter: Path) -> None:
        """End the child of a deleted adapter."""
        with self._lock:
            for child in list(self._children):
                if child.adapter == adapter:
                    self._end(child)

    def close(self) -> None:
        """Cancel all answers and end all children."""
        with self._lock:
            self._is_closed = True
            for child in list(self._children):
                self._end(child)

    @asynccontextmanager
    async def _use_child(
        self, adapter: Path | None, name: str
    ) -> AsyncIterator[_Child]:
        # Children and answers end in other threads, and make room.
        while (child := self._find_or_start(adapter, name)) is None:  # noqa: ASYNC110
            await asyncio.sleep(_WAIT_SECONDS)
        try:
            await asyncio.shield(asyncio.wrap_future(child.ready))
            yield child
        finally:
            with self._lock:
                child.active -= 1
                child.used_at = time.monotonic()
            # The loop's clock may be slightly early.
            asyncio.get_running_loop().call_later(
                _IDLE_SECONDS + 0.1, self._end_idle_children
            )

    def _find_or_start(self, adapter: Path | None, name: str) -> _Child | None:
        """Return the model's child with one more answer; `None` if it has to wait."""
        with self._lock:
            if self._is_closed:
                raise EngineClosedError
            if adapter in self._unsuitable:
                raise UnsuitableModelError
            # Threads of llama.cpp and a trainer would wait for each other at every
            # step.
            threads = (1, 1) if self._is_training() else self._threads
            child = next((c for c in self._children if c.adapter == adapter), None)
            if child is not None and (
                child.has_ended or not (child.active or child.threads == threads)
            ):
                self._end(child)
                child = None
            if child is None:
                if not self._make_room():
                    return None
                child = _Child(adapter, threads)
                self._children.append(child)
                threading.Thread(
                    target=self._start, args=(child, name), name="llama.cpp"
                ).start()
            child.active += 1
            child.used_at = time.monotonic()
            return child

    def _make_room(self) -> bool:
        """End an idle child if needed; return whether another one may start."""
        if len(self._children) < MAX_CHILDREN:
            return True
        idle = [each for each in self._children if not each.active]
        if idle:
            self._end(min(idle, key=lambda each: each.used_at))
        return bool(idle)

    def _start(self, child: _Child, name: str) -> None:
        try:
            self._start_process(child, name)
        except Exception as error:  # noqa: BLE001 - raised by the future.
            child.ready.set_exception(self._give_up(child, error))
        else:
            child.ready.set_result(None)

    def _start_process(self, child: _Child, name: str) -> None:
        """Start a child's process, and wait until its server is ready."""
        adapter = child.adapter
        if adapter is not None and not is_adapter(adapter):
            raise FileNotFoundError
        settings = {
            "model": str(self._base),
            "adapter": None if adapter is None else str(self._adapter_file(adapter)),
            "name": name,
            "template": self._tokenizer.template.source,
            "key": child.key,
            "threads": child.threads,
            "context": self.context,
        }
        environment = child_environment(threads=child.threads[1], offline=True)
        with self._lock:
            if child not in self._children:
                raise EngineClosedError
            child.process = process = start_child(_CHILD, environment, settings)
        if process.stdout is None:  # pragma: no cover - a pipe.
            raise EngineClosedError
        with process.stdout as lines:
            child.address = str(json_object(lines.readline()).get("address", ""))
        if not child.address:
            msg = "its process ended while it was loading"
            raise UnsuitableModelError(msg)

    def _give_up(self, child: _Child, error: Exception) -> Exception:
        """Return the error for requests; transformers answers for the model."""
        with self._lock:
            if child not in self._children:  # It was deleted, or the server stops.
                return FileNotFoundError() if child.adapter else EngineClosedError()
            self._end(child)
            if isinstance(error, FileNotFoundError):
                return error
            self._unsuitable.add(child.adapter)
        what = "the base" if child.adapter is None else child.adapter.name
        logger.warning(
            "llama.cpp does not answer for %s, transformers does: %s", what, error
        )
        return UnsuitableModelError()

    def _end_idle_children(self) -> None:
        with self._lock:
            for child in list(self._children):
                idle = time.monotonic() - child.used_at
                if not child.active and idle >= _IDLE_SECONDS:
                    self._end(child)

    def _end(self, child: _Child) -> None:
        with self._lock:
            if child in self._children:
                self._children.remove(child)
            child.end()

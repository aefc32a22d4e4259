"""Answers by llama.cpp, with a child process for each model in use.

Each child has the base, whose file they all map into memory, and at most one adapter:
llama.cpp does not compute answers of different adapters in one batch. Requests and
responses are passed through unchanged.
"""

import asyncio
import json
import logging
import secrets
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    http_options,
    remove_socket,
    transport_options,
)
from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.engines.llama_cpp_child import ChildSettings
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

MAX_SLOTS = 8
"""Maximum number of simultaneous answers of a model."""

_CHILD = "langchain_chatexports.local_server.engines.llama_cpp_child"
_MAX_CHILDREN = 4
_FIRST_CONTEXT = 8192
_MIN_FIRST_CONTEXT = 2048
_IDLE_SECONDS = 600.0
# A child that gets more threads loses its cache, so wait longer than a chat's pauses.
_REST_SECONDS = 60.0
# A failure, such as for lack of memory, is temporary.
_RETRY_SECONDS = 60.0
_WAIT_SECONDS = 0.05
_ATTEMPTS = 3
_BAD_REQUEST = 400


class UnsuitableModelError(Exception):
    """llama.cpp cannot load the model."""


class EngineEndedError(Exception):
    """The child process ended during an answer."""


class _Child:
    """A child process with the number of its running answers."""

    def __init__(
        self, adapter: Path | None, context: int, threads: tuple[int, int]
    ) -> None:
        self.adapter = adapter
        self.context = context
        self.threads = threads
        self.active = 0
        self.used_at = time.monotonic()
        self.is_retired = False
        self.is_ended = False
        self.ready: Future[None] = Future()
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""
        self._key = secrets.token_urlsafe(32)
        self._lock = threading.Lock()

    @property
    def has_ended(self) -> bool:
        process = self._process
        return self.is_ended or (process is not None and process.poll() is not None)

    def start(self, settings: dict[str, Any]) -> None:
        """Start the process, and wait until its server is ready."""
        given = ChildSettings(key=self._key, **settings)
        with self._lock:
            if self.is_ended:
                raise EngineEndedError
            environment = child_environment(threads=given.batch_threads, offline=True)
            self._process = process = start_child(_CHILD, environment, asdict(given))
        if process.stdout is None:  # pragma: no cover - a pipe.
            raise EngineEndedError
        with suppress(OSError, ValueError), process.stdout as lines:
            self._address = str(json_object(lines.readline()).get("address", ""))
        if not self._address:
            self.end()
            msg = "its process ended while it was loading"
            raise UnsuitableModelError(msg)

    def client(self) -> "httpx.AsyncClient":
        """Return a client with a connection of its own."""
        import httpx

        transport = httpx.AsyncHTTPTransport(**transport_options(self._address))
        options = http_options(self._address, self._key)
        return httpx.AsyncClient(transport=transport, **options)

    @asynccontextmanager
    async def post(self, body: bytes) -> "AsyncIterator[httpx.Response | None]":
        """Send a request; the response is `None` if the process has ended."""
        import httpx

        async with self.client() as client:
            request = client.build_request("POST", "/v1/chat/completions", content=body)
            try:
                response = await client.send(request, stream=True)
            except httpx.TransportError:
                yield None
                return
            try:
                yield response
            finally:
                await response.aclose()

    def end(self) -> None:
        """End the process at once."""
        with self._lock:
            self.is_ended = True
            process = self._process
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            remove_socket(self._address)


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
        simultaneous answers. `max_context` is the maximum number of tokens of all
        children together. `is_training` returns whether a training needs the processor,
        too.
        """
        self._base = base
        self._tokenizer = tokenizer
        self._name = name
        self._adapter_file = adapter_file
        self._threads = threads
        self._batch_threads = batch_threads or threads
        self._max_context = max_context
        self._is_training = is_training
        self._lock = threading.RLock()
        self._children: list[_Child] = []
        self._unsuitable: dict[Path | None, float] = {}
        self._is_closed = False

    @property
    def context(self) -> int:
        """The longest context of an answer in tokens, prompt included."""
        longest = self._tokenizer.context
        return longest if self._max_context is None else min(longest, self._max_context)

    @asynccontextmanager
    async def answer(
        self,
        adapter: Path | None,
        body: bytes,
        *,
        name: str | None = None,
        tokens: int = 0,
    ) -> AsyncIterator["httpx.Response"]:
        """Pass a request to the model's child, and start it if needed.

        The body is that of llama.cpp's `/v1/chat/completions`, and `tokens` an estimate
        of its size. The response's body is not read yet; closing it ends the answer. An
        `UnsuitableModelError` means that llama.cpp cannot load the model, a
        `FileNotFoundError` that the adapter was deleted.
        """
        needed = tokens
        for _ in range(_ATTEMPTS):
            async with (
                self._use_child(adapter, name or self._name, needed) as child,
                child.post(body) as response,
            ):
                if response is None:
                    child.is_retired = True
                    continue
                needed = await self._more_context(child, response)
                if not needed:
                    yield response
                    return
        raise EngineEndedError

    def forget(self, adapter: Path) -> None:
        """End the children of an adapter, and of adapters in its subfolders."""
        with self._lock:
            for child in list(self._children):
                if child.adapter and adapter in (child.adapter, *child.adapter.parents):
                    self._end(child)

    def close(self) -> None:
        """Cancel all answers and end all children."""
        with self._lock:
            self._is_closed = True
            for child in list(self._children):
                self._end(child)

    @asynccontextmanager
    async def _use_child(
        self, adapter: Path | None, name: str, needed: int
    ) -> AsyncIterator[_Child]:
        # Children and answers end in other threads, and make room.
        while (child := self._find_or_start(adapter, name, needed)) is None:  # noqa: ASYNC110
            await asyncio.sleep(_WAIT_SECONDS)
        try:
            await asyncio.shield(asyncio.wrap_future(child.ready))
            yield child
        finally:
            self._release(child)

    def _find_or_start(
        self, adapter: Path | None, name: str, needed: int
    ) -> _Child | None:
        """Return the model's child with one more answer; `None` if it has to wait."""
        with self._lock:
            if self._is_closed:
                raise EngineClosedError
            if self._unsuitable.get(adapter, 0.0) > time.monotonic():
                raise UnsuitableModelError
            for child in list(self._children):
                if child.adapter == adapter and not child.is_retired:
                    if self._suits(child, needed):
                        break
                    child.is_retired = True
                    if not child.active or child.has_ended:
                        self._end(child)
            else:
                context = self._context_for(needed)
                if not self._make_room(context):
                    return None
                child = _Child(adapter, context, self._free_threads())
                self._children.append(child)
                threading.Thread(
                    target=self._start, args=(child, name), name="llama.cpp"
                ).start()
            child.active += 1
            child.used_at = time.monotonic()
            return child

    def _suits(self, child: _Child, needed: int) -> bool:
        if child.has_ended or min(needed, self.context) > child.context:
            return False
        free = self._free_threads()
        if child.active or child.threads == free:
            return True
        rest = time.monotonic() - child.used_at
        return max(child.threads) < max(free) and rest < _REST_SECONDS

    def _free_threads(self) -> tuple[int, int]:
        """Return the threads for one answer, and for prompts and several answers."""
        # Threads of llama.cpp and a trainer would wait for each other at every step.
        return (1, 1) if self._is_training() else (self._threads, self._batch_threads)

    def _context_for(self, needed: int) -> int:
        longest = self.context
        context = min(_FIRST_CONTEXT, longest)
        if self._max_context is not None:
            share = max(_MIN_FIRST_CONTEXT, self._max_context // _MAX_CHILDREN)
            context = min(context, share)
        # Allow more than needed now, because talks grow.
        while context < needed:
            context *= 2
        return min(context, longest)

    def _make_room(self, context: int) -> bool:
        """End idle children; return whether another one may start."""
        while len(self._children) >= _MAX_CHILDREN or (
            self._max_context is not None
            and self._children
            and context + sum(each.context for each in self._children)
            > self._max_context
        ):
            idle = [each for each in self._children if not each.active]
            if not idle:
                return False
            self._end(min(idle, key=lambda each: each.used_at))
        return True

    def _start(self, child: _Child, name: str) -> None:
        try:
            child.start(
                {
                    "model": str(self._base),
                    "adapter": self._adapter_of(child),
                    "name": name,
                    "template": self._tokenizer.template.source,
                    "threads": child.threads[0],
                    "batch_threads": child.threads[1],
                    "context": child.context,
                    "slots": MAX_SLOTS,
                }
            )
        except Exception as error:  # noqa: BLE001 - raised by the future.
            self._give_up(child, error)
        else:
            child.ready.set_result(None)

    def _adapter_of(self, child: _Child) -> str | None:
        if child.adapter is None:
            return None
        if not is_adapter(child.adapter):
            raise FileNotFoundError
        return str(self._adapter_file(child.adapter))

    def _give_up(self, child: _Child, error: Exception) -> None:
        """Let transformers answer for a model for some time."""
        with self._lock:
            was_ended = child.is_ended and child not in self._children
            self._end(child)
            if isinstance(error, FileNotFoundError) or was_ended:
                gone = FileNotFoundError() if child.adapter else EngineClosedError()
                child.ready.set_exception(gone)
                return
            seconds = float("inf") if isinstance(error, NoGGUFError) else _RETRY_SECONDS
            self._unsuitable[child.adapter] = time.monotonic() + seconds
        what = "the base" if child.adapter is None else child.adapter.name
        logger.warning(
            "llama.cpp does not answer for %s, transformers does: %s", what, error
        )
        child.ready.set_exception(UnsuitableModelError())

    async def _more_context(self, child: _Child, response: "httpx.Response") -> int:
        """Return the size of a refused request; 0 if no context is large enough."""
        if response.status_code != _BAD_REQUEST or child.context >= self.context:
            return 0
        error = json.loads(await response.aread()).get("error", {})
        tokens = int(error.get("n_prompt_tokens", 0))
        return tokens + 1 if child.context <= tokens < self.context else 0

    def _release(self, child: _Child) -> None:
        with self._lock:
            child.active -= 1
            child.used_at = time.monotonic()
            if not child.active and (child.is_retired or child.has_ended):
                self._end(child)
        loop = asyncio.get_running_loop()
        # The loop's clock may be slightly early.
        loop.call_later(_IDLE_SECONDS + 0.1, self._end_idle_children)

    def _end_idle_children(self) -> None:
        with self._lock:
            for child in list(self._children):
                idle = time.monotonic() - child.used_at
                if not child.active and idle >= _IDLE_SECONDS:
                    self._end(child)

    def _end(self, child: _Child) -> None:
        if child in self._children:
            self._children.remove(child)
        child.end()

"""Inference with llama.cpp, with a child process for each model in use.

Children share the base's file in memory. Each one loads at most one adapter, because
llama.cpp cannot batch requests for different adapters. Requests and responses are
passed through unchanged.
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
from langchain_chatexports.local_server.old_engines.transformers import (
    EngineClosedError,
    ModelDeletedError,
)
from langchain_chatexports.local_server.processes import (
    child_environment,
    parse_json_object,
    start_child,
)
from langchain_chatexports.local_server.storage.models import is_adapter

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

MAX_CHILDREN = 2
"""Maximum number of models in use; the least recently used one is unloaded."""

_CHILD = "langchain_chatexports.local_server.old_engines.llama_cpp_child"
_MAX_CONTEXT = 16_384
_IDLE_SECONDS = 600.0
_POLL_SECONDS = 0.05


class ModelNotSupportedError(Exception):
    """llama.cpp cannot load the model."""


class EngineExitedError(Exception):
    """The child process exited before or during a response."""


class _Child:
    """A child process, and the number of its running requests."""

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
    def has_exited(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def client(self) -> "httpx.AsyncClient":
        """Return a client with its own connection."""
        import httpx

        options = client_options(httpx.AsyncHTTPTransport, self.address, self.key)
        return httpx.AsyncClient(**options)

    def kill(self) -> None:
        """Kill the process, and remove its socket."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdin is not None:
                with suppress(OSError):
                    self.process.stdin.close()
            remove_socket(self.address)


class LlamaCppEngine:
    """Serves the models of a base's `.gguf` file from child processes."""

    def __init__(
        self,
        base: Path,
        tokenizer: ChatTokenizer,
        *,
        name: str,
        write_adapter: Callable[[Path], Path],
        threads: int,
        batch_threads: int | None = None,
        max_context: int | None = None,
        is_training: Callable[[], bool] = lambda: False,
    ) -> None:
        """Initialize the engine with a base's `.gguf` file, without starting a child.

        `write_adapter` writes an adapter's `.gguf` file and returns its path. `threads`
        is the number of threads for one request, and `batch_threads` for prompts and
        concurrent requests. `max_context` limits the context of a child, in tokens.
        `is_training` returns whether a job is training on this machine.
        """
        self._base = base
        self._tokenizer = tokenizer
        self._name = name
        self._write_adapter = write_adapter
        self._threads = (threads, batch_threads or threads)
        self._max_context = min(max_context or _MAX_CONTEXT, _MAX_CONTEXT)
        self._is_training = is_training
        # Guards the list of children and the start of processes.
        self._lock = threading.RLock()
        self._children: list[_Child] = []
        self._unsupported: set[Path | None] = set()
        self._is_closed = False

    @property
    def context(self) -> int:
        """The maximum context in tokens, including the prompt."""
        return min(self._tokenizer.context, self._max_context)

    @asynccontextmanager
    async def open_response(
        self, adapter: Path | None, body: bytes, *, name: str | None = None
    ) -> AsyncIterator["httpx.Response"]:
        """Send a request to the model's child, starting the child if needed.

        `body` is a request for llama.cpp's `/v1/chat/completions`. The response's body
        is not read yet; closing it cancels generation. Raises a
        `ModelNotSupportedError` if llama.cpp cannot load the model.
        """
        import httpx

        # A child may have crashed since its last request.
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
                    self._stop(child)
                    continue
                try:
                    yield response
                finally:
                    await response.aclose()
                return
        raise EngineExitedError

    def unload(self, adapter: Path) -> None:
        """Stop the child of a deleted adapter."""
        with self._lock:
            for child in list(self._children):
                if child.adapter == adapter:
                    self._stop(child)

    def close(self) -> None:
        """Cancel all requests and stop all children."""
        with self._lock:
            self._is_closed = True
            for child in list(self._children):
                self._stop(child)

    @asynccontextmanager
    async def _use_child(
        self, adapter: Path | None, name: str
    ) -> AsyncIterator[_Child]:
        # Wait until a child has exited or is idle.
        while (child := self._find_or_start(adapter, name)) is None:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        try:
            await asyncio.shield(asyncio.wrap_future(child.ready))
            yield child
        finally:
            with self._lock:
                child.active -= 1
                child.used_at = time.monotonic()
            # The event loop's clock may be slightly early.
            asyncio.get_running_loop().call_later(
                _IDLE_SECONDS + 0.1, self._stop_idle_children
            )

    def _find_or_start(self, adapter: Path | None, name: str) -> _Child | None:
        """Reserve the model's child for a request; `None` if all children are busy."""
        with self._lock:
            if self._is_closed:
                raise EngineClosedError
            if adapter in self._unsupported:
                raise ModelNotSupportedError
            # Otherwise llama.cpp and a trainer would slow each other down.
            threads = (1, 1) if self._is_training() else self._threads
            child = next((c for c in self._children if c.adapter == adapter), None)
            if child is not None and (
                child.has_exited or not (child.active or child.threads == threads)
            ):
                self._stop(child)
                child = None
            if child is None:
                if not self._free_slot():
                    return None
                child = _Child(adapter, threads)
                self._children.append(child)
                threading.Thread(
                    target=self._start, args=(child, name), name="llama.cpp"
                ).start()
            child.active += 1
            child.used_at = time.monotonic()
            return child

    def _free_slot(self) -> bool:
        """Stop an idle child if needed; return whether another one may start."""
        if len(self._children) < MAX_CHILDREN:
            return True
        idle = [child for child in self._children if not child.active]
        if idle:
            self._stop(min(idle, key=lambda child: child.used_at))
        return bool(idle)

    def _start(self, child: _Child, name: str) -> None:
        try:
            self._start_process(child, name)
        except Exception as error:  # noqa: BLE001 - raised by the future.
            child.ready.set_exception(self._handle_failed_start(child, error))
        else:
            child.ready.set_result(None)

    def _start_process(self, child: _Child, name: str) -> None:
        """Start a child's process, and wait until its server is ready."""
        adapter = child.adapter
        if adapter is not None and not is_adapter(adapter):
            raise ModelDeletedError
        settings = {
            "model": str(self._base),
            "adapter": None if adapter is None else str(self._write_adapter(adapter)),
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
            child.address = str(parse_json_object(lines.readline()).get("address", ""))
        if not child.address:
            msg = "its process exited while it was loading"
            raise ModelNotSupportedError(msg)

    def _handle_failed_start(self, child: _Child, error: Exception) -> Exception:
        """Stop a child that failed to start, and return the error for its requests."""
        with self._lock:
            was_removed = child not in self._children
            self._stop(child)
            if self._is_closed:
                return EngineClosedError()
            if child.adapter is not None and not is_adapter(child.adapter):
                return ModelDeletedError()
            if was_removed:
                return EngineExitedError()
            self._unsupported.add(child.adapter)
        model = "the base" if child.adapter is None else child.adapter.name
        logger.warning(
            "llama.cpp cannot load %s; falling back to transformers: %s", model, error
        )
        return ModelNotSupportedError()

    def _stop_idle_children(self) -> None:
        with self._lock:
            for child in list(self._children):
                idle_seconds = time.monotonic() - child.used_at
                if not child.active and idle_seconds >= _IDLE_SECONDS:
                    self._stop(child)

    def _stop(self, child: _Child) -> None:
        with self._lock:
            if child in self._children:
                self._children.remove(child)
            child.kill()

"""Engines in child processes, which have an HTTP server for their parent only."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.llama_cpp_server import (
    client_options,
    remove_socket,
)
from langchain_chatexports.local_server.engines.engine import closed_error
from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.processes import parse_json_object, start

if TYPE_CHECKING:
    import httpx

IDLE_SECONDS = 600
"""The time without requests after which a child gives its memory back."""

_MAX_ADAPTERS = 4
_END_SECONDS = 1.0
_OK = 200


class Child:
    """A child process, and the number of its running requests."""

    def __init__(
        self, module: str, settings: Mapping[str, Any], *, adapters: tuple[Path, ...]
    ) -> None:
        """Start the process; it is used after awaiting `ready`."""
        self.adapters = adapters
        self.threads: int = settings["threads"]
        self.requests = 0
        self.ready = asyncio.ensure_future(self._start(module, settings))
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""
        self._client: httpx.AsyncClient | None = None
        self._is_stopping = False

    @property
    def has_ended(self) -> bool:
        """Whether it could not be started, or its process has exited."""
        if not self.ready.done():
            return False
        return self._process is None or self._process.poll() is not None

    @property
    def client(self) -> "httpx.AsyncClient":
        """A client of its server."""
        if self._client is None:
            raise closed_error()
        return self._client

    async def stop(self) -> None:
        """End the process, and whatever it is doing."""
        self._is_stopping = True
        if self._process is not None:
            self._process.kill()
        await asyncio.wait({self.ready})
        if not self.ready.cancelled():
            self.ready.exception()  # Nobody else may have awaited it.
        if self._process is not None:
            with self._process:  # Close its pipes.
                self._process.kill()
        if self._client is not None:
            await self._client.aclose()
        remove_socket(self._address)

    async def wait_for_end(self) -> None:
        """Wait a moment for a process that may be ending."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, _END_SECONDS)

    async def _start(self, module: str, settings: Mapping[str, Any]) -> None:
        import httpx

        process = self._process = await asyncio.to_thread(
            start, module, settings, threads=self.threads
        )
        if self._is_stopping:
            process.kill()
        if process.stdout is None:  # pragma: no cover - a pipe.
            raise closed_error()
        line = await asyncio.to_thread(process.stdout.readline)
        started = parse_json_object(line)
        if self._is_stopping:
            raise closed_error()
        if "address" not in started:
            reason = started.get("error") or (
                "its process ended. Its files may be damaged, or memory too small."
            )
            msg = f"The base model could not be loaded: {reason}"
            raise RequestError(msg, status=503, code="server_error")
        self._address = str(started["address"])
        options = client_options(
            httpx.AsyncHTTPTransport, self._address, settings["key"]
        )
        # Long answers must not keep shorter ones waiting, and llama.cpp may close a
        # connection that is kept while a request is sent.
        options["limits"] = httpx.Limits(
            max_connections=None, max_keepalive_connections=0
        )
        self._client = httpx.AsyncClient(**options)


class ChildEngine:
    """Passes requests to a child, which the first one starts.

    A child has the adapters that it was started with. For another one a new child
    starts, and the old one ends after its last request.
    """

    def __init__(
        self,
        module: str,
        *,
        threads: int,
        is_training: Callable[[], bool] = lambda: False,
    ) -> None:
        """Initialize the engine without starting a child.

        `is_training` returns whether a job is training on this machine.
        """
        self._module = module
        self._threads = threads
        self._is_training = is_training
        self._child: Child | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._children: set[Child] = set()
        self._is_closed = False

    def settings(self, adapters: tuple[Path, ...]) -> dict[str, Any]:
        """Return the settings of a new child, except for `threads`."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """End all requests and children."""
        self._is_closed = True
        for child in list(self._children):
            self._end(child)
        if self._endings:
            await asyncio.wait(self._endings)

    async def post(
        self, adapter: Path | None, path: str, build: Callable[[Child], bytes]
    ) -> bytes:
        """Return the response to a request."""
        pieces = self.stream(adapter, path, build)
        return b"".join([piece async for piece in pieces])

    async def stream(
        self, adapter: Path | None, path: str, build: Callable[[Child], bytes]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the response to a request, whose body depends on the child."""
        import httpx

        has_started = False
        # A child may have crashed since its last request.
        for attempt in range(2):
            try:
                async with self._use(adapter) as child:
                    request = child.client.build_request(
                        "POST", path, content=build(child)
                    )
                    response = await child.client.send(request, stream=True)
                    try:
                        if response.status_code != _OK:
                            raise self.translate(
                                response.status_code, await response.aread()
                            )
                        async for piece in response.aiter_raw():
                            has_started = True
                            yield piece
                    finally:
                        await response.aclose()
            except httpx.TransportError as error:
                if not has_started and not attempt and not self._is_closed:
                    continue
                ended = closed_error() if self._is_closed else _ended_error()
                raise ended from error
            return

    def translate(self, status: int, content: bytes) -> RequestError:
        """Return the error of a child's response."""
        error = parse_json_object(content).get("error")
        fields = error if isinstance(error, dict) else {}
        return RequestError(
            str(fields.get("message") or "The response could not be generated."),
            status=status,
            code=fields.get("code"),
            param=fields.get("param"),
        )

    @asynccontextmanager
    async def _use(self, adapter: Path | None) -> AsyncIterator[Child]:
        import httpx

        child = self._reserve(adapter)
        try:
            await asyncio.shield(child.ready)
            yield child
        except httpx.TransportError:
            # If only this connection has ended, other requests go on.
            await child.wait_for_end()
            raise
        finally:
            child.requests -= 1
            if child.has_ended or (child is not self._child and not child.requests):
                self._end(child)

    def _reserve(self, adapter: Path | None) -> Child:
        """Return a child for a request and start it if needed."""
        if self._is_closed:
            raise closed_error()
        # One thread while a job trains: they compete for the same cores.
        threads = 1 if self._is_training() else self._threads
        child = self._child
        if (
            child is None
            or child.has_ended
            or not (adapter is None or adapter in child.adapters)
            or not (child.requests or child.threads == threads)
        ):
            known = child.adapters if child else ()
            wanted = dict.fromkeys(
                each for each in (adapter, *known) if each and each.is_dir()
            )
            adapters = tuple(wanted)[:_MAX_ADAPTERS]
            settings = {**self.settings(adapters), "threads": threads}
            self._child = Child(self._module, settings, adapters=adapters)
            self._children.add(self._child)
            if child is not None and not child.requests:
                self._end(child)
            child = self._child
        child.requests += 1
        return child

    def _end(self, child: Child) -> None:
        if child in self._children:
            self._children.remove(child)
            if child is self._child:
                self._child = None
            task = asyncio.ensure_future(child.stop())
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)


def _ended_error() -> RequestError:
    msg = "The response could not be generated: the engine's process ended."
    return RequestError(msg, status=503, code="server_error")

"""The server process.

`serve_forever` runs a server in the foreground. `main` is the child process of
`LocalServer`: it reads its settings from standard input, prints one line of JSON when
it is ready or has failed, and stops when standard input is closed.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.local_server.http.startup import check_extra, open_service
from langchain_chatexports.local_server.processes import (
    apply_thread_settings,
    default_threads,
)
from langchain_chatexports.local_server.settings import ServerSettings
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    default_data_dir,
)
from langchain_chatexports.local_server.storage.running import (
    RunningServer,
    find_running_server,
    has_users,
    publish_server,
    withdraw_server,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

__all__ = ["ServerInfo", "listen", "main", "run_app", "serve_forever"]

logger = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 2
_USERS_POLL_SECONDS = 0.5
# Clients close idle connections after 5 seconds. A server with the same limit would
# sometimes close one while a request is on its way.
_KEEP_ALIVE_SECONDS = 120


@dataclass(frozen=True)
class ServerInfo:
    """The address and key of a running server."""

    base_url: str
    base_model: str
    api_key: str = field(repr=False)
    data_dir: str
    engine: str = "transformers"
    """Which engine answers, and why."""


def serve_forever(
    settings: ServerSettings | None = None,
    on_ready: Callable[[ServerInfo], None] | None = None,
    *,
    stop: threading.Event | None = None,
) -> None:
    """Run a server in this process until it is interrupted.

    It sets the process's umask and number of threads. Ctrl-C stops the trainer, queues
    its job again, and returns.

    Args:
        settings: The settings; the defaults if `None`.
        on_ready: Called once, when the server accepts requests.
        stop: An event that stops the server.

    Raises:
        LocalServerError: If the port is taken, another server uses the data directory,
            or the base is missing.
        MissingExtraError: If the extra `local` is not installed.
    """
    check_extra()
    settings = (settings or ServerSettings()).with_absolute_base()
    settings.check()
    os.umask(0o077)
    apply_thread_settings(settings.threads or default_threads())
    with (
        listen(settings.host, settings.port) as listener,
        open_service(settings) as service,
    ):
        # Everything is downloaded.
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
        info = ServerInfo(
            base_url=_base_url(listener),
            base_model=service.base_model,
            api_key=settings.api_key or secrets.token_urlsafe(32),
            data_dir=str(service.data.root),
            engine=str(service.choice),
        )
        from langchain_chatexports.local_server.http.app import create_app
        from langchain_chatexports.local_server.http.connections import LimitedProtocol

        app = create_app(service, api_key=info.api_key, host=settings.host)

        def call_when_ready() -> None:
            publish_server(service.data, _record_of(info))
            if on_ready is not None:
                on_ready(info)

        try:
            run_app(
                app,
                listener,
                call_when_ready,
                stop,
                http=LimitedProtocol,
                ws="none",
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        finally:
            withdraw_server(service.data)


def main() -> None:
    """Run as the child process of a `LocalServer`."""
    settings = ServerSettings.from_json(sys.stdin.buffer.readline())
    stop = threading.Event()

    def wait_for_closed_input() -> None:
        sys.stdin.buffer.read()
        _wait_for_users(DataDirectory(settings.data_dir or default_data_dir()))
        stop.set()

    threading.Thread(target=wait_for_closed_input, daemon=True).start()
    try:
        serve_forever(
            settings, lambda info: _print_json({"ready": asdict(info)}), stop=stop
        )
    except (LocalServerError, MissingExtraError) as error:
        _print_json({"error": str(error), "extra": getattr(error, "extra", None)})
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 - reported without its text.
        frames = _frames(error)
        _print_json(
            {"error": f"The server ended with {type(error).__name__} in {frames}."}
        )
        raise SystemExit(1) from None


def _wait_for_users(data: DataDirectory) -> None:
    """Return when no other program uses the server, and none can find it."""
    server = find_running_server(data.root)
    while True:
        while has_users(data):
            time.sleep(_USERS_POLL_SECONDS)
        withdraw_server(data)
        if server is None or not has_users(data):
            return
        publish_server(data, server)


def _record_of(info: ServerInfo) -> RunningServer:
    return RunningServer(
        base_url=info.base_url,
        base_model=info.base_model,
        api_key=info.api_key,
        pid=os.getpid(),
    )


def run_app(
    app: ASGIApp,
    listener: socket.socket,
    on_ready: Callable[[], None],
    stop: threading.Event | None = None,
    **options: Any,
) -> None:
    """Run an application until Ctrl-C, or until it is told to stop.

    Args:
        app: The application.
        listener: The bound socket.
        on_ready: Called once, when the server accepts requests.
        stop: An event that stops the server.
        options: Further settings of uvicorn.
    """
    import uvicorn

    class Server(uvicorn.Server):  # type: ignore[misc] # uvicorn is untyped here.
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                on_ready()

        async def on_tick(self, counter: int) -> bool:
            if stop is not None and stop.is_set():
                self.should_exit = True
            return bool(await super().on_tick(counter))

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        **options,
    )
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        logger.debug("Stopped by an interrupt")


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Take a port.

    Args:
        host: The address.
        port: The port; 0 for a free one.

    Yields:
        The bound socket.

    Raises:
        LocalServerError: If the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Reuse a port that was just released. On Windows, SO_REUSEADDR would let two
        # programs share a port.
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            msg = (
                f"{host}:{port} cannot be used "
                f"({error.strerror or 'it is taken'}). Another program may use the "
                "port; choose another one, or 0 for a free one."
            )
            raise LocalServerError(msg) from error
        yield listener
    finally:
        listener.close()


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/v1"


def _print_json(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _frames(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))

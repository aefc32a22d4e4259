"""The server's process: settings in, routes up, and an orderly end.

`serve_forever` runs it in the foreground. `main` is the child process of
`LocalServer`: it reads its settings from standard input, answers with one line of JSON
when it is ready (or why it is not), and ends when standard input is closed.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.local_server.http.startup import check_extra, open_service
from langchain_chatexports.local_server.processes import (
    apply_thread_settings,
    default_threads,
)
from langchain_chatexports.local_server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

__all__ = ["ServerInfo", "main", "serve_forever"]

logger = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 2
# Clients drop an idle connection after 5 seconds. A server that does so too now and
# then closes one on which a request is just on its way.
_KEEP_ALIVE_SECONDS = 120


@dataclass(frozen=True)
class ServerInfo:
    """What a client needs to know of a running server."""

    base_url: str
    base_model: str
    api_key: str = field(repr=False)
    data_dir: str


def serve_forever(
    settings: ServerSettings | None = None,
    on_ready: Callable[[ServerInfo], None] | None = None,
    *,
    stop: threading.Event | None = None,
) -> None:
    """Run a server in this process until it is interrupted.

    Call it in a process of its own: it sets the process's umask and threads. With
    Ctrl-C it ends the trainer, queues its job again, and returns.

    Args:
        settings: The settings; the defaults if `None`.
        on_ready: Called once, as soon as requests are answered.
        stop: An event that ends the server too.

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
    with _listening(settings) as listener, open_service(settings) as service:
        # Everything that is needed is here now.
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
        info = ServerInfo(
            base_url=_url_of(listener),
            base_model=service.base_model,
            api_key=settings.api_key or secrets.token_urlsafe(32),
            data_dir=str(service.data.root),
        )
        from langchain_chatexports.local_server.http.app import create_app

        app = create_app(service, api_key=info.api_key, host=settings.host)
        say_ready = None if on_ready is None else partial(on_ready, info)
        _run(app, listener, say_ready, stop)


def main() -> None:
    """Run as the child process of a `LocalServer`."""
    settings = ServerSettings.from_json(sys.stdin.buffer.readline())
    stop = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    try:
        serve_forever(settings, lambda info: _say({"ready": asdict(info)}), stop=stop)
    except (LocalServerError, MissingExtraError) as error:
        _say({"error": str(error), "extra": getattr(error, "extra", None)})
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 - told to the parent, without text.
        frames = _frames(error)
        _say({"error": f"The server ended with {type(error).__name__} in {frames}."})
        raise SystemExit(1) from None


def _run(
    app: ASGIApp,
    listener: socket.socket,
    say_ready: Callable[[], None] | None,
    stop: threading.Event | None,
) -> None:
    import uvicorn

    from langchain_chatexports.local_server.http.connections import WatchedProtocol

    class Server(uvicorn.Server):  # type: ignore[misc] # uvicorn is not followed.
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            if self.started and say_ready is not None:
                say_ready()

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
        http=WatchedProtocol,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        logger.debug("Ended by an interrupt, in order")


@contextmanager
def _listening(settings: ServerSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port that was just given back is free. On Windows this would mean that two
        # programs may share one, unless one of them asks for it alone.
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            msg = (
                f"{settings.host}:{settings.port} cannot be listened on "
                f"({error.strerror or 'it is taken'}). Another program may use the "
                "port; give another one, or 0 for a free one."
            )
            raise LocalServerError(msg) from error
        yield listener
    finally:
        listener.close()


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/v1"


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _frames(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))

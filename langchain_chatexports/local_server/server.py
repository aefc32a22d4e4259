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
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.local_server.bases import (
    describe_base,
    prepare_base,
    signature_of,
)
from langchain_chatexports.local_server.locks import ProcessLock
from langchain_chatexports.local_server.processes import (
    apply_thread_settings,
    default_threads,
)
from langchain_chatexports.local_server.settings import ServerSettings
from langchain_chatexports.local_server.storage import (
    DataDirectory,
    default_data_dir,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

__all__ = ["ServerInfo", "check_extra", "main", "serve_forever"]

logger = logging.getLogger(__name__)

_LOCK_WAIT_SECONDS = 15.0
_LAST_WORDS_SECONDS = 2
# Clients drop an idle connection after 5 seconds. A server that does so too now and
# then closes one on which a request is just on its way.
_KEEP_ALIVE_SECONDS = 120
_NEEDED = (
    "fastapi",
    "uvicorn",
    "multipart",
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "gguf",
    "platformdirs",
)


@dataclass(frozen=True)
class ServerInfo:
    """What a client needs to know of a running server."""

    base_url: str
    base_model: str
    api_key: str = field(repr=False)
    data_dir: str


def check_extra() -> None:
    """Refuse early where the extra `local` is not installed.

    Raises:
        MissingExtraError: If one of its packages is missing.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        feature = "The local server"
        raise MissingExtraError(feature, "local")


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
    threads = settings.threads or default_threads()
    os.umask(0o077)
    apply_thread_settings(threads)
    description = describe_base(settings.base)
    data = DataDirectory(settings.data_dir or default_data_dir())
    data.prepare()
    with _only_server(data), _listening(settings) as listener:
        directory = prepare_base(description)
        # Everything that is needed is here now.
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
        _check_chat_template(directory)
        for name in settings.aliases:
            logger.warning("%s is an alias: it means %s here", name, description.name)
        from langchain_chatexports.local_server.service import LocalService

        service = LocalService(
            data,
            base=settings.base,
            base_model=description.name,
            base_directory=directory,
            signature=signature_of(directory),
            aliases=settings.aliases,
            threads=threads,
        )
        info = ServerInfo(
            base_url=_url_of(listener),
            base_model=description.name,
            api_key=settings.api_key or secrets.token_urlsafe(32),
            data_dir=str(data.root),
        )
        from langchain_chatexports.local_server.app import create_app

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
def _only_server(data: DataDirectory) -> Iterator[None]:
    lock = ProcessLock(data.lock)
    if not lock.acquire(timeout=_LOCK_WAIT_SECONDS):
        msg = (
            f"Another local server uses {data.root}. Stop it first, or give this one "
            "another data_dir."
        )
        raise LocalServerError(msg)
    with lock:
        data.clear_leftovers()
        yield


@contextmanager
def _listening(settings: ServerSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":
            # A port that was just given back is free. On Windows it would mean that
            # two servers may share one.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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


def _check_chat_template(directory: Any) -> None:
    if (directory / "chat_template.jinja").exists():
        return
    for name in ("tokenizer_config.json", "chat_template.json"):
        path = directory / name
        if path.exists() and "chat_template" in path.read_text("utf-8", "replace"):
            return
    msg = (
        f"The base model in {directory} has no chat template. Use an instruction-tuned "
        "model: its name often ends in -Instruct, -Chat or -it."
    )
    raise LocalServerError(msg)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _frames(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))

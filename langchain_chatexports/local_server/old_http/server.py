"""The server process.

`serve_forever` runs a server in the foreground. `main` is the child process of
`LocalServer`: it reads its settings from standard input, prints a line of JSON when it
is ready or has failed, and stops when standard input is closed and no other client
uses it.
"""

import json
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.local_server.bases.derived_template import TemplateError
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.local_server.bases.preparation import find_base_directory
from langchain_chatexports.local_server.old_engines.choice import choose_engine
from langchain_chatexports.local_server.processes import (
    apply_thread_settings,
    default_threads,
    postpone_garbage_collection,
    resume_garbage_collection,
    stack_frames,
)
from langchain_chatexports.local_server.settings import ServerSettings
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    RunningServer,
    write_json,
)
from langchain_chatexports.local_server.storage.database import is_disk_full

if TYPE_CHECKING:  # Imports FastAPI.
    from langchain_chatexports.local_server.old_http.service import LocalService

logger = logging.getLogger(__name__)

_PACKAGES = (
    "fastapi",
    "uvicorn",
    "multipart",
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "gguf",
    "httpx",
    "platformdirs",
    "psutil",
)
HOST = "127.0.0.1"
_GRACEFUL_SECONDS = 2
# Afterwards, running requests and the trainer are killed.
_MAX_SHUTDOWN_SECONDS = 9.0
# Clients close idle connections after 5 seconds. With the same limit, the server would
# sometimes close one while a request arrives.
_KEEP_ALIVE_SECONDS = 120
_MAX_CONNECTIONS = 100


def check_extra() -> None:
    """Raise an error if the extra is missing."""
    if any(find_spec(name) is None for name in _PACKAGES):
        feature = "The local server"
        raise MissingExtraError(feature, "local")


def serve_forever(
    settings: ServerSettings | None = None,
    on_ready: Callable[[RunningServer], None] | None = None,
) -> None:
    """Run a server in this process until it is interrupted.

    This sets the process's umask and number of threads. Ctrl-C stops the trainer,
    queues its job again, and returns.

    Args:
        settings: The settings; the defaults if `None`.
        on_ready: Called once, when the server accepts requests.

    Raises:
        LocalServerError: If the port is taken, another server uses the data directory,
            or the base is missing.
        MissingExtraError: If the extra `local` is not installed.
    """
    _serve(settings or ServerSettings(), on_ready or (lambda _: None), lambda _: False)


def _serve(
    settings: ServerSettings,
    on_ready: Callable[[RunningServer], None],
    should_stop: Callable[[int], bool],
) -> None:
    """Run a server; `should_stop` receives the number of connected clients."""
    check_extra()
    settings = settings.with_absolute_base()
    settings.check()
    os.umask(0o077)
    apply_thread_settings(settings.threads or default_threads())
    data = DataDirectory(settings.data_dir)
    try:
        with listen(HOST, settings.port) as listener:
            data.prepare()
            with data.locked():
                service = _open_service(settings, data)
                _run(service, settings, listener, on_ready, should_stop)
    except OSError as error:
        if not is_disk_full(error):
            raise
        msg = "The disk with the data directory is full. Free some space first."
        raise LocalServerError(msg) from error


def _open_service(settings: ServerSettings, data: DataDirectory) -> "LocalService":
    """Create the service of a base, without loading or training anything."""
    description = describe_base(settings.base)
    directory = find_base_directory(description)
    choice = choose_engine(description, directory)
    logger.info("Engine: %s", choice)
    for name in settings.aliases:
        logger.warning("%s is an alias of %s", name, description.name)
    from langchain_chatexports.local_server.old_http.service import LocalService

    service = LocalService(
        settings, data, base_model=description.name, directory=directory, choice=choice
    )
    try:
        service.tokenizer.template  # noqa: B018 - derives the template.
    except TemplateError as error:
        msg = f"The base model in {directory} is not supported: {error}."
        raise LocalServerError(msg) from error
    return service


def _run(
    service: "LocalService",
    settings: ServerSettings,
    listener: socket.socket,
    on_ready: Callable[[RunningServer], None],
    should_stop: Callable[[int], bool],
) -> None:
    from langchain_chatexports.local_server.old_http.app import create_app

    # All downloads are complete.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    info = RunningServer(
        base_url=f"http://{HOST}:{listener.getsockname()[1]}/v1",
        base_model=service.base_model,
        api_key=settings.api_key or secrets.token_urlsafe(32),
        data_dir=str(service.data.root),
        engine=str(service.choice),
    )

    def publish() -> None:
        write_json(service.data.server_file, asdict(info))
        on_ready(info)

    run_app(
        create_app(service, api_key=info.api_key),
        listener,
        publish,
        lambda: should_stop(service.users),
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        limit_concurrency=_MAX_CONNECTIONS,
    )


def main() -> None:
    """Run as the child process of a `LocalServer`."""
    postpone_garbage_collection()
    settings = ServerSettings(**json.loads(sys.stdin.buffer.readline()))
    is_ready = threading.Event()
    is_closed = threading.Event()
    has_clients = threading.Event()
    # Requests in threads, such as token counts, would delay the exit.
    exit_timer = threading.Timer(_MAX_SHUTDOWN_SECONDS, os._exit, (1,))
    exit_timer.daemon = True

    def wait_for_closed_input() -> None:
        sys.stdin.buffer.read()
        if not is_ready.is_set():
            os._exit(1)
        is_closed.set()

    def on_ready(info: RunningServer) -> None:
        is_ready.set()
        resume_garbage_collection()
        _print_json({"ready": asdict(info)})

    def should_stop(users: int) -> bool:
        if not is_closed.is_set():
            return False
        if not users and not exit_timer.is_alive():
            exit_timer.start()
        if users and not has_clients.is_set():
            has_clients.set()
            _print_json({"held": users})
        return not users

    threading.Thread(target=wait_for_closed_input, daemon=True).start()
    try:
        _serve(settings, on_ready, should_stop)
    except (LocalServerError, MissingExtraError) as error:
        _print_json({"error": str(error)})
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 - reported without its text.
        location = " < ".join(stack_frames(error, 3))
        _print_json(
            {"error": f"The server failed with {type(error).__name__} in {location}."}
        )
        raise SystemExit(1) from None


def run_app(
    app: Any,
    listener: socket.socket,
    on_ready: Callable[[], None],
    should_stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> None:
    """Run an ASGI application until Ctrl-C, or until `should_stop` returns true."""
    import uvicorn

    class Server(uvicorn.Server):  # type: ignore[misc] # uvicorn is untyped here.
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                on_ready()

        async def on_tick(self, counter: int) -> bool:
            if should_stop():
                self.should_exit = True
            return bool(await super().on_tick(counter))

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        **options,
    )
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        logger.debug("Interrupted")


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Bind a port; 0 means any free one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # Allow a port that was just released. On Windows, two programs could share a
        # port with SO_REUSEADDR.
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            msg = (
                f"Cannot listen on {host}:{port} "
                f"({error.strerror or 'it is taken'}). Another program may be using "
                "the port; choose another one, or 0 for any free port."
            )
            raise LocalServerError(msg) from error
        yield listener


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()

"""Serve an ASGI application on 127.0.0.1, in a thread of whoever needs it."""

import logging
import socket
import threading
import time
import traceback
from typing import Any

from langchain_chatexports.exceptions import LocalServerError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_GRACEFUL_SECONDS = 2
# Afterwards the thread is left to itself; it does not hold up the process's exit.
_MAX_STOP_SECONDS = 10.0
# Clients close idle connections after 5 seconds. With the same limit, the server would
# sometimes close one while a request arrives.
_KEEP_ALIVE_SECONDS = 120
_MAX_CONNECTIONS = 100
# Afterwards a connection without a request is closed.
_HEADER_SECONDS = 20.0
_BACKLOG = 128
_MAX_FRAMES = 4


class ServerThread:
    """Runs uvicorn in a thread, until `stop`.

    uvicorn handles no signals there, so Ctrl-C reaches the main thread.
    """

    def __init__(self, app: Any, port: int = 0, **options: Any) -> None:
        """Initialize the server of an ASGI application; `start` starts it.

        Args:
            app: The application; its lifespan may raise a `LocalServerError`.
            port: The port; 0 for a free one.
            **options: Those of `uvicorn.Config`.
        """
        self._app, self._port, self._options = app, port, options
        self._listener: socket.socket | None = None
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether it accepts requests."""
        thread, server = self._thread, self._server
        return thread is not None and thread.is_alive() and bool(server.started)

    @property
    def port(self) -> int:
        """The port, once it has been started."""
        return 0 if self._listener is None else int(self._listener.getsockname()[1])

    def listen(self) -> None:
        """Reserve the port: clients wait until `start`.

        Raises:
            LocalServerError: If the port is taken.
        """
        if self._listener is None:
            self._listener = listen(self._port)

    def start(self, timeout: float) -> None:
        """Start, and wait until the application accepts requests.

        Raises:
            LocalServerError: If the port is taken, or the application does not start.
        """
        self.listen()
        self._server = self._create_server()
        self._changed.clear()
        # A daemon, so that a main thread that fails does not wait for it.
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._thread.start()
        try:
            has_changed = self._changed.wait(timeout)
        except BaseException:  # Ctrl-C.
            self.stop()
            raise
        if self._server.started:
            return
        self.stop()
        msg = "The local server failed at startup. The log has the reason."
        if not has_changed:
            msg = f"The local server did not start within {timeout:g} seconds."
        raise LocalServerError(msg)

    def stop(self) -> None:
        """Stop, cancelling requests that do not end within seconds."""
        thread, self._thread = self._thread, None
        listener, self._listener = self._listener, None
        try:
            if thread is not None:
                self._server.should_exit = True
                thread.join(_MAX_STOP_SECONDS)
        finally:
            if listener is not None:
                listener.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except SystemExit:  # uvicorn's, if the application does not start.
            pass
        except Exception as error:  # noqa: BLE001 - it is logged without its text.
            log_error_location(error)
        finally:
            self._changed.set()

    def _create_server(self) -> Any:
        import uvicorn

        changed = self._changed

        class Server(uvicorn.Server):  # type: ignore[misc] # uvicorn is untyped here.
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets=sockets)
                changed.set()

        options = {
            "log_config": None,
            "log_level": "critical",
            "access_log": False,
            "server_header": False,
            "lifespan": "on",
            "timeout_graceful_shutdown": _GRACEFUL_SECONDS,
            "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
            "limit_concurrency": _MAX_CONNECTIONS,
            "http": _create_protocol(),
        }
        return Server(uvicorn.Config(self._app, **{**options, **self._options}))


def _create_protocol() -> Any:
    """Return uvicorn's protocol, which closes idle connections if there are many."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    class Protocol(AutoHTTPProtocol):  # type: ignore[misc] # uvicorn is untyped here.
        def connection_made(self, transport: Any) -> None:
            self.connected_at = time.monotonic()
            if len(self.connections) + 1 >= _MAX_CONNECTIONS:
                self._close_oldest_idle()
            super().connection_made(transport)
            self.loop.call_later(_HEADER_SECONDS, self._close_without_request)

        @property
        def is_idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _close_oldest_idle(self) -> None:
            idle = [
                other
                for other in self.connections
                if isinstance(other, Protocol) and other.is_idle
            ]
            if idle:
                oldest = min(idle, key=lambda each: each.connected_at)
                self.connections.discard(oldest)
                oldest.transport.close()

        def _close_without_request(self) -> None:
            # Otherwise, a web socket has taken over the transport.
            if self.cycle is None and self in self.connections:
                self.transport.close()

    return Protocol


def listen(port: int = 0) -> socket.socket:
    """Listen on a port of this machine; 0 means any free one.

    Raises:
        LocalServerError: If the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Allow a port that was just released. On Windows, two programs could share a port
    # with SO_REUSEADDR.
    option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
    listener.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        listener.bind((HOST, port))
        # Clients that come before uvicorn wait in line, so nobody polls for it.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        msg = (
            f"Cannot listen on {HOST}:{port} ({error.strerror or 'it is taken'}). "
            "Another program may be using the port; choose another one, or 0 for any "
            "free port."
        )
        raise LocalServerError(msg) from error
    return listener


def stack_frames(error: BaseException) -> list[str]:
    """Return where an error was raised, without its message, which can quote a chat."""
    frames = traceback.extract_tb(error.__traceback__)[::-1][:_MAX_FRAMES]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def log_error_location(error: BaseException) -> None:
    """Log where an error was raised, without its message."""
    logger.error("%s in %s", type(error).__name__, " < ".join(stack_frames(error)))

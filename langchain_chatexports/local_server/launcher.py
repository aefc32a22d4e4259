"""`LocalServer`: a server in a child process."""

import logging
import secrets
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from langchain_chatexports._locks import is_locked
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import (
    describe_base,
    needs_download,
)
from langchain_chatexports.local_server.bases.download import download_model
from langchain_chatexports.local_server.old_http.server import check_extra
from langchain_chatexports.local_server.processes import (
    child_environment,
    default_threads,
    kill_after,
    parse_json_object,
    start_child,
)
from langchain_chatexports.local_server.settings import ServerSettings
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    RunningServer,
    find_running_server,
)

if TYPE_CHECKING:  # A part of the extra.
    import httpx

logger = logging.getLogger(__name__)

_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.2
_KEEP_ALIVE_TIMEOUT = 30.0


class LocalServer:
    """A local server with OpenAI's API, in a child process.

    It listens on 127.0.0.1, with a random key, and stops with this process, or with the
    last `chatexports` command that uses it. Files, jobs and tuned models are stored in
    the data directory. The next server on it resumes unfinished jobs, unless they
    were paused.

    ```python
    with LocalServer() as server:
        client = OpenAI(base_url=server.base_url, api_key=server.api_key)
    ```

    Attributes:
        base_model: The name of the base in requests.
        api_key: The key of the running server; by default, a new one at each start.
        data_dir: The directory of files, jobs and models.
    """

    def __init__(
        self,
        base: str | Path | None = None,
        *,
        data_dir: str | Path | None = None,
        port: int = 0,
        api_key: str | None = None,
        aliases: Mapping[str, str] | None = None,
        threads: int | None = None,
        resume_jobs: bool = True,
        share: bool = False,
        startup_timeout: float = 300,
    ) -> None:
        """Initialize the server; `start`, or a `with` statement, starts it.

        Args:
            base: A directory in transformers' format, a `.gguf` file, or a hub id;
                `None` for SmolLM2-135M-Instruct, a tiny demo model.
            data_dir: The directory of files, jobs and models; `None` for the user's
                data directory.
            port: The port; 0 for a free one.
            api_key: The key; `None` for a new random one at each start.
            aliases: Additional names for the base, such as
                `{"gpt-3.5-turbo": "SmolLM2-135M-Instruct"}`.
            threads: The number of CPU threads; `None` for all cores minus one.
            resume_jobs: Whether to resume unfinished jobs of an earlier server.
                Otherwise they are paused, as are this server's jobs when it stops.
            share: Whether to use a server that already runs on the data directory,
                with its own settings, instead of raising an error.
            startup_timeout: Seconds to wait for startup, excluding the download of a
                hub model. The first start with the default base or a `.gguf` file
                converts it (about 20 seconds).

        Raises:
            LocalServerError: If the base is missing, or a setting is out of range.
            MissingExtraError: If the extra `local` is not installed.
        """
        directory = DataDirectory(data_dir)
        self._settings = ServerSettings(
            base=None if base is None else str(base),
            data_dir=str(directory.root),
            port=port,
            api_key=api_key,
            aliases=dict(aliases or {}),
            threads=threads,
            resume_jobs=resume_jobs,
        ).with_absolute_base()
        self._settings.check()
        self._startup_timeout = startup_timeout
        self._share = share
        self._shared: RunningServer | None = None
        self._keep_alive: httpx.Client | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._base_url: str | None = None
        self.base_model = describe_base(base).name
        self.data_dir = directory.root
        self.api_key: str = api_key or secrets.token_urlsafe(32)

    @property
    def base_url(self) -> str:
        """The address for OpenAI's clients, with `/v1`.

        Raises:
            LocalServerError: If the server is not running.
        """
        if self._base_url is None:
            msg = "The local server is not running. Call start(), or use `with`."
            raise LocalServerError(msg)
        return self._base_url

    @property
    def is_running(self) -> bool:
        """Whether the server is running."""
        if self._shared is not None:
            return find_running_server(self.data_dir) == self._shared
        return self._process is not None and self._process.poll() is None

    @property
    def is_shared(self) -> bool:
        """Whether the server was started by another process."""
        return self._shared is not None

    def start(self) -> Self:
        """Start the server, and wait until it accepts requests.

        Raises:
            LocalServerError: If it is already running, its port is taken, another
                server uses the data directory (or, if shared, has another base), the
                base cannot be read, or the start takes too long.
            MissingExtraError: If the extra `local` is not installed.
        """
        if self.is_running:
            msg = f"This local server is already running at {self._base_url}."
            raise LocalServerError(msg)
        check_extra()
        if not self._use_running_server():
            try:
                self._start_process()
            except LocalServerError:
                # Another command may have started a server at the same time.
                if not self._wait_for_running_server():
                    raise
        return self

    def _wait_for_running_server(self) -> bool:
        """Wait until the server that locks the data directory is ready."""
        deadline = time.monotonic() + self._startup_timeout
        lock = DataDirectory(self.data_dir).lock
        while not self._use_running_server():
            if not (self._share and is_locked(lock)) or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _use_running_server(self) -> bool:
        server = find_running_server(self.data_dir) if self._share else None
        if server is None:
            return False
        if server.base_model != self.base_model:
            msg = (
                f"A local server is running on {self.data_dir}, with the base "
                f"{server.base_model} instead of {self.base_model}. Wait until it "
                "stops, stop it (Ctrl-C in its terminal), or use its base or another "
                "data directory."
            )
            raise LocalServerError(msg)
        self._keep_alive = _open_keep_alive(server)
        if self._keep_alive is None:
            return False
        self._shared = server
        self._base_url, self.api_key = server.base_url, server.api_key
        return True

    def _start_process(self) -> None:
        # Download here, because starting the server has a timeout.
        description = describe_base(self._settings.base)
        if needs_download(description):
            logger.warning("Downloading %s from the hub", description.source)
            download_model(description.source)
        if self._settings.api_key is None:
            self.api_key = secrets.token_urlsafe(32)
        settings = replace(self._settings, api_key=self.api_key)
        threads = self._settings.threads or default_threads()
        self._process = process = start_child(
            "langchain_chatexports.local_server.old_http.server",
            child_environment(threads=threads, offline=False),
            asdict(settings),
        )
        try:
            # The server prints a line of JSON when it is ready or has failed.
            with kill_after(self._startup_timeout, process) as timed_out:
                lines = map(parse_json_object, process.stdout or ())
                message = next(filter(None, lines), {})
        except BaseException:
            self.stop()
            raise
        if "ready" not in message:
            code = process.wait(_STOP_SECONDS)
            self.stop()
            msg = message.get("error") or (
                f"The local server exited with code {code} at startup."
            )
            if timed_out.is_set():
                msg = (
                    f"The local server did not start within {self._startup_timeout:g} "
                    "seconds. Increase startup_timeout."
                )
            raise LocalServerError(msg)
        self._base_url = str(message["ready"]["base_url"])

    def stop(self) -> None:
        """Stop the server, unless other commands use it.

        A running job is queued for the next server, or paused.
        """
        process, self._process = self._process, None
        keep_alive, self._keep_alive = self._keep_alive, None
        self._base_url = self._shared = None
        if keep_alive is not None:
            keep_alive.close()
        if process is None or process.stdin is None or process.stdout is None:
            return
        # When its standard input is closed, the server stops, or prints a line if other
        # commands are still using it.
        with kill_after(_STOP_SECONDS, process), process.stdout as lines:
            # The server may have exited before.
            with suppress(OSError):
                process.stdin.close()
            has_clients = any(parse_json_object(line) for line in lines)
            if has_clients:
                # Otherwise Python would warn about a running child.
                process.returncode = 0
            else:
                process.wait()

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def __repr__(self) -> str:
        """Return the base and the address, without the key."""
        state = self._base_url or "stopped"
        return f"LocalServer(base_model={self.base_model!r}, {state})"


def _open_keep_alive(server: RunningServer) -> "httpx.Client | None":
    """Open a connection that keeps a server running; `None` if it has stopped."""
    import httpx

    client = httpx.Client(timeout=_KEEP_ALIVE_TIMEOUT, trust_env=False)
    headers = {"authorization": f"Bearer {server.api_key}"}
    request = client.build_request("GET", f"{server.base_url}/hold", headers=headers)
    try:
        # The response never ends.
        client.send(request, stream=True).raise_for_status()
    except httpx.HTTPError:
        client.close()
        return None
    return client

"""`LocalServer`: OpenAI's API over a workspace, in a thread."""

import logging
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self

from langchain_chatexports._extras import require_local
from langchain_chatexports._serving import HOST, ServerThread
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import Base, find_base
from langchain_chatexports.local_server.engines.engine import Engine
from langchain_chatexports.local_server.training.queue import Queue
from langchain_chatexports.local_server.workspace import Workspace

logger = logging.getLogger(__name__)

_STARTUP_SECONDS = 30
_KEY = re.compile(r"[\x21-\x7e]{1,512}")


class LocalServer:
    """A local server with OpenAI's API, in a thread of this process.

    It listens on 127.0.0.1, with a random key. Files, jobs and tuned models are stored
    in the data directory, which any number of servers and commands can share: one of
    them runs the jobs, and when it ends, the next continues.

    ```python
    with LocalServer() as server:
        client = OpenAI(base_url=server.base_url, api_key=server.api_key)
    ```

    Attributes:
        base_model: The name of the base in requests.
        api_key: The key of the running server; by default, a new one at each start.
        data_dir: The directory of files, jobs and models.
        workspace: What is in it.
        engine: What answers in the running server, and why it was chosen.
    """

    # `EchoServer` replaces these.
    _train: ClassVar[Callable[..., Path | None] | None] = None

    def __init__(
        self,
        base: str | Path | None = None,
        *,
        data_dir: str | Path | None = None,
        port: int = 0,
        api_key: str | None = None,
        aliases: Mapping[str, str] | None = None,
        threads: int | None = None,
        runs_jobs: bool = True,
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
            threads: The number of CPU threads; `None` for the number of physical cores.
            runs_jobs: Whether to run jobs, also those that an earlier process left.
                If not, they wait for a process that does.

        Raises:
            LocalServerError: If the base is missing, a setting is out of range, or the
                data directory belongs to another program.
            MissingExtraError: If the extra `local` is not installed.
        """
        self._base = self._find_base(base)
        self.base_model = self._base.name
        self.workspace = Workspace(data_dir)
        self.data_dir = self.workspace.data_dir
        self._given_key = api_key
        self._aliases = dict(aliases or {})
        self._check_settings(base)
        self.api_key: str = api_key or secrets.token_urlsafe(32)
        self.engine = ""
        self._port, self._threads = port, threads
        self._server: ServerThread | None = None
        self._queue: Queue | None = None
        if runs_jobs:
            self._queue = Queue(self.workspace, threads=threads, train=self._train)

    @property
    def base_url(self) -> str:
        """The address for OpenAI's clients, with `/v1`.

        Raises:
            LocalServerError: If the server is not running.
        """
        if self._server is None:
            msg = "The local server is not running. Call start(), or use `with`."
            raise LocalServerError(msg)
        return f"http://{HOST}:{self._server.port}/v1"

    @property
    def is_running(self) -> bool:
        """Whether the server is running."""
        return self._server is not None and self._server.is_running

    def start(self) -> Self:
        """Start the server and wait until it accepts requests.

        Raises:
            LocalServerError: If it is already running, its port is taken, the base
                cannot be read, or the start takes too long.
            MissingExtraError: If the extra `local` is not installed.
        """
        if self._server is not None:
            msg = f"This local server is already running at {self.base_url}."
            raise LocalServerError(msg)
        require_local()
        self.workspace.prepare()
        if self._given_key is None:
            self.api_key = secrets.token_urlsafe(32)
        for name in self._aliases:
            logger.warning("%s is an alias of %s", name, self.base_model)
        from langchain_chatexports.local_server.http.app import create_app

        if self._base.needs_download():
            logger.warning("Downloading %s from the hub", self._base.id)
        engine = self._open_engine()
        app = create_app(
            self.workspace,
            self._base,
            engine,
            api_key=self.api_key,
            aliases=list(self._aliases),
        )
        server = ServerThread(app, self._port, ws="none")
        server.start(_STARTUP_SECONDS)
        self._server = server
        self.engine = engine.description
        try:
            if self._queue is not None:
                self._queue.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server; a running job is saved for the next process."""
        server, self._server = self._server, None
        try:
            if server is not None:
                server.stop()
        finally:
            if self._queue is not None:
                self._queue.stop()

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def __repr__(self) -> str:
        """Return the base and the address, without the key."""
        state = self.base_url if self._server else "stopped"
        return f"LocalServer(base_model={self.base_model!r}, {state})"

    def _find_base(self, base: str | Path | None) -> Base:
        return find_base(base)

    def _open_engine(self) -> Engine:
        from langchain_chatexports.local_server.engines.open import open_engine

        is_training = self.workspace.jobs.has_running
        return open_engine(self._base, threads=self._threads, is_training=is_training)

    def _check_settings(self, base: str | Path | None) -> None:
        if self._given_key is not None and not _KEY.fullmatch(self._given_key):
            msg = "api_key must consist of printable ASCII characters, without spaces."
            raise LocalServerError(msg)
        for name, target in self._aliases.items():
            if target not in {self.base_model, self._base.id, str(base)}:
                msg = (
                    f"The alias {name} refers to {target!r}, but this server's base is "
                    f"{self.base_model}. Use {name}={self.base_model}."
                )
                raise LocalServerError(msg)

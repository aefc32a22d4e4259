"""The server of the page, in this process, for one user."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._extras import require_local
from langchain_chatexports._files import write_atomic
from langchain_chatexports._locks import ProcessLock, is_locked
from langchain_chatexports._serving import HOST, ServerThread, log_error_location
from langchain_chatexports.evaluation import check_extra as check_evaluate_extra
from langchain_chatexports.exceptions import ChatExportError, MissingExtraError

if TYPE_CHECKING:  # It needs the extra.
    from langchain_chatexports.page.session import PageSession

logger = logging.getLogger(__name__)

_START_SECONDS = 60.0
# A second start reads the link of the running page, which holds the lock.
_LINK_NAME, _LOCK_NAME = "page-link", "page.lock"
# On Windows, Ctrl-C does not interrupt a wait without a limit.
_WAIT_SECONDS = 1.0


def check_extra() -> None:
    """Check that the extra is installed.

    Raises:
        MissingExtraError: If one of its packages is missing.
    """
    feature, extra = "The page", "page"
    try:
        require_local()
        check_evaluate_extra()
    except MissingExtraError:
        # The extra `page` includes both.
        raise MissingExtraError(feature, extra) from None
    if find_spec("nicegui") is None:
        raise MissingExtraError(feature, extra)


def find_running_page(data_dir: Path) -> str | None:
    """Return the login link of the page that another process serves, if any."""
    # The lock ends with its process, so no other program listens on the link's port.
    if not is_locked(data_dir / _LOCK_NAME):
        return None
    with suppress(OSError):
        return (data_dir / _LINK_NAME).read_text("ascii")
    return None


def serve_page(
    on_link: Callable[[str], None],
    *,
    base: str | None,
    data_dir: Path | None,
    index_dir: Path | None,
    port: int,
) -> None:
    """Serve on 127.0.0.1 until Ctrl-C, which stops training; it can be continued.

    `on_link` is called with each new login link; `port` 0 chooses a free port.
    """
    check_extra()
    os.umask(0o077)
    # NiceGUI logs tracebacks, which can quote a message.
    logging.getLogger("nicegui").disabled = True
    from langchain_chatexports.page.access import OneTimeLinks, PageAccess
    from langchain_chatexports.page.session import PageSession

    with (
        PageSession(base, data_dir, index_dir) as session,
        _show_warnings(session),
        ProcessLock(session.workspace.data_dir / _LOCK_NAME) as lock,
    ):

        def show_link(token: str) -> None:
            link = f"http://{HOST}:{server.port}/?token={token}"
            # If the disk is full, this page is shown, and no second start finds it.
            with suppress(ChatExportError, OSError):
                if lock.acquire():
                    link_file = session.workspace.data_dir / _LINK_NAME
                    write_atomic(link_file, link.encode("ascii"))
            on_link(link)

        links = OneTimeLinks(show_link)
        # A page has many files, and each tab keeps a connection.
        app = PageAccess(_build_app(session), links)
        server = ServerThread(app, port, limit_concurrency=None)
        try:
            server.start(_START_SECONDS)
            links.renew()
            interrupt = threading.Event()
            while server.is_running:
                interrupt.wait(_WAIT_SECONDS)
        except KeyboardInterrupt:
            logger.debug("Interrupted")
        finally:
            server.stop()


def _build_app(session: PageSession) -> Any:
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui

    from langchain_chatexports.page.screens import add_screens

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_screens(app, session)
    nicegui_app.on_startup(session.poller.run)
    nicegui_app.on_exception(log_error_location)
    ui.run_with(
        app,
        title="Chat exports",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=60,
        # Nothing is bound to plain attributes, which NiceGUI would poll.
        binding_refresh_interval=None,
        message_history_length=200,
        # Within a machine, compression costs more than it saves.
        gzip_middleware_factory=None,
    )
    return app


@contextmanager
def _show_warnings(session: PageSession) -> Iterator[None]:
    """Show the package's warnings, such as for a bad file, on the page."""

    def show(message: Warning | str, *_args: Any, **_options: Any) -> None:
        if isinstance(message, Warning):
            session.exports.add_warning(message)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = show
        yield

"""The server of the page, in this process, for one user."""

from __future__ import annotations

import logging
import os
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.evaluation import check_extra as check_evaluate_extra
from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.local_server.old_http.server import (
    check_extra as check_local_extra,
)

if TYPE_CHECKING:  # It needs the extra.
    from langchain_chatexports.page.session import PageSession

_HOST = "127.0.0.1"


def check_extra() -> None:
    """Check that the extra is installed.

    Raises:
        MissingExtraError: If one of its packages is missing.
    """
    feature, extra = "The page", "page"
    try:
        check_local_extra()
        check_evaluate_extra()
    except MissingExtraError:
        # The extra `page` includes both.
        raise MissingExtraError(feature, extra) from None
    if find_spec("nicegui") is None:
        raise MissingExtraError(feature, extra)


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
    from langchain_chatexports.local_server.old_http.server import run_app
    from langchain_chatexports.page.access import OneTimeLinks, PageAccess
    from langchain_chatexports.page.old_tab import TabKeys
    from langchain_chatexports.page.session import PageSession

    old_tab = TabKeys(data_dir)
    with (
        PageSession(base, data_dir, index_dir) as session,
        _show_warnings(session),
    ):
        # Its imports take seconds. If the port were open, a tab that reconnects would
        # wait for an answer, and give up on a slow machine.
        app = _build_app(session, old_tab.key)
        with _listen(port, old_tab.last_port) as listener:
            bound_port = listener.getsockname()[1]
            old_tab.store(bound_port)
            links = OneTimeLinks(
                lambda token: on_link(f"http://{_HOST}:{bound_port}/?token={token}")
            )
            app = PageAccess(app, links=links, old_tab=old_tab)
            try:
                run_app(app, listener, links.renew)
            finally:
                # Store them again, since "Delete everything" removes them.
                old_tab.store(bound_port)


@contextmanager
def _listen(port: int, last_port: int) -> Iterator[socket.socket]:
    """Bind a port, by default the last one used, so that open tabs can reconnect."""
    from langchain_chatexports.local_server.old_http.server import listen

    with ExitStack() as stack:
        listener = None
        if not port:
            with suppress(LocalServerError):
                listener = stack.enter_context(listen(_HOST, last_port))
        yield listener or stack.enter_context(listen(_HOST, port))


def _build_app(session: PageSession, tab_key: str) -> Any:
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui

    from langchain_chatexports.local_server.old_http.errors import log_error_location
    from langchain_chatexports.page.screens import add_screens

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_screens(app, session, tab_key)
    nicegui_app.on_exception(log_error_location)
    ui.run_with(
        app,
        title="chatexports",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=60,
        # Nonces can only be added to uncompressed pages.
        gzip_middleware_factory=None,
    )
    return app


@contextmanager
def _show_warnings(session: PageSession) -> Iterator[None]:
    """Show the package's warnings, such as for a bad file, on the page."""
    lock = threading.Lock()

    def add(message: Warning | str, *_args: Any, **_kwargs: Any) -> None:
        warning = message if isinstance(message, Warning) else UserWarning(message)
        with lock:
            session.exports.add_warning(warning)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = add
        yield

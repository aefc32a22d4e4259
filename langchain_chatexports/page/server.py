"""The server of the page, in this process, for one person."""

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
from langchain_chatexports.local_server.http.server import (
    check_extra as check_local_extra,
)

if TYPE_CHECKING:  # A part of the extra.
    from langchain_chatexports.page.session import PageSession

_HOST = "127.0.0.1"


def check_extra() -> None:
    """Raise an error if the extra is missing.

    Raises:
        MissingExtraError: If one of its packages is missing.
    """
    feature, extra = "The page", "page"
    try:
        check_local_extra()
        check_evaluate_extra()
    except MissingExtraError:
        # Other modules are dependencies of these.
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
    """Serve on 127.0.0.1 until Ctrl-C, which stops trainings; they can be continued.

    `on_link` gets each new link, and `port` 0 is a free one.
    """
    check_extra()
    os.umask(0o077)
    # NiceGUI logs tracebacks, and the text of an error can quote a message.
    logging.getLogger("nicegui").disabled = True
    from langchain_chatexports.local_server.http.server import run_app
    from langchain_chatexports.page.access import OneTimeLinks, PageAccess
    from langchain_chatexports.page.old_tab import OldTab
    from langchain_chatexports.page.session import PageSession

    old_tab = OldTab(data_dir)
    with (
        _listen(port, old_tab.last_port) as listener,
        PageSession(base, data_dir, index_dir) as session,
        _noting_warnings(session),
    ):
        used = listener.getsockname()[1]
        old_tab.keep(used)
        links = OneTimeLinks(
            lambda token: on_link(f"http://{_HOST}:{used}/?token={token}")
        )
        app = _application(session, old_tab.key)
        app = PageAccess(app, links=links, old_tab=old_tab)
        try:
            run_app(app, listener, links.renew)
        finally:
            # *Delete everything* deletes this, too.
            old_tab.keep(used)


@contextmanager
def _listen(port: int, last_port: int) -> Iterator[socket.socket]:
    """Bind a port; by default the last one, where open tabs expect it."""
    from langchain_chatexports.local_server.http.server import listen

    with ExitStack() as stack:
        listener = None
        if not port:
            with suppress(LocalServerError):
                listener = stack.enter_context(listen(_HOST, last_port))
        yield listener or stack.enter_context(listen(_HOST, port))


def _application(session: PageSession, tab_key: str) -> Any:
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui

    from langchain_chatexports.local_server.http.errors import log_without_text
    from langchain_chatexports.page.screens import add_screens

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_screens(app, session, tab_key)
    nicegui_app.on_exception(log_without_text)
    ui.run_with(
        app,
        title="chatexports",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=60,
        # The nonce can only be added to uncompressed pages.
        gzip_middleware_factory=None,
    )
    return app


@contextmanager
def _noting_warnings(session: PageSession) -> Iterator[None]:
    """Show the package's warnings, such as about a bad file, on the page."""
    lock = threading.Lock()

    def note(message: Warning | str, *_where: Any, **_more: Any) -> None:
        with lock:
            session.exports.warn(
                message if isinstance(message, Warning) else UserWarning(message)
            )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = note
        yield

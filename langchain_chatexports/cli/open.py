"""`chatexports open`: start the page in the browser."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated

from langchain_chatexports._files import write_atomic
from langchain_chatexports._temporary import private_folder
from langchain_chatexports._translation import _
from langchain_chatexports.cli._console import print_line, say
from langchain_chatexports.cli._options import (
    Base,
    DataDir,
    IndexDir,
    command,
    flag,
    option,
)
from langchain_chatexports.local_server import State, Workspace

# The browser reads the file before it is deleted.
_BROWSER_SECONDS = 5.0
_UNFINISHED = (State.QUEUED, State.PAUSED)


@command
def open_(
    *,
    base: Base = None,
    data_dir: DataDir = None,
    index_dir: IndexDir = None,
    port: Annotated[
        int, option("N", "Port of the page; 0 chooses a free one.", min=0, max=65535)
    ] = 0,
    no_browser: Annotated[
        bool, flag("--no-browser", "Print the link without opening a browser.")
    ] = False,
    install: Annotated[
        bool, flag("--install", "Add an app shortcut for the page, and exit.")
    ] = False,
    uninstall: Annotated[
        bool, flag("--uninstall", "Remove the app shortcut, and exit.")
    ] = False,
) -> None:
    """Do everything in the browser.

    Add exports, choose whom to imitate, train, talk, and manage models. The page is
    served on 127.0.0.1 and needs the extra 'page'. Its link works once, in one browser.

    For example:
        chatexports open
        chatexports open --install
    """
    from langchain_chatexports.cli._launcher import (
        install_launcher,
        uninstall_launcher,
    )
    from langchain_chatexports.page.server import (
        check_extra,
        find_running_page,
        serve_page,
    )

    if uninstall:
        removed = uninstall_launcher()
        print_line(
            _("Removed: {path}", path=removed)
            if removed
            else _("No app shortcut was installed.")
        )
        return
    if install:
        check_extra()
        path = install_launcher()
        say("Added the app shortcut “Chat exports”: {path}", path=path)
        return
    check_extra()
    running = find_running_page(Workspace(data_dir).data_dir)
    if running is not None:
        say("Chat exports is already running. Its page (for one browser):")
        print(running, flush=True)  # noqa: T201 - as below
        if not no_browser and _has_display():
            with private_folder() as folder:
                _open_in_browser(running, folder)
                time.sleep(_BROWSER_SECONDS)
        return
    is_first = True

    def show(link: str) -> None:
        nonlocal is_first
        if is_first:
            say("Press Ctrl-C to stop. Open this link (valid for one browser):")
        else:
            say("For another browser:")
        # On stdout and not wrapped, so that it can be copied.
        print(link, flush=True)  # noqa: T201
        if is_first and not no_browser and _has_display():
            _open_in_browser(link, folder)
        is_first = False

    index_dir = index_dir and index_dir.expanduser()
    with private_folder() as folder:
        serve_page(show, base=base, data_dir=data_dir, index_dir=index_dir, port=port)
    jobs = Workspace(data_dir).jobs.list()
    has_unfinished = any(job.state in _UNFINISHED for job in jobs)
    print_line(
        _("Stopped. You can resume training on the page.")
        if has_unfinished
        else _("Stopped.")
    )


def _open_in_browser(link: str, folder: Path) -> None:
    # Unlike a command line, this file is not readable by other users.
    page = folder / "open.html"
    write_atomic(page, f'<meta http-equiv="refresh" content="0; url={link}">'.encode())
    webbrowser.open(page.as_uri())


def _has_display() -> bool:
    # A text browser would block this terminal.
    if sys.platform in {"win32", "darwin"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

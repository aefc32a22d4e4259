"""`chatexports open`: the page in the browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

from langchain_chatexports._files import write_whole
from langchain_chatexports._temporary import private_folder
from langchain_chatexports.cli._console import print_line
from langchain_chatexports.cli._options import (
    Base,
    DataDir,
    IndexDir,
    command,
    flag,
    option,
)
from langchain_chatexports.workflows.models import list_jobs


@command
def open_(
    *,
    base: Base = None,
    data_dir: DataDir = None,
    index_dir: IndexDir = None,
    port: Annotated[
        int, option("N", "Port of the page; 0 for a free one.", min=0, max=65535)
    ] = 0,
    no_browser: Annotated[
        bool, flag("--no-browser", "Print the link, and open no browser.")
    ] = False,
    install: Annotated[
        bool, flag("--install", "Add the page to this system's programs, and exit.")
    ] = False,
    uninstall: Annotated[
        bool, flag("--uninstall", "Remove it from there, and exit.")
    ] = False,
) -> None:
    """Do all of this on a page in the browser.

    Add exports, choose whose voice to learn, train, talk, and manage models. It
    listens on 127.0.0.1 and needs the extra 'page'; the link that it prints works once,
    for one browser.

    For example:
        chatexports open
        chatexports open --install
    """
    from langchain_chatexports.page.launcher import (
        install_launcher,
        uninstall_launcher,
    )
    from langchain_chatexports.page.server import check_extra, serve_page

    if uninstall:
        removed = uninstall_launcher()
        none = "The page was not among this system's programs."
        print_line(f"Removed: {removed}" if removed else none)
        return
    if install:
        check_extra()
        print_line(f"Added to your programs as Chat exports: {install_launcher()}")
        return
    is_first = True

    def show(link: str) -> None:
        nonlocal is_first
        if is_first:
            print_line("The page is open until Ctrl-C. Its link, for one browser:")
        else:
            print_line("For another browser:")
        # On stdout, on a line of its own and never wrapped, so that it can be copied.
        print(link, flush=True)  # noqa: T201
        if is_first and not no_browser and _has_windows():
            _open_in_browser(link, folder)
        is_first = False

    index_dir = index_dir and index_dir.expanduser()
    with private_folder() as folder:
        serve_page(show, base=base, data_dir=data_dir, index_dir=index_dir, port=port)
    jobs = list_jobs(data_dir)
    stopped = any(job.status == "stopped" for job in jobs)
    note = " A training can be continued on the page." if stopped else ""
    print_line(f"Stopped.{note}")


def _open_in_browser(link: str, folder: Path) -> None:
    # All users of a machine can read command lines, but not this file.
    page = folder / "open.html"
    write_whole(page, f'<meta http-equiv="refresh" content="0; url={link}">'.encode())
    webbrowser.open(page.as_uri())


def _has_windows() -> bool:
    # Without windows, a browser would start in this terminal and block the page.
    if sys.platform in {"win32", "darwin"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

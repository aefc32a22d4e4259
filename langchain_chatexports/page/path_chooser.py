"""A dialog to choose a file or folder on this machine, which opens no files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nicegui import ui

from langchain_chatexports._terminal import escaped
from langchain_chatexports.page.errors import Failure, explain
from langchain_chatexports.page.languages import _, later, ngettext
from langchain_chatexports.page.layout import dialog, show_failure, text

# Each name is a button in the browser.
_MAX_NAMES = 500
_CANNOT_SHOW = later("This folder cannot be shown.")


class FolderNames(NamedTuple):
    """The names in a folder, without hidden files and folders."""

    folders: list[str]
    files: list[str]
    error: Failure | None = None
    """The reason if the folder could not be read."""


def list_folder(folder: Path) -> FolderNames:
    """Return the names in a folder."""
    folders: list[str] = []
    files: list[str] = []
    try:
        for path in folder.iterdir():
            if not path.name.startswith("."):
                (folders if path.is_dir() else files).append(path.name)
    except OSError as error:
        return FolderNames([], [], Failure(_CANNOT_SHOW, explain(error).details))
    return FolderNames(
        sorted(folders, key=str.casefold), sorted(files, key=str.casefold)
    )


def choose_path(on_chosen: Callable[[Path], object]) -> None:
    """Open a dialog that begins in the home folder."""
    folder = Path.home()

    def go(target: Path) -> None:
        nonlocal folder
        folder = target
        names.refresh()

    def choose(path: Path) -> None:
        opened.close()
        on_chosen(path)

    @ui.refreshable
    def names() -> None:
        found = list_folder(folder)
        with ui.element("div").classes("part"):
            text(escaped(str(folder)), classes="name")
            with ui.element("div").classes("row-of"):
                up = ui.button(_("Up"), on_click=lambda: go(folder.parent))
                up.props("outline dense").set_enabled(folder != folder.parent)
                home = ui.button(_("Home folder"), on_click=lambda: go(Path.home()))
                home.props("outline dense")
            show_failure(found.error)
            if not (found.folders or found.files or found.error):
                text(_("It is empty."), classes="quiet")
            with ui.element("div").classes("names"):
                _show_names(found, lambda name: go(folder / name), choose_file)

    def choose_file(name: str) -> None:
        choose(folder / name)

    with dialog(_("Choose a file or folder")) as opened:
        text(_("A folder opens; a file is added."), classes="quiet")
        names()
        with ui.element("div").classes("row-of"):
            ui.button(_("Add this folder"), on_click=lambda: choose(folder))
            ui.button(_("Cancel"), on_click=opened.close).props("outline")


def _show_names(
    found: FolderNames,
    open_folder: Callable[[str], object],
    choose_file: Callable[[str], object],
) -> None:
    named = [(name, "/", open_folder) for name in found.folders]
    named += [(name, "", choose_file) for name in found.files]
    for name, mark, act in named[:_MAX_NAMES]:
        button = ui.button(
            f"{escaped(name)}{mark}", on_click=lambda n=name, a=act: a(n)
        )
        button.props("flat dense no-caps align=left")
    if (more := len(named) - _MAX_NAMES) > 0:
        text(
            ngettext(
                "And {count} more name: type the path instead.",
                "And {count} more names: type the path instead.",
                more,
            )
        )

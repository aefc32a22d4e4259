"""The routes of the page: its screens and uploads."""

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui

from langchain_chatexports.page.add_exports import build_add_exports
from langchain_chatexports.page.choose import build_choose
from langchain_chatexports.page.elements import add, url
from langchain_chatexports.page.exports import ExportList
from langchain_chatexports.page.frame import (
    ADD,
    CHATS,
    SETTINGS,
    TALK,
    add_style,
    screen,
)
from langchain_chatexports.page.guess import build_guess
from langchain_chatexports.page.languages import LazyMessage, _, lazy_gettext
from langchain_chatexports.page.manage import build_manage
from langchain_chatexports.page.people import find_person, list_people
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.talk import build_talk
from langchain_chatexports.page.train import build_train

# Screens that are not yet built on elements.py.
_OLD_SCREENS = {
    ADD: (lazy_gettext("Add exports"), build_add_exports),
    "/choose": (lazy_gettext("Choose"), build_choose),
    "/train": (lazy_gettext("Train"), build_train),
    "/guess": (lazy_gettext("Guess"), build_guess),
    SETTINGS: (lazy_gettext("Manage"), build_manage),
}


def add_screens(app: FastAPI, session: PageSession, tab_key: str) -> None:
    """Add the routes of a session."""
    add_style(tab_key)
    # It sleeps while no tab is open.
    nicegui_app.on_connect(session.poller.poke)
    for path, (title, build) in _OLD_SCREENS.items():
        ui.page(path)(partial(_show_old, session, path, title, build))
    ui.page(CHATS)(partial(_show_chats, session))
    ui.page(f"{TALK}/{{key}}")(partial(_show_talk, session))
    _add_uploads(app, session.exports)


async def _show_chats(session: PageSession) -> Response | None:
    await session.poller.refresh()
    if not list_people(session.published.value):
        return RedirectResponse(url(ADD), 303)
    with screen(session, CHATS, _("Chats"), has_heading=False):
        add("p", _("Choose a chat."), "hint")
    return None


async def _show_talk(session: PageSession, key: str) -> Response | None:
    await session.poller.refresh()
    person = find_person(session.published.value, key)
    if person is None:  # Deleted, such as in another tab.
        return RedirectResponse(url(CHATS), 303)
    conversation = session.conversation(person)
    await conversation.open()
    classes, path = "chat", f"{TALK}/{key}"
    with screen(session, path, person.name, classes=classes, has_heading=False):
        build_talk(session, conversation)
    return None


async def _show_old(
    session: PageSession,
    path: str,
    title: LazyMessage,
    build: Callable[[PageSession], None],
) -> None:
    await session.poller.refresh()
    with screen(session, path, str(title)), ui.element("div").classes("content"):
        build(session)


def _add_uploads(app: FastAPI, exports: ExportList) -> None:
    @app.post("/upload")
    async def upload(request: Request, batch: str, path: str) -> Response:
        accepted = exports.receive_file(batch, path)
        if accepted is None:
            return Response(status_code=410)
        card, target = accepted
        with target.open("xb") as file:
            async for block in request.stream():
                await run_in_threadpool(file.write, block)
                if not exports.count_bytes(card, len(block)):
                    return Response(status_code=410)
        return Response()

    @app.post("/upload-end")
    def upload_end(batch: str, name: str) -> Response:
        exports.finish_upload(batch, name)
        return Response()

    @app.post("/upload-lost")
    def upload_lost(batch: str) -> Response:
        exports.abort_upload(batch)
        return Response()

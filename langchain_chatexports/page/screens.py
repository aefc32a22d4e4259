"""The routes of the page: its screens and uploads."""

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui

from langchain_chatexports.page.add import build_add
from langchain_chatexports.page.elements import add, url
from langchain_chatexports.page.exports import ExportList
from langchain_chatexports.page.frame import (
    ADD,
    CHATS,
    SEARCH,
    SETTINGS,
    TALK,
    TEACH,
    TELL_APART,
    add_style,
    screen,
)
from langchain_chatexports.page.languages import _
from langchain_chatexports.page.people import find_person, list_people
from langchain_chatexports.page.search import build_search
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.settings import build_settings
from langchain_chatexports.page.talk import build_talk
from langchain_chatexports.page.teach import build_teach
from langchain_chatexports.page.tell_apart import build_tell_apart


def add_screens(app: FastAPI, session: PageSession, tab_key: str) -> None:
    """Add the routes of a session."""
    add_style(tab_key)
    # It sleeps while no tab is open.
    nicegui_app.on_connect(session.poller.poke)
    ui.page(CHATS)(partial(_show_chats, session))
    ui.page(ADD)(partial(_show, session, build_add))
    ui.page(SETTINGS)(partial(_show, session, build_settings))
    ui.page(f"{TEACH}/{{key}}")(partial(_show_teach, session))
    ui.page(f"{TELL_APART}/{{key}}")(partial(_show_tell_apart, session))
    ui.page(SEARCH)(partial(_show_search, session))
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


async def _show(session: PageSession, build: Callable[[PageSession], None]) -> None:
    await session.poller.refresh()
    build(session)


async def _show_teach(session: PageSession, key: str) -> Response | None:
    await session.poller.refresh()
    if (person := find_person(session.published.value, key)) is None:
        return RedirectResponse(url(CHATS), 303)
    build_teach(session, person)
    return None


async def _show_tell_apart(session: PageSession, key: str) -> Response | None:
    await session.poller.refresh()
    if (person := find_person(session.published.value, key)) is None:
        return RedirectResponse(url(CHATS), 303)
    model, pairs = person.model, 0
    if model is not None:
        pairs = await run_in_threadpool(session.game.count_pairs, model)
    build_tell_apart(session, person, pairs)
    return None


async def _show_search(session: PageSession, person: str = "") -> None:
    await session.poller.refresh()
    build_search(session, find_person(session.published.value, person))


def _add_uploads(app: FastAPI, exports: ExportList) -> None:
    @app.post("/upload")
    async def upload(request: Request, batch: str, path: str) -> Response:
        accepted = exports.receive_file(batch, path)
        if accepted is None:
            return Response(status_code=410)
        card, target = accepted
        try:
            with target.open("xb") as file:
                async for block in request.stream():
                    await run_in_threadpool(file.write, block)
                    if not exports.count_bytes(card, len(block)):
                        return Response(status_code=410)
        except OSError as error:  # The disk is full.
            exports.abort_upload(batch, error)
            return Response(status_code=507)
        return Response()

    @app.post("/upload-end")
    def upload_end(batch: str, name: str) -> Response:
        exports.finish_upload(batch, name)
        return Response()

    @app.post("/upload-lost")
    def upload_lost(batch: str) -> Response:
        exports.abort_upload(batch)
        return Response()

"""The routes of the page's screens."""

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui

from langchain_chatexports.page.add import build_add
from langchain_chatexports.page.conversation import Conversations
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
from langchain_chatexports.page.people import Person, find_person, list_people
from langchain_chatexports.page.search import build_search
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.settings import build_settings
from langchain_chatexports.page.talk import build_talk
from langchain_chatexports.page.teach import build_teach
from langchain_chatexports.page.tell_apart import build_tell_apart

_Build = Callable[[PageSession, Person], Awaitable[None] | None]


def add_screens(app: FastAPI, session: PageSession) -> None:
    add_style()
    # It sleeps while no tab is open.
    nicegui_app.on_connect(session.poller.poke)
    nicegui_app.add_exception_handler(404, _lead_to_chats)
    ui.page(CHATS)(partial(_show_chats, session))
    ui.page(ADD)(partial(_show, session, build_add))
    ui.page(SETTINGS)(partial(_show, session, build_settings))
    ui.page(SEARCH)(partial(_show_search, session))
    builds: dict[str, _Build] = {
        TALK: partial(_build_talk, Conversations(session)),
        TEACH: build_teach,
        TELL_APART: _build_tell_apart,
    }
    for path, build in builds.items():
        ui.page(f"{path}/{{key}}")(partial(_show_person, session, build))
    _add_uploads(app, session.exports)


def _lead_to_chats(request: Request, _error: Exception) -> Response:
    """Answer a mistyped address."""
    return RedirectResponse(f"{request.scope['root_path']}/", 303)


async def _show(session: PageSession, build: Callable[[PageSession], None]) -> None:
    await session.poller.refresh()
    build(session)


async def _show_chats(session: PageSession) -> Response | None:
    await session.poller.refresh()
    if not list_people(session.published.value):
        return RedirectResponse(url(ADD), 303)
    with screen(session, CHATS, _("Chats"), has_heading=False):
        add("p", _("Choose a chat."), "hint")
    return None


async def _show_search(session: PageSession, person: str = "") -> None:
    await session.poller.refresh()
    build_search(session, find_person(session.published.value, person))


async def _show_person(
    session: PageSession, build: _Build, key: str
) -> Response | None:
    await session.poller.refresh()
    person = find_person(session.published.value, key)
    if person is None:  # Deleted, such as in another tab.
        return RedirectResponse(url(CHATS), 303)
    if isawaitable(built := build(session, person)):
        await built
    return None


async def _build_talk(
    conversations: Conversations, session: PageSession, person: Person
) -> None:
    conversation = conversations.get(person)
    await conversation.open()
    path = f"{TALK}/{person.key}"
    with screen(session, path, person.name, classes="chat", has_heading=False):
        build_talk(session, conversation)


async def _build_tell_apart(session: PageSession, person: Person) -> None:
    pairs = 0
    if person.model is not None:
        pairs = await run_in_threadpool(session.game.count_pairs, person.model)
    build_tell_apart(session, person, pairs)


def _add_uploads(app: FastAPI, exports: ExportList) -> None:
    """Add the routes of dropped and chosen files; see `upload.js`."""

    @app.post("/upload")
    async def upload(request: Request, batch: str, path: str) -> Response:
        try:
            if (target := exports.receive_file(batch, path)) is not None:
                with target.open("xb") as file:
                    async for block in request.stream():
                        await run_in_threadpool(file.write, block)
                        if not exports.count_bytes(batch, len(block)):
                            break
        except OSError as error:  # The disk is full.
            exports.fail_upload(batch, error)
        return Response(status_code=200 if exports.count_bytes(batch, 0) else 410)

    @app.post("/upload-end")
    def upload_end(batch: str, name: str, *, is_complete: bool) -> Response:
        exports.end_upload(batch, name, is_complete=is_complete)
        return Response()

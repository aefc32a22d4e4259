"""The routes of the page: its screens and uploads."""

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from nicegui import ui

from langchain_chatexports.page.add_exports import build_add_exports
from langchain_chatexports.page.choose import build_choose
from langchain_chatexports.page.exports import ExportList
from langchain_chatexports.page.guess import build_guess
from langchain_chatexports.page.layout import add_style, screen
from langchain_chatexports.page.manage import build_manage
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.talk import build_talk
from langchain_chatexports.page.train import build_train

_BUILDERS = {
    "/": build_add_exports,
    "/choose": build_choose,
    "/train": build_train,
    "/talk": build_talk,
    "/guess": build_guess,
    "/manage": build_manage,
}


def add_screens(app: FastAPI, session: PageSession, tab_key: str) -> None:
    """Add the routes of a session."""
    add_style(tab_key)
    for path, build in _BUILDERS.items():
        _add_screen(path, build, session)
    _add_uploads(app, session.exports)


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


def _add_screen(
    path: str, build: Callable[[PageSession], None], session: PageSession
) -> None:
    @ui.page(path)
    def show() -> None:
        with screen(path, lambda: session.training_status):
            build(session)

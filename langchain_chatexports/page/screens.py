"""The addresses of the screens."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from nicegui import ui

from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.add_exports import build_add_exports
from langchain_chatexports.page.choose import build_choose
from langchain_chatexports.page.guess import build_guess
from langchain_chatexports.page.guess_state import evaluation_path
from langchain_chatexports.page.layout import add_style, screen
from langchain_chatexports.page.manage import build_manage
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.talk import build_talk
from langchain_chatexports.page.train import build_train

REPORT = "/report"
"""The address of the report about the added exports."""

# Without scripts, forms or further files: such a page has only figures and drawings.
_FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox"
)

_BUILDERS = {
    "/": build_add_exports,
    "/choose": build_choose,
    "/train": build_train,
    "/talk": build_talk,
    "/guess": build_guess,
    "/manage": build_manage,
}


def add_screens(app: FastAPI, session: PageSession, tab_key: str) -> None:
    """Add the screens of a session, and the pages in their frames."""
    add_style(tab_key)
    for path, build in _BUILDERS.items():
        _add_screen(path, build, session)

    @app.get(REPORT, response_class=HTMLResponse)
    def report() -> HTMLResponse:
        return _framed(session.report.encode("utf-8", "replace"))

    @app.post("/upload")
    async def upload(request: Request, batch: str, path: str) -> Response:
        arriving = session.exports.receive(batch, path)
        if arriving is None:
            return Response(status_code=410)
        card, place = arriving
        with place.open("xb") as file:
            async for block in request.stream():
                await run_in_threadpool(file.write, block)
                if card not in session.exports.cards or card.copied_bytes is None:
                    return Response(status_code=410)
                card.copied_bytes += len(block)
        return Response()

    @app.post("/upload-end")
    def upload_end(batch: str, name: str) -> Response:
        session.exports.received(batch, name)
        return Response()

    @app.post("/upload-lost")
    def upload_lost(batch: str) -> Response:
        session.exports.lost(batch)
        return Response()

    @app.get("/evaluation/{model_id}", response_class=HTMLResponse)
    def evaluation(model_id: str) -> HTMLResponse:
        found = (m for m in list_models(session.data_dir) if m.path.name == model_id)
        path = next(map(evaluation_path, found), None)
        return _framed(path.read_bytes() if path and path.is_file() else b"")


def _framed(page: bytes) -> HTMLResponse:
    return HTMLResponse(page, headers={"content-security-policy": _FRAME_POLICY})


def _add_screen(
    path: str, build: Callable[[PageSession], None], session: PageSession
) -> None:
    @ui.page(path)
    def show() -> None:
        with screen(path, session.at_work):
            build(session)

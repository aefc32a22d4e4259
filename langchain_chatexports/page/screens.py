"""The addresses of the screens."""

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from nicegui import ui

from langchain_chatexports.page.add_exports import build_add_exports
from langchain_chatexports.page.choose import build_choose
from langchain_chatexports.page.exports import ExportList
from langchain_chatexports.page.guess import build_guess
from langchain_chatexports.page.languages import language_for
from langchain_chatexports.page.layout import add_style, screen
from langchain_chatexports.page.manage import build_manage
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.talk import build_talk
from langchain_chatexports.page.train import build_train
from langchain_chatexports.report import render_report
from langchain_chatexports.report.language import in_language

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
    """Add the screens of a session, the report in its frame, and the uploads."""
    add_style(tab_key)
    for path, build in _BUILDERS.items():
        _add_screen(path, build, session)
    _add_report(app, session)
    _add_uploads(app, session.exports)


def _add_report(app: FastAPI, session: PageSession) -> None:
    @app.get(REPORT, response_class=HTMLResponse)
    def report(request: Request) -> HTMLResponse:
        header = request.headers.get("accept-language", "")
        with in_language(language_for(header)):
            figures = session.report
            page = render_report(figures, with_examples=False) if figures else ""
        content = page.encode("utf-8", "replace")
        return HTMLResponse(content, headers={"content-security-policy": _FRAME_POLICY})


def _add_uploads(app: FastAPI, exports: ExportList) -> None:
    @app.post("/upload")
    async def upload(request: Request, batch: str, path: str) -> Response:
        arriving = exports.receive(batch, path)
        if arriving is None:
            return Response(status_code=410)
        card, target = arriving
        with target.open("xb") as file:
            async for block in request.stream():
                await run_in_threadpool(file.write, block)
                if card not in exports.cards or card.copied_bytes is None:
                    return Response(status_code=410)
                card.copied_bytes += len(block)
        return Response()

    @app.post("/upload-end")
    def upload_end(batch: str, name: str) -> Response:
        exports.received(batch, name)
        return Response()

    @app.post("/upload-lost")
    def upload_lost(batch: str) -> Response:
        exports.lost(batch)
        return Response()


def _add_screen(
    path: str, build: Callable[[PageSession], None], session: PageSession
) -> None:
    @ui.page(path)
    def show() -> None:
        with screen(path, lambda: session.training):
            build(session)

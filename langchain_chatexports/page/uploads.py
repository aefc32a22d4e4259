"""Uploads of dropped and chosen files, a request for each file; see `upload.js`."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from langchain_chatexports.page.errors import Failure, translate_error
from langchain_chatexports.page.exports import Card, ExportList, safe_name
from langchain_chatexports.page.languages import lazy_gettext

_INCOMPLETE = lazy_gettext(
    "The file was not copied completely. Add it again, and wait until it is."
)


class Uploads:
    """Files and folders on their way, by the batch of their requests."""

    def __init__(self, exports: ExportList) -> None:
        self._exports = exports
        self._batches: dict[str, tuple[int, Path]] = {}

    def receive_file(self, batch: str, path: str) -> tuple[int, Path] | None:
        """Return the card and the target of a file; `None` if it was removed."""
        names = PurePosixPath(path).parts or ("export",)
        if batch not in self._batches:
            copy = self._exports.new_copy(names[0])
            card = Card(self._exports.new_id(), names[0], "copying", (copy,))
            self._batches[batch] = card.id, copy
            self._exports.show(card)
        card_id, copy = self._batches[batch]
        if not self.count_bytes(card_id, 0):
            return None
        target = copy.joinpath(*map(safe_name, names[1:]))
        target.parent.mkdir(parents=True, exist_ok=True)
        return card_id, target

    def count_bytes(self, card_id: int, size: int) -> bool:
        """Add to the size of an upload; return whether it is still wanted."""
        return self._exports.change(
            card_id, lambda card: replace(card, copied_bytes=card.copied_bytes + size)
        )

    def finish(self, batch: str, name: str) -> None:
        """Read a complete upload."""
        if batch in self._batches:
            card_id, _copy = self._batches.pop(batch)
            self._exports.change(card_id, lambda card: replace(card, state="waiting"))
            return
        self._exports.note(
            lazy_gettext(
                "{name} is empty, or contains only photos and videos: skipped.",
                name=name,
            )
        )

    def abort(self, batch: str, error: OSError | None = None) -> None:
        """Show an upload as failed, for example if the page was closed."""
        if batch in self._batches:
            card_id, _copy = self._batches.pop(batch)
            failure = translate_error(error) if error else Failure(_INCOMPLETE)
            self._exports.fail(card_id, failure)


def add_uploads(app: FastAPI, exports: ExportList) -> None:
    """Add the routes of uploads."""
    uploads = Uploads(exports)

    @app.post("/upload")
    async def upload(request: Request, batch: str, path: str) -> Response:
        accepted = uploads.receive_file(batch, path)
        if accepted is None:
            return Response(status_code=410)
        card_id, target = accepted
        try:
            with target.open("xb") as file:
                async for block in request.stream():
                    await run_in_threadpool(file.write, block)
                    if not uploads.count_bytes(card_id, len(block)):
                        return Response(status_code=410)
        except OSError as error:  # The disk is full.
            uploads.abort(batch, error)
            return Response(status_code=507)
        return Response()

    @app.post("/upload-end")
    def upload_end(batch: str, name: str) -> Response:
        uploads.finish(batch, name)
        return Response()

    @app.post("/upload-lost")
    def upload_lost(batch: str) -> Response:
        uploads.abort(batch)
        return Response()

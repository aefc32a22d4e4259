"""The routes: OpenAI's files, fine-tuning jobs, models and chat completions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from langchain_chatexports.local_server.chat import answer_chat, score_chat
from langchain_chatexports.local_server.dataset import JsonLinesError
from langchain_chatexports.local_server.errors import (
    ApiError,
    JsonResponse,
    not_found,
)
from langchain_chatexports.local_server.files import FILE_ID
from langchain_chatexports.local_server.guard import Guard, defect
from langchain_chatexports.local_server.jobs import JOB_ID
from langchain_chatexports.local_server.openapi import describe_api
from langchain_chatexports.local_server.paging import integer, page
from langchain_chatexports.local_server.schemas import JobRequest, parse_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import ASGIApp

    from langchain_chatexports.local_server.service import LocalService

__all__ = ["create_app"]

_SHORTEST_LIFE, _LONGEST_LIFE = 3600, 2_592_000
_MOST_FORM_FIELDS = 8


def create_app(
    service: LocalService, *, api_key: str, host: str = "127.0.0.1"
) -> ASGIApp:
    """Build the application around a service, which it starts and stops.

    Args:
        service: What the routes work with.
        api_key: The key that every request must carry.
        host: The address that the server listens on.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        yield
        await run_in_threadpool(service.stop)

    app = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(ApiError, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(Exception, _on_defect)
    _add_files(app, service)
    _add_jobs(app, service)
    _add_models(app, service)
    _add_chat(app, service)
    _add_description(app)
    return Guard(app, api_key=api_key, host=host)


def _add_files(app: FastAPI, service: LocalService) -> None:
    files = service.files

    @app.post("/v1/files", response_model=None)
    async def create_file(request: Request) -> Response:
        return JsonResponse(await _upload(service, request))

    @app.get("/v1/files", response_model=None)
    def list_files(request: Request) -> Response:
        listed = _ordered(files.newest_first(), request)
        return JsonResponse(
            page(listed, request.query_params, default=10_000, largest=10_000)
        )

    @app.get("/v1/files/{file_id}", response_model=None)
    def retrieve_file(file_id: str) -> Response:
        return JsonResponse(_file(service, file_id))

    @app.get("/v1/files/{file_id}/content", response_model=None)
    def read_file(file_id: str) -> Response:
        _file(service, file_id)
        return FileResponse(files.path(file_id), media_type="application/octet-stream")

    @app.delete("/v1/files/{file_id}", response_model=None)
    def delete_file(file_id: str) -> Response:
        _file(service, file_id)
        files.delete(file_id)
        return JsonResponse({"id": file_id, "object": "file", "deleted": True})


def _metadata_wanted(query: Mapping[str, str]) -> dict[str, str]:
    """Read `metadata[key]=value`.

    Raises:
        ApiError: If a value is an object: `metadata[key][name]=value`.
    """
    wanted = {
        name[len("metadata[") : -1]: value
        for name, value in query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    if any("][" in key for key in wanted):
        msg = "The values of metadata are strings, not objects."
        raise ApiError(msg, code="invalid_value", param="metadata")
    return wanted


def _add_jobs(app: FastAPI, service: LocalService) -> None:
    jobs = service.jobs

    @app.post("/v1/fine_tuning/jobs", response_model=None)
    async def create_job(request: Request) -> Response:
        asked = parse_body(await request.body(), JobRequest)
        return JsonResponse(await run_in_threadpool(service.create_job, asked))

    @app.get("/v1/fine_tuning/jobs", response_model=None)
    def list_jobs(request: Request) -> Response:
        query = request.query_params
        wanted = _metadata_wanted(query)
        listed = [
            job
            for job in jobs.newest_first()
            if wanted.items() <= (job["metadata"] or {}).items()
        ]
        return JsonResponse(page(listed, query, default=20, largest=1000))

    @app.get("/v1/fine_tuning/jobs/{job_id}", response_model=None)
    def retrieve_job(job_id: str) -> Response:
        return JsonResponse(_job(service, job_id))

    @app.post("/v1/fine_tuning/jobs/{job_id}/cancel", response_model=None)
    def cancel_job(job_id: str) -> Response:
        _job(service, job_id)
        if not service.queue.cancel(job_id):
            status = _job(service, job_id)["status"]
            msg = f"The job is {status} and cannot be cancelled."
            raise ApiError(msg, code="invalid_state", param="fine_tuning_job_id")
        return JsonResponse(_job(service, job_id))

    @app.post("/v1/fine_tuning/jobs/{job_id}/pause", response_model=None)
    @app.post("/v1/fine_tuning/jobs/{job_id}/resume", response_model=None)
    def refuse_pause(job_id: str) -> Response:
        _job(service, job_id)
        msg = (
            "The local server does not pause jobs. Stop the server, and start it again "
            "on the same data directory: the job waits."
        )
        raise ApiError(msg, code="not_supported")

    @app.get("/v1/fine_tuning/jobs/{job_id}/events", response_model=None)
    def list_events(job_id: str, request: Request) -> Response:
        _job(service, job_id)
        events = jobs.events(job_id).read()[::-1]
        return JsonResponse(
            page(events, request.query_params, default=20, largest=1000)
        )

    @app.get("/v1/fine_tuning/jobs/{job_id}/checkpoints", response_model=None)
    def list_checkpoints(job_id: str, request: Request) -> Response:
        job = _job(service, job_id)
        listed = service.checkpoints(job)
        return JsonResponse(
            page(listed, request.query_params, default=10, largest=1000)
        )


def _add_models(app: FastAPI, service: LocalService) -> None:
    @app.get("/v1/models", response_model=None)
    def list_models() -> Response:
        own = [service.base_model, *service.aliases]
        listed = [
            *(_model(name, 0) for name in own),
            *(
                _model(record["name"], record["created_at"])
                for record in service.models.newest_first()
            ),
        ]
        return JsonResponse({"object": "list", "data": listed})

    @app.get("/v1/models/{name:path}", response_model=None)
    def retrieve_model(name: str) -> Response:
        service.find_model(name)
        record = service.models.get(name)
        return JsonResponse(_model(name, record["created_at"] if record else 0))

    @app.delete("/v1/models/{name:path}", response_model=None)
    def delete_model(name: str) -> Response:
        service.delete_model(name)
        return JsonResponse({"id": name, "object": "model", "deleted": True})


def _add_chat(app: FastAPI, service: LocalService) -> None:
    @app.post("/v1/chat/completions", response_model=None)
    async def complete_chat(request: Request) -> Response:
        return await answer_chat(service, request)

    @app.post("/v1/score", response_model=None)
    async def score(request: Request) -> Response:
        return await score_chat(service, request)


def _add_description(app: FastAPI) -> None:
    @app.get("/v1/openapi.json", response_model=None)
    def describe(request: Request) -> Response:
        return JsonResponse(describe_api(f"{request.base_url}v1"))


async def _upload(service: LocalService, request: Request) -> dict[str, Any]:
    async with request.form(max_files=1, max_fields=_MOST_FORM_FIELDS) as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            msg = "'file' must be an uploaded file."
            raise ApiError(msg, code="missing_required_parameter", param="file")
        if form.get("purpose") != "fine-tune":
            msg = "'purpose' must be 'fine-tune'."
            raise ApiError(msg, code="invalid_value", param="purpose")
        try:
            return await run_in_threadpool(
                service.files.create,
                upload.file,
                filename=upload.filename or "upload",
                lifetime=_lifetime(form),
            )
        except JsonLinesError as error:
            raise ApiError(str(error), code="invalid_file", param="file") from error


def _ordered(listed: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    order = request.query_params.get("order", "desc")
    if order not in {"asc", "desc"}:
        msg = "'order' must be 'asc' or 'desc'."
        raise ApiError(msg, code="invalid_value", param="order")
    if request.query_params.get("purpose") not in {None, "fine-tune"}:
        return []
    return listed if order == "desc" else listed[::-1]


def _file(service: LocalService, file_id: str) -> dict[str, Any]:
    found = service.files.get(file_id) if FILE_ID.fullmatch(file_id) else None
    if found is None:
        raise not_found(kind="file", param="file_id")
    return found


def _job(service: LocalService, job_id: str) -> dict[str, Any]:
    found = service.jobs.get(job_id) if JOB_ID.fullmatch(job_id) else None
    if found is None:
        raise not_found(kind="fine-tuning job", param="fine_tuning_job_id")
    return found


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "local"}


def _lifetime(form: Any) -> int | None:
    anchor, seconds = (
        form.get("expires_after[anchor]"),
        form.get("expires_after[seconds]"),
    )
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at" or not isinstance(seconds, str):
        msg = "'expires_after' needs the anchor 'created_at' and seconds."
        raise ApiError(msg, code="invalid_value", param="expires_after")
    return integer(
        {"expires_after": seconds},
        "expires_after",
        default=0,
        least=_SHORTEST_LIFE,
        most=_LONGEST_LIFE,
    )


async def _on_refusal(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):  # pragma: no cover - registered for it only.
        raise error
    return error.response()


async def _on_http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    msg = {
        404: "Unknown request URL.",
        405: "Method not allowed.",
    }.get(status, "The body of the request cannot be read.")
    return ApiError(msg, status=status, code="invalid_request").response()


async def _on_bad_request(_: Request, error: Exception) -> Response:
    del error
    return ApiError("The request cannot be read.", code="invalid_request").response()


async def _on_defect(_: Request, error: Exception) -> Response:
    # The guard logs it.
    return defect(error).response()

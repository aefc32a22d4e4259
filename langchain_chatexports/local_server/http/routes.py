"""The routes: OpenAI's files, fine-tuning jobs, models, chats and scores."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Query, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from langchain_chatexports.local_server.http.chat import (
    complete_chat,
    score_messages,
    tokenize,
)
from langchain_chatexports.local_server.http.errors import (
    ApiError,
    JsonResponse,
    not_found,
)
from langchain_chatexports.local_server.http.requests import (
    ChatRequest,
    JobRequest,
    ScoreRequest,
    TokenizeRequest,
)
from langchain_chatexports.local_server.http.service import LocalService
from langchain_chatexports.local_server.storage.files import JsonLinesError

_STATUSES: dict[str, Literal["cancelled", "paused"]] = {
    "cancel": "cancelled",
    "pause": "paused",
}

router = APIRouter(default_response_class=JsonResponse, redirect_slashes=False)


async def _service(request: Request) -> LocalService:
    service: LocalService = request.app.state.service
    return service


Service = Annotated[LocalService, Depends(_service)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def _find_file(service: Service, file_id: str) -> dict[str, Any]:
    found = service.files.get(file_id)
    if found is None:
        raise not_found(kind="file", param="file_id")
    return found


def _find_job(service: Service, fine_tuning_job_id: str) -> dict[str, Any]:
    found = service.jobs.get(fine_tuning_job_id)
    if found is None:
        raise not_found(kind="fine-tuning job", param="fine_tuning_job_id")
    return found


FoundFile = Annotated[dict[str, Any], Depends(_find_file)]
FoundJob = Annotated[dict[str, Any], Depends(_find_job)]


def _page(items: Sequence[dict[str, Any]], after: str, limit: int) -> JsonResponse:
    start = 0
    if after:
        ids = [item["id"] for item in items]
        if after not in ids:
            msg = "There is no item with the id of 'after' in this list."
            raise ApiError(msg, code="invalid_value", param="after")
        start = ids.index(after) + 1
    shown = items[start : start + limit]
    return JsonResponse(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": start + limit < len(items),
        }
    )


@router.post("/files")
def create_file(
    service: Service,
    file: UploadFile,
    purpose: Annotated[Literal["fine-tune"], Form()],
    lifetime: Annotated[str, Form(alias="expires_after[seconds]")] = "",
) -> Response:
    """Upload training or validation examples."""
    del purpose
    if lifetime:
        msg = "The local server keeps files until they are deleted."
        raise ApiError(msg, code="unsupported_parameter", param="expires_after")
    try:
        created = service.files.create(file.file, filename=file.filename or "upload")
    except JsonLinesError as error:
        raise ApiError(str(error), code="invalid_file", param="file") from error
    return JsonResponse(created)


@router.get("/files")
def list_files(
    service: Service,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
) -> Response:
    """List the uploaded files, newest first."""
    return _page(service.files.newest_first(), after, limit)


@router.get("/files/{file_id}")
def retrieve_file(file: FoundFile) -> Response:
    """Return one uploaded file."""
    return JsonResponse(file)


@router.get("/files/{file_id}/content")
def download_file(service: Service, file: FoundFile) -> Response:
    """Return the content of an uploaded file."""
    path = service.files.path(file["id"])
    return FileResponse(path, media_type="application/octet-stream")


@router.delete("/files/{file_id}")
def delete_file(service: Service, file: FoundFile) -> Response:
    """Delete an uploaded file."""
    service.files.delete(file["id"])
    return JsonResponse({"id": file["id"], "object": "file", "deleted": True})


@router.post("/fine_tuning/jobs")
def create_fine_tuning_job(service: Service, body: JobRequest) -> Response:
    """Validate the examples, and queue a job."""
    return JsonResponse(service.create_job(body))


@router.get("/fine_tuning/jobs")
def list_paginated_fine_tuning_jobs(
    service: Service, request: Request, after: str = "", limit: Limit = 20
) -> Response:
    """List the jobs with the given metadata, newest first."""
    wanted = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in request.query_params.items()
        if name.startswith("metadata[")
    }
    jobs = [
        job
        for job in service.jobs.newest_first()
        if wanted.items() <= (job["metadata"] or {}).items()
    ]
    return _page(jobs, after, limit)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}")
def retrieve_fine_tuning_job(job: FoundJob) -> Response:
    """Return one job."""
    return JsonResponse(job)


@router.post("/fine_tuning/jobs/{fine_tuning_job_id}/{change}")
def change_fine_tuning_job(
    service: Service, job: FoundJob, change: Literal["cancel", "pause", "resume"]
) -> Response:
    """Cancel or pause an unfinished job, or resume it from its last save."""
    job_id = job["id"]
    if change == "resume":
        is_changed = service.jobs.resume(job_id)
        if is_changed:
            service.queue.enqueue(job_id)
    else:
        is_changed = service.jobs.stop(job_id, _STATUSES[change])
    job = _find_job(service, job_id)
    if not is_changed:
        msg = f"The job is {job['status']}: there is nothing to {change}."
        raise ApiError(msg, code="invalid_state", param="fine_tuning_job_id")
    return JsonResponse(job)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/events")
def list_fine_tuning_events(
    service: Service, job: FoundJob, after: str = "", limit: Limit = 20
) -> Response:
    """List the events of a job, newest first."""
    return _page(service.jobs.events(job["id"])[::-1], after, limit)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints")
def list_fine_tuning_job_checkpoints(
    job: FoundJob, after: str = "", limit: Limit = 10
) -> Response:
    """Return an empty list: the best epoch is the model."""
    del job
    return _page([], after, limit)


@router.get("/models")
def list_models(service: Service) -> Response:
    """List the base model, its aliases and the tuned models."""
    own = [_model(name) for name in (service.base_model, *service.aliases)]
    tuned = [_model(each.name, each.created_at) for each in service.tuned_models()]
    return JsonResponse({"object": "list", "data": [*own, *tuned]})


@router.get("/models/{model:path}")
def retrieve_model(service: Service, model: str) -> Response:
    """Return one model."""
    service.find_model(model)
    created = {each.name: each.created_at for each in service.tuned_models()}
    return JsonResponse(_model(model, created.get(model)))


def _model(name: str, created_at: datetime | None = None) -> dict[str, Any]:
    created = 0 if created_at is None else int(created_at.timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "local"}


@router.delete("/models/{model:path}")
def delete_model(service: Service, model: str) -> Response:
    """Delete a tuned model with its job and the uploads that only it used."""
    service.delete_model(model)
    return JsonResponse({"id": model, "object": "model", "deleted": True})


@router.post("/chat/completions")
async def create_chat_completion(
    service: Service, body: ChatRequest, request: Request
) -> Response:
    """Answer a chat, whole or as a stream."""
    return await complete_chat(service, body, request)


@router.post("/score")
async def score_chat(service: Service, body: ScoreRequest) -> Response:
    """Score the assistant's messages of a given chat."""
    return JsonResponse(await score_messages(service, body))


@router.post("/tokenize")
def tokenize_text(service: Service, body: TokenizeRequest) -> Response:
    """Return the tokens of a text, or of a chat up to the answer."""
    return JsonResponse(tokenize(service, body))


@router.get("/checked_examples")
async def count_checked_examples(service: Service) -> Response:
    """Count the examples that were checked since the server started."""
    return JsonResponse({"count": service.checked_examples})


@router.get("/hold")
async def hold_server(service: Service, request: Request) -> Response:
    """Keep the server running while the client is connected."""

    async def hold() -> AsyncIterator[bytes]:
        service.users += 1
        try:
            yield b"\n"
            while (await request.receive())["type"] != "http.disconnect":
                pass
        finally:
            service.users -= 1

    return StreamingResponse(hold(), media_type="text/plain")

"""The routes: OpenAI's files, fine-tuning jobs, models and chats, and scores."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Query, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from langchain_chatexports.local_server.old_http.chat import (
    complete_chat,
    score_messages,
    tokenize,
)
from langchain_chatexports.local_server.old_http.errors import (
    ApiError,
    JsonResponse,
    create_not_found,
)
from langchain_chatexports.local_server.old_http.requests import (
    ChatRequest,
    JobRequest,
    ScoreRequest,
    TokenizeRequest,
)
from langchain_chatexports.local_server.old_http.service import LocalService
from langchain_chatexports.local_server.storage.files import JsonLinesError

_STATUSES: dict[str, Literal["cancelled", "paused"]] = {
    "cancel": "cancelled",
    "pause": "paused",
}

router = APIRouter(default_response_class=JsonResponse, redirect_slashes=False)


async def _get_service(request: Request) -> LocalService:
    service: LocalService = request.app.state.service
    return service


Service = Annotated[LocalService, Depends(_get_service)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def _find_file(service: Service, file_id: str) -> dict[str, Any]:
    file = service.files.get(file_id)
    if file is None:
        raise create_not_found(kind="file", param="file_id")
    return file


def _find_job(service: Service, fine_tuning_job_id: str) -> dict[str, Any]:
    job = service.jobs.get(fine_tuning_job_id)
    if job is None:
        raise create_not_found(kind="fine-tuning job", param="fine_tuning_job_id")
    return job


ExistingFile = Annotated[dict[str, Any], Depends(_find_file)]
ExistingJob = Annotated[dict[str, Any], Depends(_find_job)]


def _page_response(
    items: Sequence[dict[str, Any]], after: str, limit: int
) -> JsonResponse:
    start = 0
    if after:
        ids = [item["id"] for item in items]
        if after not in ids:
            msg = "'after' is not the id of an item in this list."
            raise ApiError(msg, code="invalid_value", param="after")
        start = ids.index(after) + 1
    page = items[start : start + limit]
    return JsonResponse(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
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
        msg = "The local server stores files until they are deleted."
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
    return _page_response(service.files.list_all(), after, limit)


@router.get("/files/{file_id}")
def retrieve_file(file: ExistingFile) -> Response:
    """Retrieve an uploaded file."""
    return JsonResponse(file)


@router.get("/files/{file_id}/content")
def download_file(service: Service, file: ExistingFile) -> Response:
    """Download the content of an uploaded file."""
    path = service.files.path(file["id"])
    return FileResponse(path, media_type="application/octet-stream")


@router.delete("/files/{file_id}")
def delete_file(service: Service, file: ExistingFile) -> Response:
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
    metadata = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in request.query_params.items()
        if name.startswith("metadata[")
    }
    jobs = [
        job
        for job in service.jobs.list_all()
        if metadata.items() <= (job["metadata"] or {}).items()
    ]
    return _page_response(jobs, after, limit)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}")
def retrieve_fine_tuning_job(job: ExistingJob) -> Response:
    """Retrieve a job."""
    return JsonResponse(job)


@router.post("/fine_tuning/jobs/{fine_tuning_job_id}/{change}")
def change_fine_tuning_job(
    service: Service, job: ExistingJob, change: Literal["cancel", "pause", "resume"]
) -> Response:
    """Cancel, pause or resume a job."""
    job_id = job["id"]
    if change == "resume":
        is_changed = service.jobs.resume(job_id)
        if is_changed:
            service.queue.enqueue(job_id)
    else:
        is_changed = service.jobs.stop(job_id, _STATUSES[change])
    job = _find_job(service, job_id)
    if not is_changed:
        msg = f"Cannot {change} a job that is {job['status']}."
        raise ApiError(msg, code="invalid_state", param="fine_tuning_job_id")
    return JsonResponse(job)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/events")
def list_fine_tuning_events(
    service: Service, job: ExistingJob, after: str = "", limit: Limit = 20
) -> Response:
    """List the events of a job, newest first."""
    return _page_response(service.jobs.events(job["id"])[::-1], after, limit)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints")
def list_fine_tuning_job_checkpoints(
    job: ExistingJob, after: str = "", limit: Limit = 10
) -> Response:
    """Return an empty list: only the best epoch is kept, as the model."""
    del job
    return _page_response([], after, limit)


@router.get("/models")
def list_models(service: Service) -> Response:
    """List the base model, its aliases and the tuned models."""
    base = [_model_object(name) for name in (service.base_model, *service.aliases)]
    tuned = [_model_object(m.name, m.created_at) for m in service.tuned_models()]
    return JsonResponse({"object": "list", "data": [*base, *tuned]})


@router.get("/models/{model:path}")
def retrieve_model(service: Service, model: str) -> Response:
    """Retrieve a model."""
    service.find_model(model)
    created = {tuned.name: tuned.created_at for tuned in service.tuned_models()}
    return JsonResponse(_model_object(model, created.get(model)))


def _model_object(name: str, created_at: datetime | None = None) -> dict[str, Any]:
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
    """Complete a chat, in one response or as a stream."""
    return await complete_chat(service, body, request)


@router.post("/score")
async def score_chat(service: Service, body: ScoreRequest) -> Response:
    """Score the assistant's messages in a chat."""
    return JsonResponse(await score_messages(service, body))


@router.post("/tokenize")
def tokenize_text(service: Service, body: TokenizeRequest) -> Response:
    """Return the tokens of a string, or of a chat's prompt."""
    return JsonResponse(tokenize(service, body))


@router.get("/checked_examples")
async def count_checked_examples(service: Service) -> Response:
    """Count the examples that have been checked since the server started."""
    return JsonResponse({"count": service.checked_examples})


@router.get("/hold")
async def keep_server_alive(service: Service, request: Request) -> Response:
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

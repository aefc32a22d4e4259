"""The routes: OpenAI's files, fine-tuning jobs, models, chats and scores.

Functions are named after the operations of OpenAI's OpenAPI description. Their
parameters and return types are the source of this server's own (`openapi.py`).
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Body, Depends, File, Form, Path, Query, UploadFile
from fastapi.routing import APIRoute
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, PlainValidator
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import FileResponse, Response

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
from langchain_chatexports.local_server.http.paging import page
from langchain_chatexports.local_server.http.requests import (
    ChatRequest,
    JobRequest,
    ScoreRequest,
    TokenizeRequest,
    parse_body,
)
from langchain_chatexports.local_server.http.responses import (
    CheckedExamples,
    DeletedFile,
    DeletedJob,
    DeletedModel,
    ErrorResponse,
    JobCheckpoint,
    JobEvent,
    JobResponse,
    ListedModel,
    ModelList,
    Page,
    ScoreResponse,
    TokenizeResponse,
    UploadedFile,
)
from langchain_chatexports.local_server.http.service import LocalService
from langchain_chatexports.local_server.storage.files import FILE_ID
from langchain_chatexports.local_server.storage.jobs import JOB_ID
from langchain_chatexports.local_server.storage.json_lines import JsonLinesError

__all__ = ["router"]

_MIN_LIFETIME, _MAX_LIFETIME = 3600, 2_592_000
_MAX_FORM_FIELDS = 8


Model = TypeVar("Model", bound=BaseModel)


class _Request(Request):
    async def json(self) -> bytes:
        # The raw bytes: `parse_body` parses them, with errors in OpenAI's shape.
        return await self.body()

    def form(self, **_: Any) -> Any:
        return super().form(max_files=1, max_fields=_MAX_FORM_FIELDS)


class _Route(APIRoute):
    def get_route_handler(
        self,
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_request(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handle_request


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorResponse} for status in statuses}


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)


router = APIRouter(
    route_class=_Route,
    default_response_class=JsonResponse,
    responses=_errors(400, 401),
    generate_unique_id_function=_operation_id,
    redirect_slashes=False,
)


async def _service(request: Request) -> LocalService:
    service: LocalService = request.app.state.service
    return service


Service = Annotated[LocalService, Depends(_service)]
After = Annotated[str, Query(description="The id that the page starts after.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def _described(**schema: Any) -> Any:
    # Only documented, not validated: another form is a 404.
    return Path(json_schema_extra=schema)


def _find_file(
    service: Service,
    file_id: Annotated[str, _described(pattern=FILE_ID.pattern)],
) -> dict[str, Any]:
    found = service.files.get(file_id)
    if found is None:
        raise not_found(kind="file", param="file_id")
    return found


def _find_job(
    service: Service,
    fine_tuning_job_id: Annotated[str, _described(pattern=JOB_ID.pattern)],
) -> dict[str, Any]:
    found = service.jobs.get(fine_tuning_job_id)
    if found is None:
        raise not_found(kind="fine-tuning job", param="fine_tuning_job_id")
    return found


def _metadata_filter(request: Request) -> dict[str, str]:
    """Return the query's `metadata[key]=value`.

    Raises:
        ApiError: If a value is an object: `metadata[key][name]=value`.
    """
    required = {
        name[len("metadata[") : -1]: value
        for name, value in request.query_params.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    if any("][" in key for key in required):
        msg = "The values of metadata are strings, not objects."
        raise ApiError(msg, code="invalid_value", param="metadata")
    return required


def _parsed(kind: type[Model]) -> Any:
    """Return a dependency that parses the body in a thread: it can be megabytes."""
    described = PlainValidator(bytes, json_schema_input_type=kind)

    def parse(service: Service, body: Annotated[bytes, Body(), described]) -> Model:
        with service.parsing_lock:
            return parse_body(body, kind)

    return Depends(parse)


ChatBody = Annotated[ChatRequest, _parsed(ChatRequest)]
JobBody = Annotated[JobRequest, _parsed(JobRequest)]
ScoreBody = Annotated[ScoreRequest, _parsed(ScoreRequest)]
TokenizeBody = Annotated[TokenizeRequest, _parsed(TokenizeRequest)]
FoundFile = Annotated[dict[str, Any], Depends(_find_file)]
FoundJob = Annotated[dict[str, Any], Depends(_find_job)]
MetadataFilter = Annotated[dict[str, str], Depends(_metadata_filter)]
ModelName = Annotated[str, _described(minLength=1)]

# FastAPI does not support this parameter style.
_METADATA_PARAMETER = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


@router.post("/files", response_model=UploadedFile, responses=_errors(507))
def create_file(
    service: Service,
    file: Annotated[
        UploadFile,
        File(
            description="JSON lines: one object with `messages` per line.",
            json_schema_extra={"format": "binary"},
        ),
    ],
    purpose: Annotated[Literal["fine-tune"], Form()],
    anchor: Annotated[
        Literal["created_at"] | None, Form(alias="expires_after[anchor]")
    ] = None,
    seconds: Annotated[
        int | None,
        Form(alias="expires_after[seconds]", ge=_MIN_LIFETIME, le=_MAX_LIFETIME),
    ] = None,
) -> dict[str, Any]:
    """Upload training or validation examples."""
    del purpose
    if (anchor is None) != (seconds is None):
        msg = "'expires_after' needs the anchor 'created_at' and seconds."
        raise ApiError(msg, code="invalid_value", param="expires_after")
    try:
        return service.files.create(
            file.file, filename=file.filename or "upload", lifetime=seconds
        )
    except JsonLinesError as error:
        raise ApiError(str(error), code="invalid_file", param="file") from error


@router.get("/files", response_model=Page[UploadedFile])
def list_files(
    service: Service,
    after: After = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: str = "fine-tune",
) -> dict[str, Any]:
    """List the uploaded files by creation time."""
    files = service.files.newest_first() if purpose == "fine-tune" else []
    return page(files if order == "desc" else files[::-1], after=after, limit=limit)


@router.get("/files/{file_id}", response_model=UploadedFile, responses=_errors(404))
def retrieve_file(file: FoundFile) -> dict[str, Any]:
    """Return one uploaded file."""
    return file


@router.get(
    "/files/{file_id}/content",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}, **_errors(404)},
)
def download_file(service: Service, file: FoundFile) -> FileResponse:
    """Return the content of an uploaded file."""
    path = service.files.path(file["id"])
    return FileResponse(path, media_type="application/octet-stream")


@router.delete("/files/{file_id}", responses=_errors(404))
def delete_file(service: Service, file: FoundFile) -> DeletedFile:
    """Delete an uploaded file."""
    service.files.delete(file["id"])
    return DeletedFile(id=file["id"])


@router.post(
    "/fine_tuning/jobs", response_model=JobResponse, responses=_errors(404, 507)
)
def create_fine_tuning_job(service: Service, body: JobBody) -> dict[str, Any]:
    """Validate the examples, and queue a job."""
    return service.create_job(body)


@router.get(
    "/fine_tuning/jobs",
    response_model=Page[JobResponse],
    openapi_extra={"parameters": [_METADATA_PARAMETER]},
)
def list_paginated_fine_tuning_jobs(
    service: Service, metadata: MetadataFilter, after: After = "", limit: Limit = 20
) -> dict[str, Any]:
    """List the jobs with the given metadata, newest first."""
    jobs = [
        job
        for job in service.jobs.newest_first()
        if metadata.items() <= (job["metadata"] or {}).items()
    ]
    return page(jobs, after=after, limit=limit)


@router.get(
    "/fine_tuning/jobs/{fine_tuning_job_id}",
    response_model=JobResponse,
    responses=_errors(404),
)
def retrieve_fine_tuning_job(job: FoundJob) -> dict[str, Any]:
    """Return one job."""
    return job


@router.post(
    "/fine_tuning/jobs/{fine_tuning_job_id}/cancel",
    response_model=JobResponse,
    responses=_errors(404),
)
def cancel_fine_tuning_job(service: Service, job: FoundJob) -> dict[str, Any]:
    """Cancel a job that is queued or running."""
    is_cancelled = service.queue.cancel(job["id"])
    return _changed_job(service, job["id"], is_changed=is_cancelled, change="cancelled")


def _changed_job(
    service: Service, job_id: str, *, is_changed: bool, change: str
) -> dict[str, Any]:
    job = _find_job(service, job_id)
    if not is_changed:
        msg = f"The job is {job['status']} and cannot be {change}."
        raise ApiError(msg, code="invalid_state", param="fine_tuning_job_id")
    return job


@router.post(
    "/fine_tuning/jobs/{fine_tuning_job_id}/pause",
    response_model=JobResponse,
    responses=_errors(404),
)
def pause_fine_tuning_job(service: Service, job: FoundJob) -> dict[str, Any]:
    """Stop a job that is queued or running, until it is resumed."""
    is_paused = service.queue.pause(job["id"])
    return _changed_job(service, job["id"], is_changed=is_paused, change="paused")


@router.post(
    "/fine_tuning/jobs/{fine_tuning_job_id}/resume",
    response_model=JobResponse,
    responses=_errors(404),
)
def resume_fine_tuning_job(service: Service, job: FoundJob) -> dict[str, Any]:
    """Continue a paused job from its last save."""
    is_queued = service.queue.resume(job["id"])
    return _changed_job(service, job["id"], is_changed=is_queued, change="resumed")


@router.delete("/fine_tuning/jobs/{fine_tuning_job_id}", responses=_errors(404))
def delete_fine_tuning_job(service: Service, job: FoundJob) -> DeletedJob:
    """Cancel and delete a job, its saves, and the uploads that only it used."""
    service.delete_job(job["id"])
    return DeletedJob(id=job["id"])


@router.get(
    "/fine_tuning/jobs/{fine_tuning_job_id}/events",
    response_model=Page[JobEvent],
    responses=_errors(404),
)
def list_fine_tuning_events(
    service: Service, job: FoundJob, after: After = "", limit: Limit = 20
) -> dict[str, Any]:
    """List the events of a job, newest first."""
    events = service.jobs.events(job["id"]).read()
    return page(events[::-1], after=after, limit=limit)


@router.get(
    "/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints",
    response_model=Page[JobCheckpoint],
    responses=_errors(404),
)
def list_fine_tuning_job_checkpoints(
    service: Service, job: FoundJob, after: After = "", limit: Limit = 10
) -> dict[str, Any]:
    """List the checkpoints of a succeeded job, newest first."""
    return page(service.checkpoints(job), after=after, limit=limit)


@router.get("/models")
def list_models(service: Service) -> ModelList:
    """List the base model, its aliases and the tuned models."""
    own = [service.base_model, *service.aliases]
    return ModelList(
        data=[
            *(ListedModel(id=name, created=0) for name in own),
            *(
                ListedModel(id=record["name"], created=record["created_at"])
                for record in service.models.newest_first()
            ),
        ]
    )


@router.get("/models/{model:path}", responses=_errors(404))
def retrieve_model(service: Service, model: ModelName) -> ListedModel:
    """Return one model."""
    service.find_model(model)
    record = service.models.get(model)
    return ListedModel(id=model, created=record["created_at"] if record else 0)


@router.delete("/models/{model:path}", responses=_errors(403, 404))
def delete_model(service: Service, model: ModelName) -> DeletedModel:
    """Delete a tuned model with its checkpoints, and the uploads that only it used."""
    service.delete_model(model)
    return DeletedModel(id=model)


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={
        200: {"content": {"text/event-stream": {}}},
        **_errors(404, 429, 503),
    },
)
async def create_chat_completion(
    service: Service, body: ChatBody, request: Request
) -> Any:
    """Answer a chat, whole or as a stream."""
    return await complete_chat(service, body, request)


@router.get("/checked_examples")
async def count_checked_examples(service: Service) -> CheckedExamples:
    """Count the examples that were checked for jobs since the server started."""
    return CheckedExamples(count=service.checked_examples)


@router.post("/score", response_model=ScoreResponse, responses=_errors(404, 429, 503))
async def score_chat(service: Service, body: ScoreBody) -> Any:
    """Score the assistant's messages of a given chat."""
    return await score_messages(service, body)


@router.post("/tokenize", response_model=TokenizeResponse, responses=_errors(404))
def tokenize_text(service: Service, body: TokenizeBody) -> Any:
    """Return the tokens of a text, or of a chat up to where the answer begins."""
    return tokenize(service, body)

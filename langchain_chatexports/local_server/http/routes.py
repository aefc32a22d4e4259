"""The routes: OpenAI's files, fine-tuning jobs, models and chats, and scores."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Query, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.local_server.bases.base import Base
from langchain_chatexports.local_server.engines.engine import Engine
from langchain_chatexports.local_server.engines.replies import encode_event, respond
from langchain_chatexports.local_server.errors import (
    NotFoundError,
    RequestError,
    StateError,
)
from langchain_chatexports.local_server.http.errors import (
    JsonResponse,
    convert_unexpected,
    create_not_found,
)
from langchain_chatexports.local_server.http.objects import (
    EVENT_PREFIX,
    event_object,
    file_object,
    job_object,
    list_response,
    model_object,
    page_response,
    unknown_after,
)
from langchain_chatexports.local_server.http.requests import (
    ChatRequest,
    JobRequest,
    ScoreRequest,
    TokenizeRequest,
)
from langchain_chatexports.local_server.workspace import (
    ExampleFile,
    Job,
    Model,
    State,
    Workspace,
)
from langchain_chatexports.local_server.workspace.files import JsonLinesError
from langchain_chatexports.local_server.workspace.models import ORDER_KEY

_WAITING = (
    "No process runs jobs on this data directory, so the job waits for one, such as "
    "`chatexports serve`"
)

router = APIRouter(default_response_class=JsonResponse, redirect_slashes=False)


@dataclass(frozen=True)
class Api:
    """What the routes work on."""

    workspace: Workspace
    base: Base
    engine: Engine
    aliases: tuple[str, ...]

    @property
    def base_names(self) -> tuple[str, ...]:
        """The names of the base."""
        return (self.base.name, *self.aliases)

    def tuned_models(self) -> list[Model]:
        """Return the tuned models of the base, newest first."""
        models = self.workspace.models.list()
        return [model for model in models if model.base_model == self.base.name]

    def find_model(self, name: str, strength: float | None = None) -> Model:
        """Return a model by name; it is never used as a path or hub id."""
        if name in self.base_names:
            return Model(self.base.name)
        for model in self.workspace.models.list():
            if model.name == name and model.base_model == self.base.name:
                return model if strength is None else replace(model, strength=strength)
            if model.name == name:
                msg = (
                    f"This model was tuned from {model.base_model}, but the server "
                    f"runs {self.base.name}. Start one with the model's base."
                )
                raise _model_not_found(msg)
        msg = "The model does not exist on this server."
        raise _model_not_found(msg)


async def _get_api(request: Request) -> Api:
    api: Api = request.app.state.api
    return api


ApiDependency = Annotated[Api, Depends(_get_api)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def _find_file(api: ApiDependency, file_id: str) -> ExampleFile:
    try:
        return api.workspace.files.get(file_id)
    except NotFoundError:
        raise create_not_found(kind="file", param="file_id") from None


def _find_job(api: ApiDependency, fine_tuning_job_id: str) -> Job:
    job = api.workspace.jobs.find(fine_tuning_job_id)
    if job is None:
        raise create_not_found(kind="fine-tuning job", param="fine_tuning_job_id")
    return job


ExistingFile = Annotated[ExampleFile, Depends(_find_file)]
ExistingJob = Annotated[Job, Depends(_find_job)]


# Files


@router.post("/files")
def create_file(
    api: ApiDependency,
    file: UploadFile,
    purpose: Annotated[Literal["fine-tune"], Form()],
    lifetime: Annotated[str, Form(alias="expires_after[seconds]")] = "",
) -> Response:
    """Upload training or validation examples."""
    del purpose
    if lifetime:
        msg = "The local server stores files until they are deleted."
        raise RequestError(msg, code="unsupported_parameter", param="expires_after")
    try:
        created = api.workspace.files.create(file.file)
    except JsonLinesError as error:
        raise RequestError(str(error), code="invalid_file", param="file") from error
    return JsonResponse(file_object(created))


@router.get("/files")
def list_files(
    api: ApiDependency,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
) -> Response:
    """List the uploaded files, newest first."""
    files = api.workspace.files.list()
    return page_response([*map(file_object, files)], after, limit)


@router.get("/files/{file_id}")
def retrieve_file(file: ExistingFile) -> Response:
    """Retrieve an uploaded file."""
    return JsonResponse(file_object(file))


@router.get("/files/{file_id}/content")
def download_file(api: ApiDependency, file: ExistingFile) -> Response:
    """Download the content of an uploaded file."""
    path = api.workspace.file_path(file.id)
    return FileResponse(path, media_type="application/octet-stream")


@router.delete("/files/{file_id}")
def delete_file(api: ApiDependency, file: ExistingFile) -> Response:
    """Delete an uploaded file."""
    try:
        api.workspace.files.delete(file.id)
    except StateError as error:
        raise RequestError(str(error), code="invalid_state", param="file_id") from error
    return JsonResponse({"id": file.id, "object": "file", "deleted": True})


# Fine-tuning jobs


@router.post("/fine_tuning/jobs")
def create_fine_tuning_job(api: ApiDependency, body: JobRequest) -> Response:
    """Queue a job; its trainer checks the examples."""
    if api.find_model(body.model).folder is not None:
        msg = f"Tuned models cannot be tuned again. Use {api.base.name}."
        raise RequestError(msg, code="model_not_available", param="model")
    for param in ("training_file", "validation_file"):
        if file_id := getattr(body, param):
            try:
                api.workspace.files.get(file_id)
            except NotFoundError:
                raise create_not_found(kind="file", param=param) from None
    jobs, metadata = api.workspace.jobs, body.metadata or {}
    job, is_new = jobs.find_or_create(
        base=api.base.id,
        base_model=api.base.name,
        training_file=body.training_file,
        validation_file=body.validation_file,
        hyperparameters=body.requested_hyperparameters(),
        suffix=body.suffix,
        seed=body.seed,
        metadata=metadata,
        # Clients repeat a request after a timeout.
        key=metadata.get(ORDER_KEY) or secrets.token_hex(32),
    )
    if is_new and body.model != api.base.name:
        message = f"{body.model} is an alias of {api.base.name}"
        jobs.log(job.id, message, level="warn")
    if not is_new and job.state in {State.PAUSED, State.FAILED}:
        job = jobs.resume(job.id)
    if job.is_active and not api.workspace.has_queue():
        jobs.log(job.id, _WAITING, level="warn")
    return _job_response(api, job)


@router.get("/fine_tuning/jobs")
def list_paginated_fine_tuning_jobs(
    api: ApiDependency, request: Request, after: str = "", limit: Limit = 20
) -> Response:
    """List the jobs with the given metadata, newest first."""
    metadata = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in request.query_params.items()
        if name.startswith("metadata[")
    }
    jobs = [
        job_object(job, api.engine.profile)
        for job in api.workspace.jobs.list()
        if metadata.items() <= job.metadata.items()
    ]
    return page_response(jobs, after, limit)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}")
def retrieve_fine_tuning_job(api: ApiDependency, job: ExistingJob) -> Response:
    """Retrieve a job."""
    return _job_response(api, job)


@router.post("/fine_tuning/jobs/{fine_tuning_job_id}/{change}")
def change_fine_tuning_job(
    api: ApiDependency, job: ExistingJob, change: Literal["cancel", "pause", "resume"]
) -> Response:
    """Cancel, pause or resume a job."""
    jobs = api.workspace.jobs
    changes = {"cancel": jobs.cancel, "pause": jobs.pause, "resume": jobs.resume}
    try:
        return _job_response(api, changes[change](job.id))
    except StateError as error:
        param = "fine_tuning_job_id"
        raise RequestError(str(error), code="invalid_state", param=param) from error


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/events")
def list_fine_tuning_events(
    api: ApiDependency, job: ExistingJob, after: str = "", limit: Limit = 20
) -> Response:
    """List the events of a job, newest first."""
    before = None
    if after:
        digits = after.removeprefix(EVENT_PREFIX)
        # SQLite's integers have at most 19 digits.
        before = int(digits) if digits.isascii() and digits.isdigit() else 0
        if not 0 < before < 10**18 or not after.startswith(EVENT_PREFIX):
            raise unknown_after()
    jobs = api.workspace.jobs
    events = jobs.latest_events(job.id, before=before, limit=limit + 1)
    page = [event_object(event) for event in events[:limit]]
    return list_response(page, has_more=len(events) > limit)


@router.get("/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints")
def list_fine_tuning_job_checkpoints(
    job: ExistingJob, after: str = "", limit: Limit = 10
) -> Response:
    """Return an empty list: only the best epoch is kept, as the model."""
    del job
    return page_response([], after, limit)


# Models


@router.get("/models")
def list_models(api: ApiDependency) -> Response:
    """List the base model, its aliases and the tuned models."""
    base = [model_object(Model(name)) for name in api.base_names]
    tuned = [model_object(model) for model in api.tuned_models()]
    return JsonResponse({"object": "list", "data": [*base, *tuned]})


@router.get("/models/{model:path}")
def retrieve_model(api: ApiDependency, model: str) -> Response:
    """Retrieve a model."""
    found = api.find_model(model)
    return JsonResponse(model_object(found) | {"id": model})


@router.delete("/models/{model:path}")
def delete_model(api: ApiDependency, model: str) -> Response:
    """Delete a tuned model, with its job and the uploads that only it used."""
    if model in api.base_names:
        msg = "Only tuned models can be deleted."
        raise RequestError(msg, status=403, code="cannot_delete", param="model")
    try:
        api.workspace.models.delete(model)
    except NotFoundError:
        raise create_not_found(kind="model", param="model") from None
    return JsonResponse({"id": model, "object": "model", "deleted": True})


# Chats


@router.post("/chat/completions")
async def create_chat_completion(
    api: ApiDependency, body: ChatRequest, request: Request
) -> Response:
    """Complete a chat, at once or as a stream; a client that leaves ends it."""
    model = await run_in_threadpool(api.find_model, body.model, body.strength)
    chunks = _guard(api.engine.complete(model, body.to_body()))
    return await respond(chunks, request, is_stream=bool(body.stream))


@router.post("/score")
async def create_score(api: ApiDependency, body: ScoreRequest) -> Response:
    """Return the log-likelihoods of the assistant's messages in a chat."""
    model = await run_in_threadpool(api.find_model, body.model, body.strength)
    turns = await api.engine.score(model, _dump(body.messages))
    return JsonResponse({"object": "score", "model": model.name, "turns": turns})


@router.post("/tokenize")
async def create_tokens(api: ApiDependency, body: TokenizeRequest) -> Response:
    """Return the tokens of a string, or of a chat's prompt."""
    await run_in_threadpool(api.find_model, body.model)
    text = body.prompt if body.messages is None else None
    tokens = await api.engine.tokenize(text, _dump(body.messages or []))
    return JsonResponse({"count": len(tokens), "tokens": tokens})


async def _guard(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a response; an error after the first one is the last."""
    has_started = False
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                has_started = True
                yield chunk
        except Exception as error:
            if not has_started:
                raise
            if not isinstance(error, RequestError):
                log_error_location(error)
                error = convert_unexpected(error)
            yield encode_event(error.body)


def _dump(messages: Sequence[Any]) -> list[dict[str, Any]]:
    return [message.model_dump(exclude_none=True) for message in messages]


def _job_response(api: Api, job: Job) -> JsonResponse:
    return JsonResponse(job_object(job, api.engine.profile))


def _model_not_found(message: str) -> RequestError:
    return RequestError(message, status=404, code="model_not_found", param="model")

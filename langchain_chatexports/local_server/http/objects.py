"""Files, jobs, events, models and lists as OpenAI's clients read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.http.errors import JsonResponse
from langchain_chatexports.local_server.workspace import (
    Event,
    ExampleFile,
    Job,
    Model,
)

EVENT_PREFIX = "ftevent-"
"""The start of an event's id; its number follows."""


def file_object(file: ExampleFile) -> dict[str, Any]:
    """Return a file as OpenAI does."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": int(file.created_at),
        "filename": file.name,
        "purpose": "fine-tune",
        "status": "processed",
        "status_details": None,
    }


def job_object(job: Job, profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job as OpenAI does, with the profile of its model."""
    automatic = dict.fromkeys(
        ("n_epochs", "batch_size", "learning_rate_multiplier"), "auto"
    )
    # The trainer resolves what is automatic.
    resolved = job.results.get("hyperparameters", {})
    hyperparameters = {**automatic, **job.hyperparameters, **resolved}
    method = {"hyperparameters": hyperparameters}
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "model": job.base_model,
        "created_at": int(job.created_at),
        "finished_at": None if job.finished_at is None else int(job.finished_at),
        "fine_tuned_model": job.model,
        "organization_id": "local",
        "result_files": [],
        "status": job.state,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "hyperparameters": hyperparameters,
        "method": {"type": "supervised", "supervised": method},
        "trained_tokens": job.results.get("trained_tokens") if job.model else None,
        "error": _error_object(job),
        "seed": job.seed,
        "user_provided_suffix": job.suffix,
        "metadata": job.metadata,
        "profile": profile,
    }


def _error_object(job: Job) -> dict[str, Any] | None:
    if job.error is None:
        return None
    return {name: job.error.get(name) for name in ("code", "message", "param")}


def event_object(event: Event) -> dict[str, Any]:
    """Return an event as OpenAI does."""
    return {
        "object": "fine_tuning.job.event",
        "id": f"{EVENT_PREFIX}{event.number}",
        "created_at": int(event.created_at),
        "level": event.level,
        "message": event.message,
        "type": "metrics" if event.kind == "step" else "message",
        "data": event.data,
    }


def model_object(model: Model) -> dict[str, Any]:
    """Return a model as OpenAI does."""
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.created_at),
        "owned_by": "local",
    }


def page_response(
    items: Sequence[dict[str, Any]], after: str, limit: int
) -> JsonResponse:
    """Return the page of a list after the item with an id."""
    start = 0
    if after:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise unknown_after()
        start = ids.index(after) + 1
    page = items[start : start + limit]
    return list_response(page, has_more=start + limit < len(items))


def list_response(page: Sequence[dict[str, Any]], *, has_more: bool) -> JsonResponse:
    """Return a page of a list."""
    return JsonResponse(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": has_more,
        }
    )


def unknown_after() -> RequestError:
    """Create the error for an unknown id."""
    msg = "'after' is not the id of an item in this list."
    return RequestError(msg, code="invalid_value", param="after")

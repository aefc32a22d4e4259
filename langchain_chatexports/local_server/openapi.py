"""The server's routes as an OpenAPI description, for tools that read one.

It follows the description that OpenAI publishes of its own API: paths, parameters and
objects have the same names. The bodies of requests come from the very models that check
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports._version import __version__
from langchain_chatexports.local_server.openapi_objects import (
    FILE_ID,
    JOB_ID,
    OBJECTS,
    reference,
)
from langchain_chatexports.local_server.schemas import (
    ChatRequest,
    JobRequest,
    ScoreRequest,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["describe_api"]

_REFUSALS = {
    "400": "The request is wrong.",
    "401": "The key is missing or wrong.",
    "403": "This model cannot be deleted.",
    "404": "There is no such thing.",
    "429": "Too many chats wait for an answer.",
    "503": "The answer could not be generated.",
    "507": "The disk is full.",
}
_MODEL_NAME = {"type": "string", "minLength": 1}
_METADATA = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


def describe_api(base_url: str = "http://127.0.0.1/v1") -> dict[str, Any]:
    """Describe the routes of a local server in OpenAPI 3.1.

    Args:
        base_url: The server's address, with `/v1`.

    Returns:
        The description, in JSON types.
    """
    requests: dict[str, Any] = {}
    paths = {
        **_files(),
        **_jobs(requests),
        **_models(),
        "/chat/completions": {
            "post": _operation(
                "createChatCompletion",
                "Completion",
                body=_json(ChatRequest, requests),
                refusals=("404", "429", "503"),
                stream=True,
            )
        },
        "/score": {
            "post": _operation(
                "scoreChat",
                "Score",
                body=_json(ScoreRequest, requests),
                refusals=("404", "429", "503"),
            )
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "langchain-chatexports local server", "version": __version__},
        "servers": [{"url": base_url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**OBJECTS, **requests},
        },
    }


def _files() -> dict[str, Any]:
    one = _path("file_id", FILE_ID)
    return {
        "/files": {
            "post": _operation(
                "createFile",
                "File",
                body={"multipart/form-data": {"schema": _upload()}},
                refusals=("507",),
            ),
            "get": _operation(
                "listFiles",
                "FilePage",
                parameters=[
                    *_paging(10_000),
                    _query("order", {"type": "string", "enum": ["asc", "desc"]}),
                    _query("purpose", {"type": "string"}),
                ],
            ),
        },
        "/files/{file_id}": {
            "parameters": [one],
            "get": _operation("retrieveFile", "File", refusals=("404",)),
            "delete": _operation("deleteFile", "DeletedFile", refusals=("404",)),
        },
        "/files/{file_id}/content": {
            "parameters": [one],
            "get": _operation("downloadFile", None, refusals=("404",)),
        },
    }


def _jobs(requests: dict[str, Any]) -> dict[str, Any]:
    one = _path("fine_tuning_job_id", JOB_ID)
    base = "/fine_tuning/jobs/{fine_tuning_job_id}"

    def of_one(method: str, name: str, answer: str, *parameters: Any) -> dict[str, Any]:
        operation = _operation(
            name, answer, parameters=list(parameters), refusals=("404",)
        )
        return {"parameters": [one], method: operation}

    return {
        "/fine_tuning/jobs": {
            "post": _operation(
                "createFineTuningJob",
                "Job",
                body=_json(JobRequest, requests),
                refusals=("404", "507"),
            ),
            "get": _operation(
                "listPaginatedFineTuningJobs",
                "JobPage",
                parameters=[*_paging(1000), _METADATA],
            ),
        },
        base: of_one("get", "retrieveFineTuningJob", "Job"),
        f"{base}/cancel": of_one("post", "cancelFineTuningJob", "Job"),
        f"{base}/events": of_one(
            "get", "listFineTuningEvents", "EventPage", *_paging(1000)
        ),
        f"{base}/checkpoints": of_one(
            "get", "listFineTuningJobCheckpoints", "CheckpointPage", *_paging(1000)
        ),
    }


def _models() -> dict[str, Any]:
    return {
        "/models": {"get": _operation("listModels", "ModelList")},
        "/models/{model}": {
            "parameters": [_path("model", _MODEL_NAME)],
            "get": _operation("retrieveModel", "Model", refusals=("404",)),
            "delete": _operation(
                "deleteModel", "DeletedModel", refusals=("403", "404")
            ),
        },
    }


def _operation(
    name: str,
    answer: str | None,
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    refusals: tuple[str, ...] = (),
    stream: bool = False,
) -> dict[str, Any]:
    content: dict[str, Any] = {"application/octet-stream": {}}
    if answer is not None:
        content = {"application/json": {"schema": reference(answer)}}
    if stream:
        content["text/event-stream"] = {}
    operation: dict[str, Any] = {
        "operationId": name,
        "responses": {
            "200": {"description": "It worked.", "content": content},
            **{
                status: {
                    "description": _REFUSALS[status],
                    "content": {"application/json": {"schema": reference("Error")}},
                }
                for status in ("400", "401", *refusals)
            },
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _json(model: type[BaseModel], requests: dict[str, Any]) -> dict[str, Any]:
    """Refer to a request's model, whose schema is added to the others."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    requests.update(schema.pop("$defs", {}))
    requests[model.__name__] = schema
    return {"application/json": {"schema": reference(model.__name__)}}


def _upload() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["file", "purpose"],
        "properties": {
            "file": {
                "type": "string",
                "format": "binary",
                "description": "JSON lines: one object with `messages` a line.",
            },
            "purpose": {"const": "fine-tune"},
            "expires_after[anchor]": {"const": "created_at"},
            "expires_after[seconds]": {
                "type": "integer",
                "minimum": 3600,
                "maximum": 2_592_000,
            },
        },
    }


def _path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _paging(largest: int) -> list[dict[str, Any]]:
    return [
        _query("after", {"type": "string"}),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": largest}),
    ]

"""The objects that the server's answers are made of, as JSON schemas.

Names and fields are those that OpenAI publishes for its own API, written down here as
this server fills them.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CHECKPOINT_NAME", "FILE_ID", "JOB_ID", "OBJECTS", "reference"]

JsonSchema = dict[str, Any]

FILE_ID: JsonSchema = {"type": "string", "pattern": "^file-[0-9a-f]{24}$"}
JOB_ID: JsonSchema = {"type": "string", "pattern": "^ftjob-[0-9a-f]{24}$"}
CHECKPOINT_NAME: JsonSchema = {"type": "string", "pattern": "^ft:.+:ckpt-step-[0-9]+$"}

_TEXT: JsonSchema = {"type": "string"}
_COUNT: JsonSchema = {"type": "integer", "minimum": 0}
_TIME: JsonSchema = {**_COUNT, "description": "Seconds since 1970, UTC."}
_NUMBER: JsonSchema = {"type": "number"}
_NOTHING: JsonSchema = {"type": "null"}


def reference(name: str) -> JsonSchema:
    """Refer to one of the objects."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(description: str, /, **fields: JsonSchema) -> JsonSchema:
    """Describe an object whose fields are all there, and no others."""
    return {
        "type": "object",
        "description": description,
        "properties": fields,
        "required": sorted(fields),
        "additionalProperties": False,
    }


def _or_null(schema: JsonSchema) -> JsonSchema:
    return {"anyOf": [schema, _NOTHING]}


def _only(value: str) -> JsonSchema:
    return {"const": value}


def _one_of(*values: str) -> JsonSchema:
    return {"type": "string", "enum": list(values)}


def _list_of(schema: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": schema}


def _page(name: str) -> JsonSchema:
    return _object(
        "A page of a list; the next one begins `after` its `last_id`.",
        object=_only("list"),
        data=_list_of(reference(name)),
        first_id=_or_null(_TEXT),
        last_id=_or_null(_TEXT),
        has_more={"type": "boolean"},
    )


def _deleted(kind: str, identifier: JsonSchema) -> JsonSchema:
    return _object(
        "What was deleted.",
        id=identifier,
        object=_only(kind),
        deleted={"const": True},
    )


_HYPERPARAMETERS = _object(
    "The numbers that are used, none of them `auto`.",
    n_epochs={"type": "integer", "minimum": 1},
    batch_size={"type": "integer", "minimum": 1},
    learning_rate_multiplier={"type": "number", "exclusiveMinimum": 0},
)
_METRICS: JsonSchema = {
    "type": "object",
    "properties": {
        "step": _COUNT,
        "total_steps": _COUNT,
        **dict.fromkeys(
            (
                "train_loss",
                "train_mean_token_accuracy",
                "learning_rate",
                "valid_loss",
                "full_valid_loss",
                "full_valid_mean_token_accuracy",
            ),
            _or_null(_NUMBER),
        ),
    },
    "additionalProperties": False,
}
_MESSAGE = _object(
    "The answer.",
    role=_only("assistant"),
    content=_TEXT,
    refusal=_NOTHING,
)
_CHOICE = _object(
    "The one answer.",
    index={"const": 0},
    message=_MESSAGE,
    finish_reason=_one_of("stop", "length"),
    logprobs=_NOTHING,
)

OBJECTS: dict[str, JsonSchema] = {
    "Error": _object(
        "A refusal.",
        error=_object(
            "Why.",
            message=_TEXT,
            type=_one_of("invalid_request_error", "rate_limit", "server_error"),
            param=_or_null(_TEXT),
            code=_or_null(_TEXT),
        ),
    ),
    "File": _object(
        "An uploaded file.",
        id=FILE_ID,
        object=_only("file"),
        bytes=_COUNT,
        created_at=_TIME,
        expires_at=_or_null(_TIME),
        filename=_TEXT,
        purpose=_only("fine-tune"),
        status=_only("processed"),
        status_details=_NOTHING,
    ),
    "FilePage": _page("File"),
    "DeletedFile": _deleted("file", FILE_ID),
    "Job": _object(
        "A fine-tuning job.",
        id=JOB_ID,
        object=_only("fine_tuning.job"),
        created_at=_TIME,
        finished_at=_or_null(_TIME),
        estimated_finish=_NOTHING,
        model=_TEXT,
        fine_tuned_model=_or_null(_TEXT),
        organization_id=_TEXT,
        status=_one_of("queued", "running", "succeeded", "failed", "cancelled"),
        training_file=FILE_ID,
        validation_file=_or_null(FILE_ID),
        result_files={"type": "array", "maxItems": 0},
        hyperparameters=_HYPERPARAMETERS,
        method=_object(
            "How it is trained.",
            type=_only("supervised"),
            supervised=_object("Its settings.", hyperparameters=_HYPERPARAMETERS),
        ),
        seed=_COUNT,
        user_provided_suffix=_or_null(_TEXT),
        metadata={"type": "object", "additionalProperties": _TEXT},
        integrations={"type": "array", "maxItems": 0},
        trained_tokens=_or_null(_COUNT),
        error=_or_null(
            _object("Why it failed.", code=_TEXT, message=_TEXT, param=_or_null(_TEXT))
        ),
    ),
    "JobPage": _page("Job"),
    "Event": _object(
        "Something that was told about a job.",
        id=_TEXT,
        object=_only("fine_tuning.job.event"),
        created_at=_TIME,
        level=_one_of("info", "warn", "error"),
        message=_TEXT,
        type=_one_of("message", "metrics"),
        data=_METRICS,
    ),
    "EventPage": _page("Event"),
    "Checkpoint": _object(
        "The model as it was after an epoch.",
        id=_TEXT,
        object=_only("fine_tuning.job.checkpoint"),
        created_at=_TIME,
        fine_tuned_model_checkpoint=CHECKPOINT_NAME,
        fine_tuning_job_id=JOB_ID,
        step_number=_COUNT,
        metrics=_METRICS,
    ),
    "CheckpointPage": _page("Checkpoint"),
    "Model": _object(
        "A model that answers chats.",
        id=_TEXT,
        object=_only("model"),
        created=_TIME,
        owned_by=_only("local"),
    ),
    "ModelList": _object(
        "All models but checkpoints.",
        object=_only("list"),
        data=_list_of(reference("Model")),
    ),
    "DeletedModel": _deleted("model", _TEXT),
    "Completion": _object(
        "A chat's answer.",
        id=_TEXT,
        object=_only("chat.completion"),
        created=_TIME,
        model=_TEXT,
        system_fingerprint=_NOTHING,
        choices={"type": "array", "items": _CHOICE, "minItems": 1, "maxItems": 1},
        usage=_object(
            "Tokens read and written.",
            prompt_tokens=_COUNT,
            completion_tokens=_COUNT,
            total_tokens=_COUNT,
        ),
    ),
    "Score": _object(
        "How likely the assistant's messages of a chat are.",
        object=_only("score"),
        model=_TEXT,
        turns=_list_of(
            _object(
                "One message of the assistant; in nats.",
                index=_COUNT,
                nll=_NUMBER,
                end_nll=_or_null(_NUMBER),
                tokens=_COUNT,
                size_bytes=_COUNT,
            )
        ),
    ),
}

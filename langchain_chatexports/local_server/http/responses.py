"""Models of the responses: OpenAI's objects, with the values that this server uses.

Extra fields are forbidden, and only metrics and the profile of a job are optional.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from langchain_chatexports.local_server.engines.scoring import TurnScore
from langchain_chatexports.local_server.storage.files import FILE_ID
from langchain_chatexports.local_server.storage.jobs import JOB_ID
from langchain_chatexports.local_server.training.hyperparameters import Hyperparameters

__all__ = [
    "CheckedExamples",
    "DeletedFile",
    "DeletedJob",
    "DeletedModel",
    "ErrorResponse",
    "JobCheckpoint",
    "JobEvent",
    "JobResponse",
    "ListedModel",
    "ModelList",
    "Page",
    "ScoreResponse",
    "TokenizeResponse",
    "UploadedFile",
]

Item = TypeVar("Item")

FileId = Annotated[str, Field(pattern=FILE_ID.pattern)]
JobId = Annotated[str, Field(pattern=JOB_ID.pattern)]
CheckpointName = Annotated[str, Field(pattern="^ft:.+:ckpt-step-[0-9]+$")]
Count = Annotated[int, Field(ge=0)]
Time = Annotated[int, Field(ge=0, description="Seconds since 1970, UTC.")]


_CLOSED = ConfigDict(extra="forbid")


class _Closed(BaseModel):
    model_config = _CLOSED


class ErrorBody(_Closed):
    """Why a request was refused."""

    message: str
    type: Literal["invalid_request_error", "rate_limit", "server_error"]
    param: str | None
    code: str | None


class ErrorResponse(_Closed):
    """A refused request."""

    error: ErrorBody


class Page(_Closed, Generic[Item]):
    """A page of a list; the next one starts after its `last_id`."""

    object: Literal["list"]
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


class UploadedFile(_Closed):
    """An uploaded file."""

    id: FileId
    object: Literal["file"]
    bytes: Count
    created_at: Time
    expires_at: Time | None
    filename: str
    purpose: Literal["fine-tune"]
    status: Literal["processed"]
    status_details: None


class DeletedFile(_Closed):
    """The file that was deleted."""

    id: FileId
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class SupervisedSettings(_Closed):
    """The settings of the supervised method."""

    hyperparameters: Hyperparameters


class UsedMethod(_Closed):
    """How a job is trained."""

    type: Literal["supervised"]
    supervised: SupervisedSettings


class JobFailure(_Closed):
    """Why a job failed."""

    code: str
    message: str
    param: str | None


class ModelProfile(_Closed):
    """The limits and abilities of a tuned model, as LangChain names them."""

    max_input_tokens: Count
    max_output_tokens: Count
    text_inputs: bool
    image_inputs: bool
    image_url_inputs: bool
    pdf_inputs: bool
    audio_inputs: bool
    video_inputs: bool
    text_outputs: bool
    image_outputs: bool
    audio_outputs: bool
    video_outputs: bool
    reasoning_output: bool
    tool_calling: bool
    tool_choice: bool
    structured_output: bool


class JobResponse(_Closed):
    """A fine-tuning job."""

    id: JobId
    object: Literal["fine_tuning.job"]
    created_at: Time
    finished_at: Time | None
    estimated_finish: None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
    training_file: FileId
    validation_file: FileId | None
    result_files: Annotated[list[str], Field(max_length=0)]
    hyperparameters: Hyperparameters
    method: UsedMethod
    seed: Count
    user_provided_suffix: str | None
    metadata: dict[str, str]
    integrations: Annotated[list[str], Field(max_length=0)]
    trained_tokens: Count | None
    error: JobFailure | None
    profile: ModelProfile | None = None


class DeletedJob(_Closed):
    """The job that was deleted."""

    id: JobId
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    deleted: Literal[True] = True


@with_config(_CLOSED)
class Metrics(TypedDict, total=False):
    """The metrics of a step, or of the whole training, as far as they were measured."""

    step: Count
    total_steps: Count
    train_loss: float | None
    train_mean_token_accuracy: float | None
    learning_rate: float | None
    valid_loss: float | None
    full_valid_loss: float | None
    full_valid_mean_token_accuracy: float | None
    estimated_seconds: float
    memory_bytes: Count


class JobEvent(_Closed):
    """An event of a job: a message, or the metrics of a step."""

    id: str
    object: Literal["fine_tuning.job.event"]
    created_at: Time
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: Metrics


class CheckedExamples(_Closed):
    """How many examples were checked for jobs since the server started."""

    object: Literal["checked_examples"] = "checked_examples"
    count: Count


class JobCheckpoint(_Closed):
    """The model after an epoch."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"]
    created_at: Time
    fine_tuned_model_checkpoint: CheckpointName
    fine_tuning_job_id: JobId
    step_number: Count
    metrics: Metrics


class ListedModel(_Closed):
    """A model for chats."""

    id: str
    object: Literal["model"] = "model"
    created: Time
    owned_by: Literal["local"] = "local"


class ModelList(_Closed):
    """All models except checkpoints."""

    object: Literal["list"] = "list"
    data: list[ListedModel]


class DeletedModel(_Closed):
    """The model that was deleted."""

    id: str
    object: Literal["model"] = "model"
    deleted: Literal[True] = True


class TokenizeResponse(_Closed):
    """The tokens of a text, or of a chat as the model reads it."""

    count: int
    tokens: list[int]


class ScoreResponse(_Closed):
    """The scores of the assistant's messages in a chat."""

    object: Literal["score"]
    model: str
    turns: list[TurnScore]

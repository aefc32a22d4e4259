"""Jobs and events as they are read from the database."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["info", "warn", "error"]
Kind: TypeAlias = Literal["state", "phase", "step", "message"]


class State(StrEnum):
    """A job's state: OpenAI's words, and `paused`."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (State.QUEUED, State.RUNNING)
"""The states of a job that runs or will run."""

UNFINISHED = (*ACTIVE, State.PAUSED)

PERSON_KEY = "langchain_chatexports_person"
"""The job's metadata key for the imitated person."""


@dataclass(frozen=True)
class Job:
    """A fine-tuning job; times are in Unix seconds."""

    id: str
    state: State
    base: str
    """The base to train: a directory, a `.gguf` file or a hub id."""

    base_model: str
    """The short name of the base."""

    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, Any]
    """The hyperparameters that were asked for."""

    suffix: str | None
    seed: int
    metadata: dict[str, str]
    created_at: float
    started_at: float | None
    """The time of its last start."""

    finished_at: float | None
    step: int
    """The last finished step."""

    steps: int | None
    """The number of steps; `None` before the first one."""

    loss: float | None
    saved_step: int
    """The step from which it resumes."""

    error: dict[str, Any] | None
    """`code`, `message` and `param` of a failure."""

    model: str | None
    """The name of the model that it made."""

    label: str | None
    """The label of that model."""

    results: dict[str, Any]
    """What training found out, such as `trained_tokens`."""

    @property
    def person(self) -> str | None:
        """The person that its model imitates, if known."""
        return self.metadata.get(PERSON_KEY)

    @property
    def is_active(self) -> bool:
        """Whether it runs or will run."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    number: int
    created_at: float
    kind: Kind
    """`state`: the job changed; `phase`: what happens before the first step; `step`;
    `message`: something to show."""

    level: Level
    message: str
    data: dict[str, Any]
    """Of a step: `step`, `total_steps`, `train_loss` and others of OpenAI's names."""


_JSON_FIELDS = frozenset({"hyperparameters", "metadata", "error", "results"})
_JOB_FIELDS = [field.name for field in fields(Job)]
SELECT_JOBS = f"SELECT {', '.join(_JOB_FIELDS)} FROM jobs"
SELECT_EVENTS = f"SELECT {', '.join(field.name for field in fields(Event))} FROM events"


def read_job(row: Sequence[Any]) -> Job:
    """Return the job in a row of `SELECT_JOBS`."""
    values = dict(zip(_JOB_FIELDS, row, strict=True))
    for name in _JSON_FIELDS:
        if (text := values[name]) is not None:
            values[name] = json.loads(text)
    return Job(**{**values, "state": State(values["state"])})


def read_event(row: Sequence[Any]) -> Event:
    """Return the event in a row of `SELECT_EVENTS`."""
    number, created_at, kind, level, message, data = row
    return Event(number, created_at, kind, level, message, json.loads(data))

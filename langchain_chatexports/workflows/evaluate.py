"""Measure a model of this machine on the conversations that its training held out."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports._progress import time_left
from langchain_chatexports.evaluation.blind_test import BlindPair
from langchain_chatexports.evaluation.comparison import EvaluationSettings, evaluate
from langchain_chatexports.evaluation.contestants import WrongPerson
from langchain_chatexports.evaluation.conversations import data_of_model
from langchain_chatexports.evaluation.model_server import ModelServer
from langchain_chatexports.evaluation.results import BlindFinding, Evaluation
from langchain_chatexports.exceptions import LocalServerError, TrainingDataError
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.client import client_of
from langchain_chatexports.workflows.models import TunedModel, find_tuned, list_jobs

_TIMEOUT_SECONDS = 600.0
# An answer needs about the time of three scores.
_ANSWERING = 3
_MIN_SHARE = 0.02


@dataclass(frozen=True)
class StartEvent:
    """The server of a model is starting."""

    model: TunedModel


@dataclass(frozen=True)
class DataEvent:
    """The held-out conversations are known."""

    trained: int
    held_out: int


@dataclass(frozen=True)
class StageEvent:
    """A stage has progressed."""

    name: str
    done: int
    total: int
    seconds_left: float | None
    """The remaining time of all stages; `None` if it is not known yet."""

    def __str__(self) -> str:
        """Return the stage and the remaining time as text."""
        left = self.seconds_left
        return self.name if left is None else f"{self.name}, {time_left(left)} in all"


EvaluationEvent = StartEvent | DataEvent | StageEvent


def evaluate_model(
    model: str | None = None,
    *,
    wrong_person: str | None = None,
    settings: EvaluationSettings | None = None,
    data_dir: str | Path | None = None,
    blind: Callable[[list[BlindPair]], BlindFinding | None] | None = None,
    on_event: Callable[[EvaluationEvent], None] = lambda _event: None,
) -> Evaluation:
    """Compare a tuned model with its base, with few-shot, and with the person.

    Args:
        model: The model, or the beginning of one of its names; `None` for the newest.
        wrong_person: A model of another person with the same base, as a control: gains
            that it shares are not due to the person.
        settings: The settings of the evaluation.
        data_dir: The directory of models; `None` for the default.
        blind: Called with pairs of answers for a person to guess; returns the result,
            or `None`.
        on_event: Called with each event.

    Returns:
        The results, without any message text.

    Raises:
        LocalServerError: If there is no such model, or the models have different bases.
        TrainingDataError: If the training held nothing out, or its examples were
            deleted.
    """
    tuned = find_tuned(model, data_dir)
    other = wrong_person and find_tuned(wrong_person, data_dir)
    if other and other.base != tuned.base:
        msg = "Both models must have the same base: train the other one on it, too."
        raise LocalServerError(msg)
    _check_held_out(tuned, data_dir)
    on_event(StartEvent(tuned))
    control = None
    if other:
        control = WrongPerson(other.name, other.person or "", tuned.person or "")
    contestants = 3 + (control is not None)
    with (
        LocalServer(
            tuned.base, data_dir=data_dir, resume_jobs=False, share=True
        ) as server,
        closing(client_of(server, timeout=_TIMEOUT_SECONDS)) as client,
    ):
        models = ModelServer(client)
        data = data_of_model(tuned)
        on_event(DataEvent(len(data.training), len(data.held_out)))
        return evaluate(
            data,
            models,
            tuned=tuned.name,
            base=server.base_model,
            wrong_person=control,
            settings=settings,
            blind=blind,
            progress=_Progress(contestants, on_event),
        )


def _check_held_out(tuned: TunedModel, data_dir: str | Path | None) -> None:
    """Raise an error if the training held nothing out."""
    job = next((job for job in list_jobs(data_dir) if job.id == tuned.job_id), None)
    if job is not None and not job.has_validation:
        msg = (
            f"The training of {tuned.name} held nothing out to evaluate it with. "
            "This takes 50 examples that do not repeat each other: train on more chats."
        )
        raise TrainingDataError(msg)


class _Progress:
    """Converts the progress of stages to events with the remaining time of all."""

    def __init__(
        self, contestants: int, on_event: Callable[[EvaluationEvent], None]
    ) -> None:
        self._whole = contestants * (1 + _ANSWERING)
        self._on_event = on_event
        self._start = time.monotonic()
        self._finished = 0.0
        self._stage = ""
        self._weight = 0

    def __call__(self, name: str, done: int, total: int) -> None:
        if name != self._stage:
            self._finished += self._weight
            self._stage = name
            self._weight = _ANSWERING if name.startswith("answering") else 1
        share = (self._finished + self._weight * done / total) / self._whole
        spent = time.monotonic() - self._start
        is_known = _MIN_SHARE <= share <= 1 and name != "comparing"
        left = spent / share * (1 - share) if is_known else None
        self._on_event(StageEvent(name, done, total, left))

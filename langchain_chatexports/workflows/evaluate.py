"""Measure a model of this machine on the conversations that its training held out."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports._progress import time_left
from langchain_chatexports.evaluation.answers import Progress
from langchain_chatexports.evaluation.blind_test import BlindPair
from langchain_chatexports.evaluation.comparison import EvaluationSettings, evaluate
from langchain_chatexports.evaluation.contestants import WrongPerson
from langchain_chatexports.evaluation.conversations import data_of_model
from langchain_chatexports.evaluation.model_server import ModelServer
from langchain_chatexports.evaluation.results import BlindFinding, Evaluation
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.client import client_of
from langchain_chatexports.workflows.models import find_tuned
from langchain_chatexports.workflows.train import open_server

_TIMEOUT_SECONDS = 600.0
# An answer needs about the time of three scores.
_WEIGHTS = {"scoring": 1, "answering": 3}
_MIN_SHARE = 0.02


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


def evaluate_model(
    model: str | None = None,
    *,
    wrong_person: str | None = None,
    settings: EvaluationSettings | None = None,
    data_dir: str | Path | None = None,
    blind: Callable[[list[BlindPair]], BlindFinding | None] | None = None,
    on_event: Callable[[StageEvent], None] = lambda _event: None,
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
    control = None
    if wrong_person:
        other = find_tuned(wrong_person, data_dir)
        if other.base != tuned.base:
            msg = "Both models must have the same base: train the other one on it, too."
            raise LocalServerError(msg)
        control = WrongPerson(other.name, other.person or "", tuned.person or "")
    data = data_of_model(tuned)
    on_event(StageEvent(f"starting {tuned.name}", 0, 1, None))
    with (
        open_server(tuned.base, data_dir) as server,
        closing(client_of(server, timeout=_TIMEOUT_SECONDS)) as client,
    ):
        return evaluate(
            data,
            ModelServer(client),
            tuned=tuned.name,
            base=server.base_model,
            wrong_person=control,
            settings=settings,
            blind=blind,
            progress=_timed(3 + bool(control), on_event),
        )


def _timed(contestants: int, on_event: Callable[[StageEvent], None]) -> Progress:
    """Return a function that reports stages with the remaining time of all."""
    start = time.monotonic()
    finished: dict[str, float] = {}

    def report(name: str, done: int, total: int) -> None:
        weight = _WEIGHTS.get(name.partition(":")[0], 0)
        finished[name] = weight * done / total
        share = sum(finished.values()) / (contestants * sum(_WEIGHTS.values()))
        left = None
        if _MIN_SHARE <= share < 1:
            left = (time.monotonic() - start) / share * (1 - share)
        on_event(StageEvent(name, done, total, left))

    return report

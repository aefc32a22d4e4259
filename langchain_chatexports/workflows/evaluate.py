"""Evaluate a local model on its held-out dialogues."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from langchain_chatexports._files import write_atomic
from langchain_chatexports._progress import time_left
from langchain_chatexports._translation import _
from langchain_chatexports.evaluation.answers import Progress
from langchain_chatexports.evaluation.blind_test import BlindPair
from langchain_chatexports.evaluation.comparison import EvaluationSettings, evaluate
from langchain_chatexports.evaluation.dialogues import load_model_data
from langchain_chatexports.evaluation.model_server import ModelClient
from langchain_chatexports.evaluation.results import BlindResult, Evaluation
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import EVALUATION_FILE, LocalServer, Workspace

_TIMEOUT_SECONDS = 600.0
# The tuned model, and the base with and without examples.
_CONTESTANTS = 3
# Generating a reply takes about as long as scoring three.
_STAGE_WEIGHTS = {"scoring": 1, "answering": 3, "matching": 1}
# The first replies wait for the model to load, which is not the pace.
_MIN_FRACTION = 0.1


@dataclass(frozen=True)
class StageEvent:
    """The progress of a stage."""

    name: str
    done: int
    total: int
    seconds_left: float | None
    """The remaining time for all stages; `None` if unknown."""

    def __str__(self) -> str:
        """Return the stage and the remaining time as text."""
        name = ": ".join(map(_, self.name.split(": ")))
        if self.seconds_left is None:
            return name
        return f"{name}, {time_left(self.seconds_left)}"


def evaluate_model(
    model: str | None = None,
    *,
    settings: EvaluationSettings | None = None,
    workspace: Workspace | None = None,
    blind: Callable[[list[BlindPair]], BlindResult | None] | None = None,
    on_event: Callable[[StageEvent], None] = lambda _event: None,
) -> Evaluation:
    """Compare a tuned model with its base, few-shot prompting, and the person.

    Args:
        model: The model, or the start of one of its names; `None` for the newest.
        settings: The settings of the evaluation.
        workspace: The jobs and models; `None` for those of the user.
        blind: Lets someone guess which reply is real; returns the result, or `None`.
        on_event: Called with each event.

    Returns:
        The results, without message text.

    Raises:
        LocalServerError: If the model is not found.
        TrainingDataError: If there are no held-out examples, or they were deleted.
    """
    from openai import OpenAI

    workspace = workspace or Workspace()
    tuned = workspace.models.match(model)[0]
    data = load_model_data(workspace, tuned)
    on_event(StageEvent(_("Loading the model"), 0, 1, None))
    with (
        LocalServer(tuned.base, data_dir=workspace.data_dir, runs_jobs=False) as server,
        OpenAI(
            base_url=server.base_url, api_key=server.api_key, timeout=_TIMEOUT_SECONDS
        ) as client,
    ):
        evaluation = evaluate(
            data,
            ModelClient(client),
            tuned=tuned.name,
            base=server.base_model,
            settings=settings,
            blind=blind,
            progress=_stage_reporter(on_event),
        )
    # For the card of an export; on a full disk, the result is more important.
    if tuned.folder is not None:
        with suppress(ChatExportError):
            content = evaluation.model_dump_json().encode()
            write_atomic(tuned.folder / EVALUATION_FILE, content)
    return evaluation


def _stage_reporter(on_event: Callable[[StageEvent], None]) -> Progress:
    """Return a function that reports stages with the remaining time of all stages."""
    start = time.monotonic()
    progress_by_stage: dict[str, float] = {}

    def report(name: str, done: int, total: int) -> None:
        weight = _STAGE_WEIGHTS.get(name.partition(":")[0], 0)
        progress_by_stage[name] = weight * done / total
        fraction = sum(progress_by_stage.values()) / (
            _CONTESTANTS * sum(_STAGE_WEIGHTS.values())
        )
        remaining = None
        if _MIN_FRACTION <= fraction < 1:
            remaining = (time.monotonic() - start) / fraction * (1 - fraction)
        on_event(StageEvent(name, done, total, remaining))

    return report

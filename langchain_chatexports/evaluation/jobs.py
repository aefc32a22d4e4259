"""What a server says about the job that made a model: its loss, and its examples.

A job's own validation loss is all that a server without the scoring route can say about
text that is given. It is per token of the model's tokenizer, so it is shown as such.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from langchain_chatexports.evaluation.results import ValidationLoss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from openai import OpenAI

    from langchain_chatexports.datasets.examples import TrainingExample

__all__ = ["JobFacts", "job_facts"]

_MAX_JOBS = 1000
_MAX_EVENTS = 2000
_MAX_BYTES = 64 * 2**20
_LOSS = "full_valid_loss"
_CHECKPOINT = ":ckpt-step-"


@dataclass(frozen=True)
class JobFacts:
    """What is known of the job that made a model.

    Attributes:
        validation: Its loss of its own validation file, or why there is none.
        examples: What the model was trained on, or why that is not known.
    """

    validation: ValidationLoss | str
    examples: list[TrainingExample] | str = field(repr=False)


def job_facts(client: OpenAI, model: str) -> JobFacts:
    """Look up the job that made a model.

    Args:
        client: A client whose address and key are set.
        model: The tuned model's name, or that of one of its checkpoints.
    """
    import openai

    try:
        job = _job_of(client, model)
    except (openai.OpenAIError, AttributeError, TypeError):
        job = None
    if job is None:
        reason = "the server has no job that made this model"
        return JobFacts(reason, reason)
    return JobFacts(_validation(client, job, model), _examples(client, job))


def _job_of(client: OpenAI, model: str) -> Any:
    jobs = client.fine_tuning.jobs.list(limit=100)
    whole = model.partition(_CHECKPOINT)[0]
    return next(
        (
            job
            for job in islice(jobs, _MAX_JOBS)
            if job.fine_tuned_model in {model, whole}
        ),
        None,
    )


def _validation(client: OpenAI, job: Any, model: str) -> ValidationLoss | str:
    import openai

    if not job.validation_file:
        return "its job had no validation file"
    ways: tuple[tuple[str, Callable[[], Iterable[_Loss]]], ...] = (
        ("checkpoints", lambda: _of_checkpoints(client, job, model)),
        ("events", lambda: _of_events(client, job)),
        ("result file", lambda: _of_result_files(client, job)),
    )
    for source, read in ways:
        with suppress(openai.OpenAIError, AttributeError, TypeError, ValueError):
            if losses := [each for each in read() if each is not None]:
                step, loss = max(losses)
                return ValidationLoss(
                    contestant="tuned",
                    full_valid_loss=loss,
                    unit="nats per token",
                    step=step,
                    source=source,
                )
    return "its job tells no loss of its validation file"


_Loss = tuple[int, float] | None


def _of_checkpoints(client: OpenAI, job: Any, model: str) -> Iterator[_Loss]:
    found = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=100))
    own = [each for each in found if each.fine_tuned_model_checkpoint == model]
    for checkpoint in own or found:
        metrics = checkpoint.metrics
        yield _loss(checkpoint.step_number, getattr(metrics, _LOSS, None))


def _of_events(client: OpenAI, job: Any) -> Iterator[_Loss]:
    events = client.fine_tuning.jobs.list_events(job.id, limit=100)
    for event in islice(events, _MAX_EVENTS):
        data = event.data if isinstance(event.data, dict) else {}
        yield _loss(data.get("step"), data.get(_LOSS))


def _of_result_files(client: OpenAI, job: Any) -> Iterator[_Loss]:
    for file_id in job.result_files or ():
        text = client.files.content(file_id).read().decode("utf-8", "replace")
        if "," not in text:
            # OpenAI gives the table in base64.
            text = base64.b64decode(text).decode("utf-8", "replace")
        for row in csv.DictReader(io.StringIO(text)):
            yield _loss(row.get("step"), row.get(_LOSS))


def _loss(step: Any, loss: Any) -> _Loss:
    try:
        found = int(step), float(loss)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found[1]) else None


def _examples(client: OpenAI, job: Any) -> list[TrainingExample] | str:
    import openai

    try:
        size = client.files.retrieve(job.training_file).bytes or 0
        if size > _MAX_BYTES:
            return "its training file is too large to be read"
        lines = client.files.content(job.training_file).read().split(b"\n")
        rows = [json.loads(line) for line in lines if line.strip()]
    except (openai.OpenAIError, AttributeError, TypeError, ValueError):
        return "its training file cannot be read"
    return [cast("TrainingExample", row) for row in rows if _has_messages(row)]


def _has_messages(row: Any) -> bool:
    messages = row.get("messages") if isinstance(row, dict) else None
    return isinstance(messages, list) and all(
        isinstance(message, dict) and "role" in message for message in messages
    )

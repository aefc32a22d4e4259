"""The files of a job: validated and confirmed examples as JSON lines."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.inputs import TrainingInput, read_examples
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import TrainingBudgetError, TrainingDataError
from langchain_chatexports.finetuning.settings import DATA_KEY, FineTunerSettings

_MIN_EXAMPLES = 10
_NAME_DIGITS = 32


class TrainingFile:
    """The content of a file to upload, and a name derived from it."""

    def __init__(self, examples: Iterable[Mapping[str, Any]]) -> None:
        buffer = io.BytesIO()
        self.examples = write_jsonl(examples, buffer)
        self.data = buffer.getvalue()
        self.digest = hashlib.sha256(self.data).hexdigest()
        self.name = uploaded_name(self.digest)

    def has_words_of(self, text: str) -> bool:
        """Return whether three consecutive words of a text are in the file."""
        said, known = _words(text), " ".join(_words(self.data.decode()))
        runs = zip(said, said[1:], said[2:], strict=False)
        return any(" ".join(run) in known for run in runs)


def uploaded_name(digest: str) -> str:
    """Return the name of an uploaded file, from its SHA-256."""
    return f"chatexports-{digest[:_NAME_DIGITS]}.jsonl"


def training_files(
    settings: FineTunerSettings, given: TrainingInput
) -> list[TrainingFile]:
    """Return the training file, and the validation file if there is one."""
    examples = _read_checked(settings, given, "training", _MIN_EXAMPLES)
    files = [examples]
    if (given := settings.validation_examples) is not None:
        files.append(_read_checked(settings, given, "validation", 1))
    if settings.max_billed_tokens is not None or settings.confirm is not None:
        _require_agreement(settings, examples)
    return [TrainingFile(each) for each in files]


def _words(text: str) -> list[str]:
    # Line feeds are escaped in JSON, and in what the SDK says of an answer.
    return re.findall(r"\w+", re.sub(r"\\[nrt]", " ", text.casefold()))


def _read_checked(
    settings: FineTunerSettings, given: TrainingInput, kind: str, minimum: int
) -> list[Mapping[str, Any]]:
    examples = list(read_examples(given))
    problems = validate_examples(
        examples, minimum=minimum, allow_trailing=settings.allow_trailing
    )
    if problems:
        rules = "a rule" if len(problems) == 1 else f"{len(problems)} rules"
        msg = (
            f"The {kind} examples break {rules} of the training format. Nothing was "
            "sent. Correct this and run again:"
        )
        raise TrainingDataError(msg, problems)
    return examples


def _require_agreement(
    settings: FineTunerSettings, examples: list[Mapping[str, Any]]
) -> None:
    estimate = estimate_training(examples, n_epochs=settings.n_epochs)
    size = plural(estimate.examples, "example")
    bound, limit = estimate.billed_tokens_at_most, settings.max_billed_tokens
    if limit is not None and bound > limit:
        msg = (
            f"The job would be billed for up to {bound:,} tokens ({size}, "
            f"{plural(estimate.epochs, 'epoch')}), over max_billed_tokens={limit:,}. "
            "Nothing was sent. Use fewer examples or epochs, or raise the limit."
        )
        raise TrainingBudgetError(msg)
    # Other true values are not enough: a function may return "n".
    if settings.confirm is not None and settings.confirm(estimate) is not True:
        msg = (
            f"The job was not confirmed ({size}, about {estimate.billed_tokens:,} "
            "billed tokens). Nothing was sent."
        )
        raise TrainingBudgetError(msg)


# Jobs of a file


@dataclass(frozen=True)
class JobUse:
    """A fine-tuning job that used a version of a dataset."""

    id: str
    status: str
    base_model: str
    tuned_model: str | None
    """The tuned model, which you may want to delete."""


def jobs_that_used(
    hashes: Collection[str], jobs: Iterable[Mapping[str, Any]], files: Mapping[str, str]
) -> list[JobUse]:
    """Find jobs that used one of these files, by `files` (names by id) or hash."""
    names = {uploaded_name(digest) for digest in hashes}
    found = []
    for job in jobs:
        given = (job.get("training_file"), job.get("validation_file"))
        uploaded = {files.get(str(file_id)) for file_id in given}
        if uploaded & names or (job.get("metadata") or {}).get(DATA_KEY) in hashes:
            status, base = str(job.get("status")), str(job.get("model"))
            found.append(JobUse(job["id"], status, base, job.get("fine_tuned_model")))
    return found

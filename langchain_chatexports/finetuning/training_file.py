"""The files of a job: examples as JSON Lines, validated and confirmed."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.inputs import TrainingInput, read_examples
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import TrainingBudgetError, TrainingDataError
from langchain_chatexports.finetuning.settings import FineTunerSettings

_MIN_EXAMPLES = 10
_NAME_DIGITS = 32


class TrainingFile:
    """The content of a file to upload, and its name, derived from the content."""

    def __init__(self, examples: Iterable[Mapping[str, Any]]) -> None:
        buffer = io.BytesIO()
        self.examples = write_jsonl(examples, buffer)
        self.data = buffer.getvalue()
        self.digest = hashlib.sha256(self.data).hexdigest()
        self.name = upload_filename(self.digest)

    def is_quoted_in(self, text: str) -> bool:
        """Return whether `text` has three consecutive words in common with the file."""
        words, content = _words(text), " ".join(_words(self.data.decode()))
        trigrams = zip(words, words[1:], words[2:], strict=False)
        return any(" ".join(trigram) in content for trigram in trigrams)


def upload_filename(digest: str) -> str:
    """Return the name under which a file with this SHA-256 hash is uploaded."""
    return f"chatexports-{digest[:_NAME_DIGITS]}.jsonl"


def create_training_files(
    settings: FineTunerSettings, data: TrainingInput
) -> list[TrainingFile]:
    """Validate the examples and return the training file and any validation file."""
    examples = _read_validated(settings, data, "training", _MIN_EXAMPLES)
    files = [examples]
    if (validation := settings.validation_examples) is not None:
        files.append(_read_validated(settings, validation, "validation", 1))
    if settings.max_billed_tokens is not None or settings.confirm is not None:
        _require_confirmation(settings, examples)
    return [TrainingFile(rows) for rows in files]


def _words(text: str) -> list[str]:
    # Line feeds are escaped in JSON and in the SDK's messages.
    return re.findall(r"\w+", re.sub(r"\\[nrt]", " ", text.casefold()))


def _read_validated(
    settings: FineTunerSettings, data: TrainingInput, kind: str, minimum: int
) -> list[Mapping[str, Any]]:
    examples = list(read_examples(data))
    problems = validate_examples(
        examples, minimum=minimum, allow_trailing=settings.allow_trailing
    )
    if problems:
        rules = "a rule" if len(problems) == 1 else f"{len(problems)} rules"
        msg = (
            f"The {kind} examples violate {rules} of the training format. Nothing was "
            "sent. Fix them and try again:"
        )
        raise TrainingDataError(msg, problems)
    return examples


def _require_confirmation(
    settings: FineTunerSettings, examples: list[Mapping[str, Any]]
) -> None:
    estimate = estimate_training(examples, n_epochs=settings.n_epochs)
    size = plural(estimate.examples, "example")
    max_estimate, limit = estimate.billed_tokens_at_most, settings.max_billed_tokens
    if limit is not None and max_estimate > limit:
        msg = (
            f"The job would be billed for up to {max_estimate:,} tokens ({size}, "
            f"{plural(estimate.epochs, 'epoch')}), exceeding "
            f"max_billed_tokens={limit:,}. "
            "Nothing was sent. Use fewer examples or epochs, or raise the limit."
        )
        raise TrainingBudgetError(msg)
    # Only `True` counts: a function may return "n".
    if settings.confirm is not None and settings.confirm(estimate) is not True:
        msg = (
            f"The job was not confirmed ({size}, about {estimate.billed_tokens:,} "
            "billed tokens). Nothing was sent."
        )
        raise TrainingBudgetError(msg)

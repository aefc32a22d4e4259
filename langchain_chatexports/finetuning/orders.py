"""An order: the bytes that are uploaded, the job's settings, and the key of both.

Nothing is sent here; which of a server's jobs is the order's own can be told.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.inputs import read_examples
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import TrainingBudgetError, TrainingDataError
from langchain_chatexports.finetuning.clients import AZURE_HOSTS
from langchain_chatexports.finetuning.settings import DATA_KEY, KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from openai import OpenAI

    from langchain_chatexports.datasets.inputs import TrainingInput
    from langchain_chatexports.finetuning.settings import FineTunerSettings

__all__ = [
    "ENDED",
    "UNSUCCESSFUL",
    "JobUse",
    "TrainingFile",
    "TuningOrder",
    "find_jobs",
    "is_uploaded_name",
    "jobs_that_used",
    "max_upload",
    "metadata_of",
    "prepare_order",
    "require_uploadable",
    "uploaded_name",
]

logger = logging.getLogger(__name__)

UNSUCCESSFUL = frozenset({"failed", "cancelled", "canceled"})
"""The statuses after which the same order creates a new job."""

ENDED = UNSUCCESSFUL | {"succeeded"}
"""The final statuses; with any other one, known or not, a job continues."""

_MIN_EXAMPLES = 10
_NAME_DIGITS = 32
_MIN_PRIVATE_LENGTH = 3

# So many words in a row are no coincidence.
_RUN_LENGTH = 3

_MIB = 2**20
# By the end of the host's name.
_MAX_UPLOADS = (
    ("api.openai.com", 512 * _MIB),
    *((host, 100 * _MIB) for host in AZURE_HOSTS),
)


def prepare_order(settings: FineTunerSettings, given: TrainingInput) -> TuningOrder:
    """Read the examples, check and count them, and write them as they are uploaded.

    Args:
        settings: The tuner's settings.
        given: What the user gave the tuner.

    Raises:
        TrainingDataError: If the examples break the format's rules.
        TrainingBudgetError: If the order is over the limit, or not agreed to.
    """
    examples = _read_checked(settings, given, "training", _MIN_EXAMPLES)
    validation = None
    if (given := settings.validation_examples) is not None:
        validation = TrainingFile(_read_checked(settings, given, "validation", 1))
    _require_agreement(settings, examples)
    nonce = uuid.uuid4().hex if settings.run_again else ""
    return TuningOrder(settings, TrainingFile(examples), validation, nonce)


def _read_checked(
    settings: FineTunerSettings, given: TrainingInput, kind: str, minimum: int
) -> list[Mapping[str, Any]]:
    ledger: list[Counts] = []
    examples = list(read_examples(given, ledger))
    skipped = sum(stage.skipped["unsupported"] for stage in ledger)
    if skipped:
        text = "Sounds, files and the like are left out of the %s examples: %d."
        logger.warning(text, kind, skipped)
    problems = validate_examples(
        examples,
        minimum=minimum,
        method=settings.method,
        allow_trailing=settings.allow_trailing,
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
    limit, confirm = settings.max_billed_tokens, settings.confirm
    if limit is None and confirm is None:
        return
    estimate = estimate_training(
        examples, model=settings.model, n_epochs=settings.n_epochs
    )
    bound = estimate.billed_tokens_at_most
    if limit is not None and bound > limit:
        kind = "" if estimate.exact else "up to "
        msg = (
            f"The order would be billed for {kind}{bound:,} tokens "
            f"({plural(estimate.examples, 'example')}, "
            f"{plural(estimate.epochs, 'epoch')}), over "
            f"max_billed_tokens={limit:,}. Nothing was sent. Use fewer examples or "
            "epochs, or raise the limit."
        )
        raise TrainingBudgetError(msg)
    # Truth is not enough: a text such as "n", or a coroutine, is no yes.
    if confirm is not None and confirm(estimate) != 1:
        msg = (
            "The order was not confirmed "
            f"({plural(estimate.examples, 'example')}, about "
            f"{estimate.billed_tokens:,} billed tokens). Nothing was sent."
        )
        raise TrainingBudgetError(msg)


# The data


def uploaded_name(digest: str) -> str:
    """Return the name under which a file is uploaded, from its SHA-256."""
    return f"chatexports-{digest[:_NAME_DIGITS]}.jsonl"


def is_uploaded_name(name: str) -> bool:
    """Return whether a file's name is one that `uploaded_name` makes."""
    pattern = rf"chatexports-[0-9a-f]{{{_NAME_DIGITS}}}\.jsonl"
    return re.fullmatch(pattern, name) is not None


class TrainingFile:
    """The bytes of a file to upload, and a name that only these bytes have."""

    def __init__(self, examples: Iterable[Mapping[str, Any]]) -> None:
        buffer = io.BytesIO()
        try:
            self.examples = write_jsonl(examples, buffer)
        except (TypeError, ValueError) as error:
            # The JSON encoder's errors can show a value.
            msg = (
                f"The examples are not of JSON types ({type(error).__name__}). "
                "Nothing was sent."
            )
            raise TrainingDataError(msg) from None
        self.data = buffer.getvalue()
        self.digest = hashlib.sha256(self.data).hexdigest()
        self.name = uploaded_name(self.digest)


# The order


@dataclass(frozen=True)
class TuningOrder:
    """Everything that makes one job the same as another."""

    settings: FineTunerSettings = field(repr=False)
    training: TrainingFile
    validation: TrainingFile | None = None
    nonce: str = ""

    @property
    def files(self) -> list[TrainingFile]:
        """The training file, and the validation file if there is one."""
        return [self.training, *([self.validation] if self.validation else [])]

    @cached_property
    def key(self) -> str:
        """The same for the same order, on any machine: 64 hex digits."""
        settings = self.settings
        parts: dict[str, Any] = {
            "training": self.training.digest,
            "validation": self.validation and self.validation.digest,
            "model": settings.model,
            "method": settings.method,
            "hyperparameters": settings.hyperparameters(),
            "suffix": settings.suffix,
            "seed": settings.seed,
        }
        # Left out when not used, so that later settings keep earlier keys.
        if settings.extra_body:
            parts["extra_body"] = settings.extra_body
        if self.nonce:
            parts["nonce"] = self.nonce
        text = json.dumps(parts, sort_keys=True, default=repr)
        return hashlib.sha256(text.encode()).hexdigest()

    def body(
        self,
        training_id: str,
        validation_id: str | None,
        *,
        with_metadata: bool = True,
        old_form: bool = False,
    ) -> dict[str, Any]:
        """Return the arguments of `fine_tuning.jobs.create`.

        Some servers refuse metadata; some know `hyperparameters` by themselves, the old
        form, and not `method`.
        """
        settings = self.settings
        numbers = {k: v for k, v in settings.hyperparameters().items() if v != "auto"}
        inner = {"hyperparameters": numbers} if numbers else {}
        own = {KEY: self.key, DATA_KEY: self.training.digest}
        method = {"type": settings.method, settings.method: inner}
        body: dict[str, Any] = {
            "model": settings.model,
            "training_file": training_id,
            "validation_file": validation_id,
            "suffix": settings.suffix,
            "seed": settings.seed,
            "extra_body": settings.extra_body,
            "metadata": {**(settings.metadata or {}), **own} if with_metadata else None,
            **(inner if old_form else {"method": method}),
        }
        return {k: v for k, v in body.items() if v is not None}

    # The SDK's jobs

    def is_key_of(self, job: Any) -> bool:
        """Return whether a job carries the order's key."""
        return metadata_of(job).get(KEY) == self.key

    def is_like(self, job: Any, files: tuple[str, str | None]) -> bool:
        """Return whether a job without any key trains these files as the order says.

        A server that keeps no metadata has no other way to find the order's job.
        """
        settings = self.settings
        # An alias such as gpt-4o-mini comes back with its date.
        model = rf"{re.escape(settings.model)}(-\d[\d-]*)?"
        return (
            metadata_of(job).get(KEY) is None
            and (job.training_file, job.validation_file or None) == files
            and re.fullmatch(model, str(job.model)) is not None
            and getattr(job, "suffix", None) in (None, settings.suffix)
            and (None in (job.seed, settings.seed) or job.seed == settings.seed)
            and not self.changed_numbers(job)
        )

    def is_suffix_of(self, job: Any) -> bool:
        """Return whether a job that `is_like` the order says that its suffix is, too.

        Some servers return it only as a part of the tuned model's name, or never.
        """
        suffix = self.settings.suffix
        return (
            self.is_key_of(job)
            or getattr(job, "suffix", None) == suffix
            or suffix in str(job.fine_tuned_model).split(":")
        )

    def changed_numbers(self, job: Any) -> list[str]:
        """Return the hyperparameters that a job says it has other values for."""
        method = getattr(job, "method", None)
        inner = getattr(method, str(getattr(method, "type", "")), None)
        # In `method` or, as it used to be, by themselves.
        holders = (getattr(inner, "hyperparameters", None), job.hyperparameters)
        holder = next((holder for holder in holders if holder is not None), None)
        return [
            name
            for name, value in self.settings.hyperparameters().items()
            if value != "auto"
            and getattr(holder, name, None) not in (None, "auto", value)
        ]

    # What is private

    def scrub(self, said: str) -> str:
        """Return what the server said without the order's texts.

        That is any whole text, and any run of words that stands in a text.
        """
        asked = set(_word_runs(said))
        found: set[tuple[str, ...]] = set()
        # All of the texts are gone through: the loop leaves the work to C.
        for text in self._texts():
            if len(text) >= _MIN_PRIVATE_LENGTH:
                said = said.replace(text, "…")
            found.update(asked.intersection(_word_runs(text)))
        private = {
            start + number
            for start, run in enumerate(_word_runs(said))
            if run in found
            for number in range(_RUN_LENGTH)
        }
        place = count()
        return re.sub(
            r"\w+", lambda word: "…" if next(place) in private else word[0], said
        )

    def _texts(self) -> Iterator[str]:
        for line in (line for file in self.files for line in file.data.split(b"\n")):
            values: list[Any] = [json.loads(line)] if line else []
            while values:
                value = values.pop()
                if isinstance(value, dict):
                    values.extend(v for k, v in value.items() if k != "role")
                elif isinstance(value, list):
                    values.extend(value)
                elif isinstance(value, str):
                    yield value


def _word_runs(text: str) -> Iterator[tuple[str, ...]]:
    words = [word.casefold() for word in re.findall(r"\w+", text)]
    return zip(*(words[start:] for start in range(_RUN_LENGTH)), strict=False)


def metadata_of(job: Any) -> Mapping[str, Any]:
    """Return the labels of the SDK's job; none where the server keeps none."""
    metadata = getattr(job, "metadata", None)
    return metadata if isinstance(metadata, Mapping) else {}


def max_upload(server: str) -> int | None:
    """Return the bytes of the largest file that a server takes, where that is known."""
    host = urlsplit(server).hostname or ""
    return next((size for end, size in _MAX_UPLOADS if host.endswith(end)), None)


def require_uploadable(order: TuningOrder, server: str) -> None:
    """Raise `TrainingDataError` if a server is known to refuse files of this size."""
    limit = max_upload(server)
    for file in order.files:
        if limit is not None and len(file.data) > limit:
            msg = (
                f"The training file has {len(file.data) / _MIB:,.1f} MB, and {server} "
                f"takes {limit // _MIB} MB at most. Nothing was sent. Use fewer "
                "examples: leave out duplicates, or an older part."
            )
            raise TrainingDataError(msg)


# Which jobs were given a set


@dataclass(frozen=True)
class JobUse:
    """A fine-tuning job that was given a version of a set."""

    id: str
    status: str
    base_model: str
    tuned_model: str | None
    """The model that the job made: what is left to delete."""

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return dict(vars(self))


def find_jobs(client: OpenAI, hashes: Collection[str]) -> list[JobUse]:
    """Find the jobs on a server that were given one of these files.

    Args:
        client: A client of the server.
        hashes: SHA-256 of files, as a `ForgetReport` names them.

    Returns:
        The jobs, in the server's order.
    """
    jobs = client.fine_tuning.jobs.list(limit=100)
    files = {file.id: file.filename for file in client.files.list(purpose="fine-tune")}
    return jobs_that_used(hashes, (job.to_dict() for job in jobs), files)


def jobs_that_used(
    hashes: Collection[str],
    jobs: Iterable[Mapping[str, Any]],
    files: Mapping[str, str],
) -> list[JobUse]:
    """Find among jobs those that were given one of these files.

    Args:
        hashes: SHA-256 of files.
        jobs: Jobs as the protocol gives them.
        files: Names of uploaded files, by id; deleted ones are missed only where the
            job does not name the hash itself.

    Returns:
        The jobs, in the order given.
    """
    names = {uploaded_name(digest) for digest in hashes}
    found = []
    for job in jobs:
        told = (job.get("metadata") or {}).get(DATA_KEY)
        given = (job.get("training_file"), job.get("validation_file"))
        uploaded = {files.get(str(file_id)) for file_id in given}
        if told in hashes or uploaded & names:
            use = JobUse(
                id=job["id"],
                status=str(job.get("status")),
                base_model=str(job.get("model")),
                tuned_model=job.get("fine_tuned_model"),
            )
            found.append(use)
    return found

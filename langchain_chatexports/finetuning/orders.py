"""An order: the bytes that are uploaded, the job's settings, and the key of both.

Nothing is sent here; which of a server's jobs is the order's own can be told.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.finetuning.clients import AZURE_HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "DATA_KEY",
    "ENDED",
    "KEY",
    "UNSUCCESSFUL",
    "TrainingFile",
    "TuningOrder",
    "is_uploaded_name",
    "max_upload",
    "metadata_of",
    "require_uploadable",
    "uploaded_name",
]

KEY = "langchain_chatexports_key"
"""The job's metadata key that holds the order's key."""

DATA_KEY = "langchain_chatexports_data"
"""The job's metadata key that holds the training file's hash."""

UNSUCCESSFUL = frozenset({"failed", "cancelled", "canceled"})
"""A job that ended so is no reason not to order a new one."""

ENDED = UNSUCCESSFUL | {"succeeded"}
"""The statuses that end a job; every other one, known or not, does not."""

_NAME_DIGITS = 32
_NUMBERS = ("n_epochs", "batch_size", "learning_rate_multiplier", "beta")
_MIN_PRIVATE_LENGTH = 3

# So many words in a row are no coincidence.
_RUN_LENGTH = 3

_MIB = 2**20
# By the end of the host's name.
_MAX_UPLOADS = (
    ("api.openai.com", 512 * _MIB),
    *((host, 100 * _MIB) for host in AZURE_HOSTS),
)


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
        """Write the examples.

        Raises:
            TrainingDataError: If they are not of JSON types.
        """
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

    def __repr__(self) -> str:
        """Show the name, never content."""
        return f"{type(self).__name__}({self.name!r}, examples={self.examples})"


# The order


@dataclass(frozen=True)
class TuningOrder:
    """Everything that makes one job the same as another."""

    model: str
    training: TrainingFile
    validation: TrainingFile | None = None
    method: str = "supervised"
    hyperparameters: Mapping[str, float | str] = field(default_factory=dict)
    suffix: str | None = None
    seed: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] | None = field(default=None, repr=False)
    nonce: str = ""

    @staticmethod
    def new_nonce() -> str:
        """Return what makes an order unlike every other one."""
        return uuid.uuid4().hex

    @property
    def files(self) -> list[TrainingFile]:
        """The training file, and the validation file if there is one."""
        return [self.training, *([self.validation] if self.validation else [])]

    @cached_property
    def key(self) -> str:
        """The same for the same order, on any machine: 64 hex digits."""
        parts: dict[str, Any] = {
            "training": self.training.digest,
            "validation": self.validation and self.validation.digest,
            "model": self.model,
            "method": self.method,
            "hyperparameters": dict(self.hyperparameters),
            "suffix": self.suffix,
            "seed": self.seed,
        }
        # Left out when not used, so that later settings keep earlier keys.
        if self.extra_body:
            parts["extra_body"] = dict(self.extra_body)
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

        Args:
            training_id: The uploaded training file.
            validation_id: The uploaded validation file, if any.
            with_metadata: Leave it out for servers that refuse it.
            old_form: Give `hyperparameters` by themselves, for servers that do not know
                `method`.
        """
        body: dict[str, Any] = {"model": self.model, "training_file": training_id}
        numbers = {k: v for k, v in self.hyperparameters.items() if v != "auto"}
        inner = {"hyperparameters": numbers} if numbers else {}
        if old_form:
            body.update(inner)
        else:
            body["method"] = {"type": self.method, self.method: inner}
        optional = {
            "validation_file": validation_id,
            "suffix": self.suffix,
            "seed": self.seed,
            "extra_body": self.extra_body,
        }
        body.update({k: v for k, v in optional.items() if v is not None})
        if with_metadata:
            own = {KEY: self.key, DATA_KEY: self.training.digest}
            body["metadata"] = {**self.metadata, **own}
        return body

    # The SDK's jobs

    def is_key_of(self, job: Any) -> bool:
        """Return whether a job carries the order's key."""
        return metadata_of(job).get(KEY) == self.key

    def is_like(self, job: Any, files: tuple[str, str | None]) -> bool:
        """Return whether a job without any key trains these files as the order says.

        Args:
            job: The job, of a server that keeps no metadata.
            files: The ids of the training and the validation file.
        """
        # An alias such as gpt-4o-mini comes back with its date.
        model = rf"{re.escape(self.model)}(-\d[\d-]*)?"
        # A server that does not return the suffix makes no difference by it.
        suffix = getattr(job, "suffix", None)
        return (
            metadata_of(job).get(KEY) is None
            and (job.training_file, job.validation_file or None) == files
            and re.fullmatch(model, str(job.model)) is not None
            and suffix in (None, self.suffix)
            and (None in (job.seed, self.seed) or job.seed == self.seed)
            and not self.changed_numbers(job)
        )

    def changed_numbers(self, job: Any) -> list[str]:
        """Return the hyperparameters that a job says it has other values for."""
        method = getattr(job, "method", None)
        inner = getattr(method, str(getattr(method, "type", "")), None)
        # In `method` or, as it used to be, by themselves.
        holders = (getattr(inner, "hyperparameters", None), job.hyperparameters)
        holder = next((holder for holder in holders if holder is not None), None)
        taken = {name: getattr(holder, name, None) for name in _NUMBERS}
        return [
            name
            for name, value in self.hyperparameters.items()
            if value != "auto" and taken.get(name) not in (None, "auto", value)
        ]

    # What is private

    def scrub(self, said: str) -> str:
        """Return what the server said without the order's texts.

        That is any whole text, and any run of words that stands in a text.
        """
        asked = {run for run, _ in _word_runs(said)}
        found: set[tuple[str, ...]] = set()
        # All of the texts are gone through: the loop leaves the work to C.
        for text in self._texts():
            if len(text) >= _MIN_PRIVATE_LENGTH:
                said = said.replace(text, "…")
            words = re.findall(r"\w+", text.casefold())
            shifted = (words[start:] for start in range(_RUN_LENGTH))
            found.update(asked.intersection(zip(*shifted, strict=False)))
        is_private = bytearray(len(said))
        for run, place in _word_runs(said):
            if run in found:
                is_private[place] = b"\1" * (place.stop - place.start)
        groups = groupby(zip(said, is_private, strict=True), key=itemgetter(1))
        return "".join(
            "…" if private else "".join(char for char, _ in chars)
            for private, chars in groups
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


def metadata_of(job: Any) -> Mapping[str, Any]:
    """Return the labels of the SDK's job; none where the server keeps none."""
    metadata = getattr(job, "metadata", None)
    return metadata if isinstance(metadata, Mapping) else {}


def max_upload(server: str) -> int | None:
    """Return the bytes of the largest file that a server takes, where that is known.

    Args:
        server: The server's base URL.
    """
    host = urlsplit(server).hostname or ""
    return next((size for end, size in _MAX_UPLOADS if host.endswith(end)), None)


def require_uploadable(order: TuningOrder, server: str) -> None:
    """Make sure that a server takes files as large as an order's.

    Raises:
        TrainingDataError: If it is known not to.
    """
    limit = max_upload(server)
    for file in order.files:
        if limit is not None and len(file.data) > limit:
            msg = (
                f"The training file has {len(file.data) / _MIB:,.1f} MB, and {server} "
                f"takes {limit // _MIB} MB at most. Nothing was sent. Use fewer "
                "examples: leave out duplicates, or an older part."
            )
            raise TrainingDataError(msg)


def _word_runs(text: str) -> Iterator[tuple[tuple[str, ...], slice]]:
    words = list(re.finditer(r"\w+", text))
    for start in range(len(words) - _RUN_LENGTH + 1):
        run = words[start : start + _RUN_LENGTH]
        place = slice(run[0].start(), run[-1].end())
        yield tuple(word[0].casefold() for word in run), place

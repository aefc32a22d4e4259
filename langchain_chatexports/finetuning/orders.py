"""An order: the bytes that are uploaded, the job's settings, and the key of both."""

from __future__ import annotations

import hashlib
import io
import json
import re
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_chatexports.finetuning.jsonl import write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["DATA_KEY", "KEY", "Order", "TrainingFile", "uploaded_name"]

KEY = "langchain_chatexports_key"
"""The job's metadata key that holds the order's key."""

DATA_KEY = "langchain_chatexports_data"
"""The job's metadata key that holds the training file's hash."""

_NAME_DIGITS = 32
_SHORTEST_PRIVATE = 3

# So many words in a row are no coincidence.
_RUN_LENGTH = 3


def uploaded_name(digest: str) -> str:
    """Give the name under which a file is uploaded, from its SHA-256."""
    return f"chatexports-{digest[:_NAME_DIGITS]}.jsonl"


def is_uploaded_name(name: str) -> bool:
    """Tell whether a file's name is one that `uploaded_name` gives."""
    return (
        re.fullmatch(rf"chatexports-[0-9a-f]{{{_NAME_DIGITS}}}\.jsonl", name)
        is not None
    )


class TrainingFile:
    """The bytes of a file to upload, and a name that only these bytes have."""

    def __init__(self, examples: Iterable[Mapping[str, Any]]) -> None:
        """Write the examples."""
        buffer = io.BytesIO()
        self.examples = write_jsonl(examples, buffer)
        self.data = buffer.getvalue()
        self.digest = hashlib.sha256(self.data).hexdigest()
        self.name = uploaded_name(self.digest)

    def __repr__(self) -> str:
        """Show the name, never content."""
        return f"{type(self).__name__}({self.name!r}, examples={self.examples})"


@dataclass(frozen=True)
class Order:
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
        """Give what makes an order unlike every other one."""
        return uuid.uuid4().hex

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
        """Give the arguments of `fine_tuning.jobs.create`.

        Args:
            training_id: The uploaded training file.
            validation_id: The uploaded validation file, if any.
            with_metadata: Leave it out for servers that refuse it.
            old_form: Give `hyperparameters` by themselves, for servers that do not know
                `method`.
        """
        body: dict[str, Any] = {"model": self.model, "training_file": training_id}
        numbers = {k: v for k, v in self.hyperparameters.items() if v != "auto"}
        if old_form:
            body.update({"hyperparameters": numbers} if numbers else {})
        else:
            inner = {"hyperparameters": numbers} if numbers else {}
            body["method"] = {"type": self.method, self.method: inner}
        optional = {
            "validation_file": validation_id,
            "suffix": self.suffix,
            "seed": self.seed,
            "extra_body": self.extra_body,
        }
        body.update({k: v for k, v in optional.items() if v is not None})
        if with_metadata:
            body["metadata"] = {
                **self.metadata,
                KEY: self.key,
                DATA_KEY: self.training.digest,
            }
        return body

    def hides(self, said: str) -> str:
        """Take the order's texts out of something that the server said.

        That is any whole text, and any run of words that stands in a text.
        """
        asked = {run for run, _ in _word_runs(said)}
        found: set[tuple[str, ...]] = set()
        # All of the texts are gone through: the loop leaves the work to C.
        for text in self._texts():
            if len(text) >= _SHORTEST_PRIVATE:
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
        files = [self.training, *([self.validation] if self.validation else [])]
        for line in (line for file in files for line in file.data.split(b"\n")):
            values: list[Any] = [json.loads(line)] if line else []
            while values:
                value = values.pop()
                if isinstance(value, dict):
                    values.extend(v for k, v in value.items() if k != "role")
                elif isinstance(value, list):
                    values.extend(value)
                elif isinstance(value, str):
                    yield value


def _word_runs(text: str) -> Iterator[tuple[tuple[str, ...], slice]]:
    words = list(re.finditer(r"\w+", text))
    for start in range(len(words) - _RUN_LENGTH + 1):
        run = words[start : start + _RUN_LENGTH]
        place = slice(run[0].start(), run[-1].end())
        yield tuple(word[0].casefold() for word in run), place

"""Tuned models: a job that succeeded, and a folder; they have no other record."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.finetuning.model_names import TunedModelName
from langchain_chatexports.local_server.errors import NotFoundError
from langchain_chatexports.local_server.workspace.data_directory import DataDirectory
from langchain_chatexports.local_server.workspace.jobs import Jobs
from langchain_chatexports.local_server.workspace.records import (
    PERSON_KEY,
    Job,
    State,
)

OWNER = "local"
"""The organization in the names of tuned models."""

ORDER_KEY = "langchain_chatexports_key"
"""The job's metadata key for the key of its order."""

SOURCE_KEY = "langchain_chatexports_source"
"""The job's metadata key for the source of the examples."""

EXPORTS_KEY = "langchain_chatexports_exports"
"""The job's metadata key for the paths of the exports, one per line."""


# OpenAI's limits.
_MAX_SUFFIX_LENGTH, _MAX_METADATA_LENGTH = 64, 512
_MAX_LABEL_LENGTH = 100
_JOB_PREFIX, _ID_LENGTH = "ftjob-", 12
_NO_PROMPT = ChatPrompt(None)


@dataclass(frozen=True)
class Model:
    """A model that a request can name: a base, or a base with an adapter."""

    name: str
    """For a tuned model, `ft:<base>:local:<suffix>:<id>`."""

    folder: Path | None = None
    """The folder with the adapter in PEFT's format; `None` for a base."""

    created_at: float = 0.0
    """In Unix seconds."""

    base: str = ""
    """The base that its server must be started with."""

    base_model: str = ""
    """The short name of the base."""

    job_id: str = ""
    prompt: ChatPrompt = _NO_PROMPT
    """The system message and user label of its examples."""

    person: str | None = None
    source: str | None = None
    exports: tuple[Path, ...] = ()
    """The exports of its examples, if known."""

    label: str | None = None
    reply_tokens: int | None = None
    """The default token limit of its replies, from the person's replies."""

    replies: int | None = None
    """The number of the person's replies in its examples."""

    strength: float = 1.0
    """How much of the adapter is applied: 0 is the base, 1 as trained. Between them, a
    model is less like the person, and may make more sense."""

    @property
    def title(self) -> str:
        """The label, the person, or the short name."""
        return self.label or self.person or self.short_name

    @property
    def short_name(self) -> str:
        """The end of the name: `<suffix>:<id>`, or the id."""
        return self.name.split(":", 3)[-1].removeprefix(":")

    @property
    def size_bytes(self) -> int:
        """The size on disk."""
        files = self.folder.rglob("*") if self.folder else ()
        return sum(file.stat().st_size for file in files if file.is_file())

    def lookup_names(self) -> tuple[str, ...]:
        """Return the names that `Models.find` accepts."""
        forms = (
            self.name,
            *self.short_name.split(":"),
            self.short_name,
            self.job_id,
            self.job_id.removeprefix(_JOB_PREFIX),
            self.person or "",
            self.label or "",
        )
        return tuple(filter(None, forms))


class Models:
    """The tuned models of a data directory."""

    def __init__(self, data: DataDirectory, jobs: Jobs) -> None:
        self._data = data
        self._jobs = jobs

    def list(self) -> tuple[Model, ...]:
        """Return all models, newest first."""
        return self.of(self._jobs.list())

    def of(self, jobs: Sequence[Job]) -> tuple[Model, ...]:
        """Return the models of some jobs, newest first."""
        models = filter(None, map(self._read, jobs))
        return tuple(sorted(models, key=lambda model: -model.created_at))

    def find(self, name: str) -> Model:
        """Return the model with a name, or a unique prefix of one.

        Args:
            name: The name, suffix, id, job id, label or person of the model, or a
                prefix that matches no other model.

        Raises:
            NotFoundError: If no model matches.
            LocalServerError: If several match.
        """
        models = self.list()
        _, found = _match(models, name)
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f"{model.name} ({_day(model)})" for model in found)
            msg = f"{len(found)} models match {name!r}: {names}. Use an id."
            raise LocalServerError(msg)
        forms = NameIndex.of(form for model in models for form in model.lookup_names())
        names = ", ".join(model.name for model in models) or "none"
        msg = Sentence(
            "No model named {name} on this machine.{suggestion} Models: {names}.",
            name=repr(name),
            suggestion=forms.did_you_mean(name),
            names=names,
        )
        raise NotFoundError(msg)

    def match(self, name: str | None = None) -> tuple[Model, ...]:
        """Return one person's models that match a name, newest first; by default, all.

        Raises:
            NotFoundError: If no model matches.
            LocalServerError: If models of several people match.
        """
        models = self.list()
        if not models:
            msg = Sentence(
                "No tuned models on this machine. Train one: "
                "chatexports finetune PATH --ai NAME"
            )
            raise NotFoundError(msg)
        if name is None:
            return models
        is_full_name, found = _match(models, name)
        people = {model.person for model in found}
        if is_full_name or (len(people) == 1 and all(people)):
            return found
        return (self.find(name),)

    def rename(self, name: str, label: str) -> None:
        """Change the label of a model, but not its name in requests."""
        line = " ".join(label.split())
        kept = (c for c in line if unicodedata.category(c) not in {"Cc", "Cs"})
        printable = "".join(kept)
        if len(printable) > _MAX_LABEL_LENGTH:
            msg = f"A label can have at most {_MAX_LABEL_LENGTH} characters."
            raise LocalServerError(msg)
        self._jobs.rename_model(self._get(name).job_id, printable or None)

    def set_strength(self, name: str, strength: float) -> None:
        """Change the default strength of a model."""
        if not 0 <= strength <= 1:
            msg = "The strength must be from 0 (the base) to 1 (as trained)."
            raise LocalServerError(msg)
        self._jobs.set_strength(self._get(name).job_id, strength)

    def delete(self, name: str) -> None:
        """Delete a model with its job, and the examples that only it needs."""
        self._jobs.delete(self._get(name).job_id)

    def _get(self, name: str) -> Model:
        for model in self.list():
            if model.name == name:
                return model
        msg = f"No model named {name!r} on this machine. List them: chatexports models"
        raise NotFoundError(msg)

    def _read(self, job: Job) -> Model | None:
        folder = self._data.model_folder(job.id)
        if job.state is not State.SUCCEEDED or job.model is None or not folder.is_dir():
            return None
        labels, results = job.metadata, job.results
        exports = labels.get(EXPORTS_KEY, "").splitlines()
        return Model(
            name=job.model,
            folder=folder,
            created_at=job.finished_at or job.created_at,
            base=job.base,
            base_model=job.base_model,
            job_id=job.id,
            prompt=ChatPrompt(results.get("system_prompt"), results.get("user_label")),
            person=job.person,
            source=labels.get(SOURCE_KEY),
            exports=tuple(map(Path, exports)),
            label=job.label,
            reply_tokens=results.get("reply_tokens"),
            replies=results.get("replies"),
            strength=results.get("strength", 1.0),
        )


def _match(models: Sequence[Model], name: str) -> tuple[bool, tuple[Model, ...]]:
    """Return whether a name is a full one, and the models that it refers to."""
    index = NameIndex({model.name: model.lookup_names() for model in models})
    full = index.find_equal(name)
    found = full or index.find(name)
    return bool(full), tuple(model for model in models if model.name in found)


def tuned_model_name(job: Job) -> str:
    """Return the name of a job's model, with any text as its suffix."""
    model_id = job.id.removeprefix(_JOB_PREFIX)[:_ID_LENGTH]
    return str(TunedModelName(job.base_model, OWNER, name_suffix(job.suffix), model_id))


def name_suffix(text: str | None) -> str:
    """Convert text to a model name suffix: a-z, 0-9 and hyphens."""
    # Remove accents; letters of other scripts have no ASCII form.
    decomposed = unicodedata.normalize("NFKD", text or "").casefold()
    letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    slug = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
    return slug[:_MAX_SUFFIX_LENGTH].rstrip("-")


def job_labels(
    person: str | None, source: str, exports: Sequence[Path] = ()
) -> tuple[str | None, dict[str, str]]:
    """Return the suffix and metadata of a job."""
    suffix = name_suffix(person)
    # Digits alone may be a phone number.
    is_name = any(letter.isalpha() for letter in suffix)
    labels = {PERSON_KEY: person or "", SOURCE_KEY: source}
    paths = "\n".join(str(path.expanduser().absolute()) for path in exports)
    if len(paths) <= _MAX_METADATA_LENGTH:
        labels[EXPORTS_KEY] = paths
    metadata = {
        key: text[:_MAX_METADATA_LENGTH] for key, text in labels.items() if text
    }
    return suffix if is_name else None, metadata


def _day(model: Model) -> str:
    return f"{datetime.fromtimestamp(model.created_at, UTC):%Y-%m-%d}"

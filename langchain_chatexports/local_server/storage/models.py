"""Tuned models: names, records and adapters."""

import re
import secrets
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.finetuning.model_names import TunedModelName
from langchain_chatexports.local_server.storage.data_directory import (
    MODEL_ID,
    DataDirectory,
    read_json,
    write_json,
)

OWNER = "local"
"""The organization in the names of tuned models."""

PERSON_KEY = "langchain_chatexports_person"
"""The job's metadata key for the imitated person."""

SOURCE_KEY = "langchain_chatexports_source"
"""The job's metadata key for the source of the examples."""

EXPORTS_KEY = "langchain_chatexports_exports"
"""The job's metadata key for the paths of the exports, one per line."""

# OpenAI's limits.
_MAX_SUFFIX_LENGTH, _MAX_METADATA_LENGTH = 64, 512
_MAX_LABEL_LENGTH = 100
_JOB_PREFIX = "ftjob-"


@dataclass(frozen=True)
class TunedModel:
    """A tuned model on this machine."""

    name: str
    """The name in requests, `ft:<base>:local:<suffix>:<id>`."""

    base: str | None
    """The base that its server must be started with."""

    base_model: str
    """The short name of the base."""

    created_at: datetime
    job_id: str
    path: Path
    """The folder with the adapter in PEFT's format."""

    prompt: ChatPrompt
    """The system message and user label of its training examples."""

    person: str | None = None
    source: str | None = None
    exports: tuple[Path, ...] = ()
    """The exports of its examples, if known."""

    label: str | None = None
    reply_tokens: int | None = None
    """The default token limit of its replies, from the person's replies."""

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
        files = (file for file in self.path.rglob("*") if file.is_file())
        return sum(file.stat().st_size for file in files)

    def lookup_names(self) -> tuple[str, ...]:
        """Return the case-folded names that `find_model` accepts."""
        forms = (
            *self.short_name.split(":"),
            self.short_name,
            self.job_id,
            self.job_id.removeprefix(_JOB_PREFIX),
            self.person or "",
            self.label or "",
            self.name,
        )
        return tuple(form.casefold() for form in forms if form)


def list_models(data_dir: str | Path | None = None) -> list[TunedModel]:
    """Return the tuned models of a data directory, newest first.

    Args:
        data_dir: The directory; the default one if `None`.
    """
    data = DataDirectory(data_dir)
    if not data.models.is_dir():
        return []
    models = filter(None, map(_read_model, data.models.iterdir()))
    return sorted(models, key=lambda m: (-m.created_at.timestamp(), m.name))


def find_model(name: str, data_dir: str | Path | None = None) -> TunedModel:
    """Find a tuned model by one of its names, or a unique prefix of one.

    Args:
        name: The name, suffix, id, job id, label or person of the model, or a prefix
            that matches no other model.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If no model matches, or several do.
    """
    models = list_models(data_dir)
    query = name.strip().casefold()
    matches = [model for model in models if model.name == name]
    matches = matches or [model for model in models if query in model.lookup_names()]
    matches = matches or [
        model
        for model in models
        if query and any(form.startswith(query) for form in model.lookup_names())
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(f"{m.name} ({m.created_at:%Y-%m-%d})" for m in matches)
        msg = f"{len(matches)} models match {name!r}: {names}. Use an id."
        raise LocalServerError(msg)
    forms = NameIndex.of(form for m in models for form in m.lookup_names())
    suggestion = forms.did_you_mean(name)
    names = ", ".join(model.name for model in models) or "none"
    msg = f"No model named {name!r} on this machine.{suggestion} Models: {names}."
    raise LocalServerError(msg)


def rename_model(name: str, label: str, *, data_dir: str | Path | None = None) -> None:
    """Change the label of a tuned model, but not its name in requests."""
    line = " ".join(label.split())
    printable = "".join(c for c in line if unicodedata.category(c) not in {"Cc", "Cs"})
    if len(printable) > _MAX_LABEL_LENGTH:
        msg = f"A label can have at most {_MAX_LABEL_LENGTH} characters."
        raise LocalServerError(msg)
    models = {model.name: model.path for model in list_models(data_dir)}
    record = read_json(models[name] / "model.json") if name in models else None
    if record is None:
        msg = f"No tuned model named {name}. Models: {', '.join(models) or 'none'}."
        raise LocalServerError(msg)
    write_json(models[name] / "model.json", {**record, "label": printable or None})


def job_labels(
    person: str | None, source: str, exports: Sequence[Path] = ()
) -> tuple[str | None, dict[str, str]]:
    """Return the suffix and metadata of a job for the local server."""
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


def tuned_model_name(base_model: str, suffix: str | None, model_id: str) -> str:
    """Return the name of a tuned model, with any text as its suffix."""
    return str(TunedModelName(base_model, OWNER, name_suffix(suffix), model_id))


def name_suffix(text: str | None) -> str:
    """Convert text to a model name suffix: a-z, 0-9 and hyphens."""
    # Remove accents; letters of other scripts have no ASCII form.
    decomposed = unicodedata.normalize("NFKD", text or "").casefold()
    letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    slug = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
    return slug[:_MAX_SUFFIX_LENGTH].rstrip("-")


def new_model_id() -> str:
    """Return a new id for a tuned model."""
    return secrets.token_hex(6)


def _read_model(folder: Path) -> TunedModel | None:
    """Return the tuned model in a folder, if there is one."""
    if not MODEL_ID.fullmatch(folder.name) or folder.is_symlink():
        return None
    record = read_json(folder / "model.json")
    if record is None or record.get("id") != folder.name or not is_adapter(folder):
        return None
    return TunedModel(
        name=record["name"],
        base=record["base"],
        base_model=record["base_model"],
        created_at=datetime.fromtimestamp(record["created_at"], UTC),
        job_id=record["job_id"],
        path=folder,
        prompt=ChatPrompt(record.get("system_prompt"), record.get("user_label")),
        person=record.get("person"),
        source=record.get("source"),
        exports=tuple(map(Path, (record.get("exports") or "").splitlines())),
        label=record.get("label"),
        reply_tokens=record.get("reply_tokens"),
    )


def save_adapter(model: Any, folder: Path) -> None:
    """Save a PEFT adapter as safetensors, without PEFT's model card."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)


def is_adapter(folder: Path) -> bool:
    """Return whether a folder contains a safetensors adapter."""
    return all(
        (folder / name).is_file()
        for name in ("adapter_config.json", "adapter_model.safetensors")
    )

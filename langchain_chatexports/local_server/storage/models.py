"""Tuned models: their names, and the folders of their adapters."""

import re
import secrets
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from langchain_chatexports.chat_loaders.suggestions import did_you_mean
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
"""The job's metadata key for the person whose voice is learned."""

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
    """The name for requests, `ft:<base>:local:<suffix>:<id>`."""

    base: str | None
    """The base of its server; start the server with the same one."""

    base_model: str
    """The base's short name."""

    created_at: datetime
    job_id: str
    path: Path
    """The folder with the adapter in PEFT's format."""

    prompt: ChatPrompt
    """The form of its prompts, as in its training examples."""

    person: str | None = None
    source: str | None = None
    exports: tuple[Path, ...] = ()
    """The exports of its examples, if the examples include all of them."""

    label: str | None = None
    reply_tokens: int | None = None
    """The token limit of its answers, from the lengths of the person's."""

    @property
    def title(self) -> str:
        """Its label, its person, or its short name."""
        return self.label or self.person or self.short_name

    @property
    def short_name(self) -> str:
        """The end of its name that `find_model` finds: `<suffix>:<id>`, or the id."""
        return self.name.split(":", 3)[-1].removeprefix(":")

    @property
    def size_bytes(self) -> int:
        """Its size on disk."""
        files = (file for file in self.path.rglob("*") if file.is_file())
        return sum(file.stat().st_size for file in files)

    def short_forms(self) -> tuple[str, ...]:
        """Return its short names in lower case, such as suffix, id and label."""
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
    """Return the tuned model with a name, or with the beginning of one.

    Args:
        name: Its name, its suffix, its id, its job's id, its label or the person; or
            the beginning of one of these that no other model has.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If there is no such model, or several.
    """
    models = list_models(data_dir)
    asked = name.strip().casefold()
    found = [model for model in models if model.name == name]
    found = found or [model for model in models if asked in model.short_forms()]
    found = found or [
        model
        for model in models
        if asked and any(form.startswith(asked) for form in model.short_forms())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{m.name} ({m.created_at:%Y-%m-%d})" for m in found)
        msg = f"{len(found)} models match {name!r}: {listed}. Give its id."
        raise LocalServerError(msg)
    nearest = did_you_mean([name], {form for m in models for form in m.short_forms()})
    listed = ", ".join(model.name for model in models) or "none"
    msg = f"There is no model {name!r} on this machine.{nearest} Models: {listed}."
    raise LocalServerError(msg)


def rename_model(name: str, label: str, *, data_dir: str | Path | None = None) -> None:
    """Label a tuned model; its name in requests stays.

    A running server does not have to be stopped.
    """
    line = " ".join(label.split())
    plain = "".join(c for c in line if unicodedata.category(c) not in {"Cc", "Cs"})
    if len(plain) > _MAX_LABEL_LENGTH:
        msg = f"A label has {_MAX_LABEL_LENGTH} characters at most."
        raise LocalServerError(msg)
    models = {model.name: model.path for model in list_models(data_dir)}
    record = read_json(models[name] / "model.json") if name in models else None
    if record is None:
        msg = f"There is no tuned model {name}. Models: {', '.join(models) or 'none'}."
        raise LocalServerError(msg)
    write_json(models[name] / "model.json", {**record, "label": plain or None})


def names_of_job(
    person: str | None, source: str, exports: Sequence[Path] = ()
) -> tuple[str | None, dict[str, str]]:
    """Return the suffix and the metadata of a job on this machine."""
    suffix = name_suffix(person)
    # Digits alone are not a name, and may be a phone number.
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
    """Return the name of a tuned model; any text can be a suffix."""
    return str(TunedModelName(base_model, OWNER, name_suffix(suffix), model_id))


def name_suffix(text: str | None) -> str:
    """Return a text as the suffix of a model's name: a-z, 0-9 and hyphens."""
    # Accents are removed; letters of other scripts have no ASCII form.
    plain = unicodedata.normalize("NFKD", text or "").casefold()
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    slug = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
    return slug[:_MAX_SUFFIX_LENGTH].rstrip("-")


def new_model_id() -> str:
    """Return a new id, the last part of a tuned model's name."""
    return secrets.token_hex(6)


def _read_model(folder: Path) -> TunedModel | None:
    """Return the model in a folder; `None` if it has none of ours."""
    if not MODEL_ID.fullmatch(folder.name) or folder.is_symlink():
        return None
    record = read_json(folder / "model.json")
    if record is None or record.get("id") != folder.name or not is_adapter(folder):
        return None
    return TunedModel(
        name=record["name"],
        base=record["base"],
        base_model=record["base_model"],
        created_at=datetime.fromtimestamp(record["created_at"], timezone.utc),
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
    """Return whether a folder contains an adapter in safetensors."""
    return all(
        (folder / name).is_file()
        for name in ("adapter_config.json", "adapter_model.safetensors")
    )

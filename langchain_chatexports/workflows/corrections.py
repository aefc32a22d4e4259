"""Where corrections are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from langchain_chatexports.chat_loaders.names import NameIndex, name_key
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.local_server import Model, Workspace
from langchain_chatexports.personas import Correction, Corrections
from langchain_chatexports.retrieval.index_files import index_folder

_FILE, _FOLDER = "corrections.jsonl", "corrections"


def open_corrections(
    person: str, models: Sequence[Model] = (), index_dir: Path | None = None
) -> Corrections:
    """Return the corrections of a person: of these models, and those without a model.

    New ones are kept with the first model, or beside the search indexes.
    """
    files = [model.folder / _FILE for model in models if model.folder]
    if person or not files:
        with suppress(MissingExtraError):  # Without it, they are kept in memory.
            name = sha256(name_key(person).encode("utf-8", "replace")).hexdigest()
            files.append(index_folder(index_dir) / _FOLDER / f"{name[:24]}.jsonl")
    target = files[0] if files else None
    return Corrections(
        target, person=person, others=files[1:], creates_folder=not models
    )


def person_models(workspace: Workspace, person: str) -> list[Model]:
    """Return the models of a person, newest first."""
    key = name_key(person)
    models = workspace.models.list()
    return [model for model in models if name_key(model.person or "") == key]


def count_corrections(model: Model) -> int:
    """Return the number of corrections of a model's replies."""
    return len(Corrections(model.folder / _FILE)) if model.folder else 0


def person_corrections(index_dir: Path | None) -> dict[Path, list[Correction]]:
    """Return the corrections of people without a model, by file."""
    files = sorted((index_folder(index_dir) / _FOLDER).glob("*.jsonl"))
    return {file: [*Corrections(file)] for file in files}


def delete_person_corrections(
    index_dir: Path | None, people: Collection[str] | None = None
) -> int:
    """Delete the corrections of people without a model, and return their number.

    Args:
        index_dir: The folder of search indexes; `None` for the default.
        people: The names, in any spelling; `None` for everyone.
    """
    deleted = 0
    for file, corrections in person_corrections(index_dir).items():
        index = NameIndex.of(each.person for each in corrections)
        # Whose a damaged file is, nobody can tell.
        if people is None or not corrections or any(map(index.find_spellings, people)):
            deleted += len(corrections)
            file.unlink(missing_ok=True)
            file.with_suffix(".lock").unlink(missing_ok=True)
    return deleted

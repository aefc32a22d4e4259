"""Models, jobs, examples and indexes on this machine: list, rename, export, delete."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage import deletion
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    cache_folders,
    default_data_dir,
)
from langchain_chatexports.local_server.storage.data_directory import (
    RunningServer as RunningServer,
)
from langchain_chatexports.local_server.storage.data_directory import (
    find_running_server as find_running_server,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json as read_json,
)
from langchain_chatexports.local_server.storage.files import ExampleFile as ExampleFile
from langchain_chatexports.local_server.storage.files import list_example_files
from langchain_chatexports.local_server.storage.jobs import LocalJob as LocalJob
from langchain_chatexports.local_server.storage.jobs import list_jobs as list_jobs
from langchain_chatexports.local_server.storage.jobs import stop_job as stop_job
from langchain_chatexports.local_server.storage.models import TunedModel as TunedModel
from langchain_chatexports.local_server.storage.models import (
    find_model,
    list_models,
    rename_model,
)
from langchain_chatexports.retrieval import index_files
from langchain_chatexports.workflows.bases import DownloadedBase, list_downloaded_bases

NOT_DELETED = deletion.NOT_DELETED
rename = rename_model
delete = deletion.delete_data
MAX_LABEL_LENGTH = 100


@dataclass(frozen=True)
class LocalData:
    """The models, jobs, examples, indexes and bases on this machine, newest first."""

    models: list[TunedModel]
    jobs: list[LocalJob]
    sets: list[ExampleFile]
    indexes: list[Path]
    """Search indexes, which contain message text."""

    bases: list[DownloadedBase]
    """Base models from the hub, shared with other programs."""

    data_dir: Path
    size_bytes: int

    @property
    def cache_bytes(self) -> int:
        """The size of the cache of converted base models."""
        paths = (path for folder in cache_folders() for path in folder.rglob("*"))
        return sum(path.stat().st_size for path in paths if path.is_file())

    @property
    def jobs_without_model(self) -> list[LocalJob]:
        """The jobs that have no model."""
        finished_ids = {model.job_id for model in self.models}
        return [job for job in self.jobs if job.id not in finished_ids]

    @property
    def unused_sets(self) -> list[ExampleFile]:
        """The files of examples that no job used."""
        return [file for file in self.sets if not file.job_ids]

    def __str__(self) -> str:
        """Return the counts and the size as text."""
        parts = (
            plural(len(self.models), "model"),
            plural(len(self.jobs), "job"),
            plural(len(self.sets), "file of examples", "files of examples"),
            plural(len(self.indexes), "search index", "search indexes"),
        )
        return f"{', '.join(parts)}: {self.size_bytes / 1e6:,.1f} MB"


def list_data(
    data_dir: str | Path | None = None, index_dir: Path | None = None
) -> LocalData:
    """Return all models, jobs, examples, search indexes and bases on this machine.

    Raises:
        LocalServerError: If `data_dir` is not the data directory of a local server.
    """
    deletion.count_data(data_dir)  # Raises an error for an unrelated folder.
    models = list_models(data_dir)
    sets = list_example_files(data_dir)
    indexes = index_files.index_files(index_dir)
    return LocalData(
        models,
        list_jobs(data_dir),
        sets,
        indexes,
        list_downloaded_bases(),
        Path(data_dir or default_data_dir()),
        sum(model.size_bytes for model in models)
        + sum(file.size_bytes for file in sets)
        + sum(path.stat().st_size for path in indexes),
    )


def page_file(data_dir: str | Path | None = None) -> Path:
    """Return the path of the file with the page's port and key, creating its folder."""
    data = DataDirectory(data_dir)
    data.prepare()
    return data.page


def find_tuned_model(
    name: str | None, data_dir: str | Path | None = None
) -> TunedModel:
    """Return the newest tuned model whose name matches or starts with `name`."""
    return match_models(name, data_dir)[0]


def match_models(
    name: str | None, data_dir: str | Path | None = None
) -> list[TunedModel]:
    """Return the tuned models whose name starts with or equals `name`, newest first."""
    models = list_models(data_dir)
    if not models:
        msg = (
            "No tuned models on this machine. Train one: "
            "chatexports finetune PATH --ai NAME"
        )
        raise LocalServerError(msg)
    if name is None:
        return models[:1]
    index = NameIndex({m.name: (m.name, *m.lookup_names()) for m in models})
    full_names = index.find_equal(name)
    matches = [m for m in models if m.name in (full_names or index.find(name))]
    people = {model.person for model in matches}
    if full_names or (len(people) == 1 and all(people)):
        return matches
    return [find_model(name, data_dir)]  # Raises an error.


def resolve_name(name: str, data_dir: str | Path | None = None) -> str:
    """Return the full name of the model, job or examples to delete."""
    if name in {file.id for file in list_example_files(data_dir)}:
        return name
    # The id of a finished job refers to its model.
    models = list_models(data_dir)
    if name.startswith("ftjob-") and name not in {model.job_id for model in models}:
        return find_job(name, data_dir)
    return find_model(name, data_dir).name


def find_job(name: str, data_dir: str | Path | None = None) -> str:
    """Return the id of a job; raise an error if it does not exist."""
    if name in {job.id for job in list_jobs(data_dir)}:
        return name
    msg = f"No job {name} on this machine. List the jobs: chatexports models"
    raise LocalServerError(msg)


def delete_everything(
    data_dir: str | Path | None = None, index_dir: Path | None = None
) -> LocalData:
    """Delete all models, jobs, examples, search indexes and converted base models.

    Returns:
        The deleted data.
    """
    deleted_data = list_data(data_dir, index_dir)
    deletion.delete_everything(data_dir)
    index_files.delete_indexes(index_dir)
    for folder in cache_folders():
        # On Windows, files in use by another server cannot be deleted.
        shutil.rmtree(folder, ignore_errors=True)
    return deleted_data


def export_model(
    name: str, folder: Path, *, data_dir: str | Path | None = None, gguf: bool = False
) -> tuple[Path, list[str]]:
    """Merge a tuned model into its base, for other programs.

    Args:
        name: The model's name.
        folder: The folder to write, which must not exist.
        data_dir: The directory of models; `None` for the default.
        gguf: Whether to write GGUF for Ollama and llama.cpp, instead of safetensors for
            transformers and vLLM.

    Returns:
        The folder, and lines that explain how to use it.
    """
    from langchain_chatexports.local_server.export import export_model as export
    from langchain_chatexports.local_server.export import usage_instructions

    path = export(name, folder, data_dir=data_dir, gguf=gguf)
    return path, [*usage_instructions(path, gguf=gguf)]

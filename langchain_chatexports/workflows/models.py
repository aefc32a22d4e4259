"""Models, jobs, examples and indexes on this machine: list, rename, export, delete."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.suggestions import plain_name
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage import deletion
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    caches,
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
from langchain_chatexports.local_server.storage.files import KeptSet as KeptSet
from langchain_chatexports.local_server.storage.files import list_sets
from langchain_chatexports.local_server.storage.jobs import KeptJob as KeptJob
from langchain_chatexports.local_server.storage.jobs import list_jobs as list_jobs
from langchain_chatexports.local_server.storage.jobs import stop_job as stop_job
from langchain_chatexports.local_server.storage.models import TunedModel as TunedModel
from langchain_chatexports.local_server.storage.models import (
    find_model,
    list_models,
    rename_model,
)
from langchain_chatexports.retrieval import index_files
from langchain_chatexports.workflows.bases import DownloadedBase, downloaded_bases

NOT_DELETED = deletion.NOT_DELETED
rename = rename_model
delete = deletion.delete_kept
MAX_LABEL_LENGTH = 100


@dataclass(frozen=True)
class LocalData:
    """The models, jobs, examples, indexes and bases on this machine, newest first."""

    models: list[TunedModel]
    jobs: list[KeptJob]
    sets: list[KeptSet]
    indexes: list[Path]
    """Search indexes, which are copies of exports."""

    bases: list[DownloadedBase]
    """Base models from the hub, which other programs may use, too."""

    data_dir: Path
    size_bytes: int

    @property
    def cache_bytes(self) -> int:
        """The size of converted base models now; they are made again when needed."""
        paths = (path for folder in caches() for path in folder.rglob("*"))
        return sum(path.stat().st_size for path in paths if path.is_file())

    @property
    def jobs_without_model(self) -> list[KeptJob]:
        """The jobs without a model."""
        made = {model.job_id for model in self.models}
        return [job for job in self.jobs if job.id not in made]

    @property
    def unused_sets(self) -> list[KeptSet]:
        """The examples that no job used."""
        return [one for one in self.sets if not one.job_ids]

    def __str__(self) -> str:
        """Return the counts and the size as text."""
        parts = (
            plural(len(self.models), "model"),
            plural(len(self.jobs), "job"),
            plural(len(self.sets), "file of examples", "files of examples"),
            plural(len(self.indexes), "search index", "search indexes"),
        )
        return f"{', '.join(parts)}: {self.size_bytes / 1e6:,.1f} MB"


def kept(
    data_dir: str | Path | None = None, index_dir: Path | None = None
) -> LocalData:
    """Return all models, jobs, examples, search indexes and bases on this machine.

    Raises:
        LocalServerError: If `data_dir` is not the data directory of a local server.
    """
    deletion.count_data(data_dir)  # Raises an error for other folders.
    models = list_models(data_dir)
    sets = list_sets(data_dir)
    indexes = index_files.index_files(index_dir)
    return LocalData(
        models,
        list_jobs(data_dir),
        sets,
        indexes,
        downloaded_bases(),
        Path(data_dir or default_data_dir()),
        sum(model.size_bytes for model in models)
        + sum(one.size_bytes for one in sets)
        + sum(path.stat().st_size for path in indexes),
    )


def page_file(data_dir: str | Path | None = None) -> Path:
    """Return the path of the page's port and key; the folder is created."""
    data = DataDirectory(data_dir)
    data.prepare()
    return data.page


def find_tuned(name: str | None, data_dir: str | Path | None = None) -> TunedModel:
    """Return the newest tuned model with a name, or with the beginning of one."""
    return models_named(name, data_dir)[0]


def models_named(
    name: str | None, data_dir: str | Path | None = None
) -> list[TunedModel]:
    """Return the tuned models with a name or the beginning of one, newest first."""
    models = list_models(data_dir)
    if not models:
        msg = (
            "There is no tuned model on this machine. Train one: "
            "chatexports finetune PATH --ai NAME"
        )
        raise LocalServerError(msg)
    if name is None:
        return models[:1]
    asked = plain_name(name)
    forms = {model.name: [*map(plain_name, model.short_forms())] for model in models}
    exact = [m for m in models if m.name == name or asked in forms[m.name]]
    begun = [m for m in models if any(f.startswith(asked) for f in forms[m.name])]
    is_one_person = len({m.person for m in begun}) == 1 and begun[0].person
    if exact or is_one_person:
        return exact or begun
    return [find_model(name, data_dir)]  # Raises an error.


def name_to_delete(name: str, data_dir: str | Path | None = None) -> str:
    """Return the full name of a model, a job or examples to delete."""
    if name in {one.id for one in list_sets(data_dir)}:
        return name
    # The name of a job with a model means the model.
    models = list_models(data_dir)
    if name.startswith("ftjob-") and name not in {model.job_id for model in models}:
        return job_named(name, data_dir)
    return find_model(name, data_dir).name


def job_named(name: str, data_dir: str | Path | None = None) -> str:
    """Return the id of an existing job."""
    if name in {job.id for job in list_jobs(data_dir)}:
        return name
    msg = f"There is no job {name}. The jobs of this machine: chatexports models"
    raise LocalServerError(msg)


def delete_everything(
    data_dir: str | Path | None = None, index_dir: Path | None = None
) -> LocalData:
    """Delete all models, jobs, examples, search indexes and converted base models.

    Returns:
        The deleted data.
    """
    deleted = kept(data_dir, index_dir)
    deletion.delete_everything(data_dir)
    index_files.delete_indexes(index_dir)
    for folder in caches():
        # A server of another data directory may use some, which stay on Windows.
        shutil.rmtree(folder, ignore_errors=True)
    return deleted


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
        The folder, and lines with instructions for its use.
    """
    from langchain_chatexports.local_server.export import export_model as export
    from langchain_chatexports.local_server.export import how_to_run

    written = export(name, folder, data_dir=data_dir, gguf=gguf)
    return written, [*how_to_run(written, gguf=gguf)]

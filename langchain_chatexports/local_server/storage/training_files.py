"""What a tuned model was trained on, as long as its upload is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.json_lines import read_examples

if TYPE_CHECKING:
    from langchain_chatexports.local_server.storage.models import TunedModel

__all__ = ["training_examples"]


def training_examples(model: TunedModel) -> list[dict[str, Any]]:
    """Return the examples that a model was trained on.

    They are kept with the model, and deleted with it.

    Args:
        model: The model.

    Returns:
        The examples; none if they were deleted, or have expired.
    """
    data = DataDirectory(model.path.parent.parent)
    if not (data.jobs.is_dir() and data.files.is_dir()):
        return []
    job = JobStore(data).get(model.job_id)
    files = FileStore(data)
    if job is None or files.get(job["training_file"]) is None:
        return []
    return list(read_examples(files.path(job["training_file"])))

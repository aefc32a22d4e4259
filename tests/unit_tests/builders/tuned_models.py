"""Tuned models, jobs and uploads in a data directory, without training."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    write_json,
)
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.models import tuned_model_name
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

Talk = Sequence[tuple[str, str]]


def write_model(root: Path, model_id: str, *, mark: str = "", **record: Any) -> str:
    """Write an upload, its job and its model; return the model's name."""
    data = DataDirectory(root)
    data.prepare()
    upload = io.BytesIO(as_jsonl(dialogues(mark=mark)))
    file = FileStore(data).create(upload, filename="train.jsonl")
    job_record = {"training_file": file["id"], "validation_file": None, "metadata": {}}
    job = JobStore(data).create(job_record)
    return write_adapter(data, model_id, mark=mark, job_id=job["id"], **record)


def write_adapter(
    data: DataDirectory,
    model_id: str,
    *,
    mark: str = "",
    suffix: str = "",
    **record: Any,
) -> str:
    """Write a model that can be listed and deleted, but not used; return its name."""
    folder = data.models / model_id
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_text(f"weights of {mark}")
    name = tuned_model_name("tiny", suffix, model_id)
    common = {
        "id": model_id,
        "name": name,
        "base": None,
        "base_model": "tiny",
        "created_at": 1_700_000_000 + int(model_id, 16) % 1000,
    }
    write_json(folder / "model.json", {**common, **record})
    return name


def write_tuned_model(
    data: DataDirectory,
    training: Sequence[Talk],
    held_out: Sequence[Talk],
    **record: Any,
) -> str:
    """Write a job with training and held-out talks, and its model; return its name.

    A talk is a list of messages with their answers.
    """
    job_record: dict[str, Any] = {"metadata": {}}
    for key, talks in (("training_file", training), ("validation_file", held_out)):
        upload = io.BytesIO(as_jsonl([_example(talk) for talk in talks]))
        job_record[key] = (
            FileStore(data).create(upload, filename=key)["id"] if talks else None
        )
    job = JobStore(data).create(job_record)
    return write_adapter(data, "1" * 12, job_id=job["id"], **record)


def _example(talk: Talk) -> dict[str, Any]:
    messages = []
    for message, answer in talk:
        messages.append({"role": "user", "content": message})
        messages.append({"role": "assistant", "content": answer})
    return {"messages": messages}

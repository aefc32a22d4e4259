"""A data directory as a local server leaves it, without any training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.local_server.files import FileStore
from langchain_chatexports.local_server.jobs import JobStore
from langchain_chatexports.local_server.storage import DataDirectory, write_json
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

if TYPE_CHECKING:
    from pathlib import Path


def keep_model(root: Path, model_id: str, *, mark: str = "") -> str:
    """Write an upload, its job and its model; give the model's name."""
    import io

    data = DataDirectory(root)
    data.prepare()
    upload = io.BytesIO(as_jsonl(dialogues(mark=mark)))
    file = FileStore(data).create(upload, filename="train.jsonl")
    name = f"ft:tiny:local::{model_id}"
    job = JobStore(data).create(
        {"training_file": file["id"], "fine_tuned_model": name, "metadata": {}},
        private={},
        events=[],
    )
    folder = data.models / model_id
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_text(f"weights of {mark}")
    record = {
        "id": model_id,
        "name": name,
        "base": None,
        "base_model": "tiny",
        "signature": "",
        "created_at": 1_700_000_000 + int(model_id, 16),
        "job_id": job["id"],
    }
    write_json(folder / "model.json", record)
    return name

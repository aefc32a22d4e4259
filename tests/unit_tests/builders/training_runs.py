"""Training runs in this process, without a server or a queue."""

import warnings
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.training.old_trainer import TrainingSpec, train
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues


def training_spec(
    folder: Path,
    base: Path,
    *,
    epochs: int = 1,
    batch_size: int = 1,
    rate: float = 1.0,
    **changes: Any,
) -> TrainingSpec:
    """Create a job in `folder/data` that writes its model to `folder/model`."""
    data = DataDirectory(folder / "data")
    data.prepare()
    jobs = JobStore(data)
    job_id = jobs.create({})["id"]
    jobs.folder(job_id).mkdir()
    file = folder / "train.jsonl"
    if not file.exists():
        file.write_bytes(as_jsonl(dialogues()))
    settings = {
        "data_dir": str(data.root),
        "job_id": job_id,
        "base_directory": str(base),
        "training_file": str(file),
        "validation_file": None,
        "hyperparameters": {
            "n_epochs": epochs,
            "batch_size": batch_size,
            "learning_rate_multiplier": rate,
        },
        "seed": 2**60,
        "max_length": 100,
        "dtype": "float32",
        "model_folder": str(folder / "model"),
        "model_record": {},
    }
    return TrainingSpec(**{**settings, **changes})


def run_training(spec: TrainingSpec) -> None:
    """Run the trainer's code in this process."""
    with warnings.catch_warnings():
        # PEFT and TRL use attributes that transformers deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        train(spec)


def read_events(spec: TrainingSpec) -> list[dict[str, Any]]:
    """Return the events of a training run, oldest first."""
    return JobStore(DataDirectory(spec.data_dir)).events(spec.job_id)

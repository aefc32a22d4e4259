"""Trainings without a server: what the queue would tell a trainer."""

import warnings
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.training.trainer import TrainingSpec, train
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues


def training_spec(folder: Path, base: Path, **changes: Any) -> TrainingSpec:
    """Create a job in `folder/data` that writes its model to `folder/model`."""
    data = DataDirectory(folder / "data")
    data.prepare()
    jobs = JobStore(data)
    job_id = jobs.create({}, private={}, events=[])["id"]
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
            "n_epochs": 1,
            "batch_size": 4,
            "learning_rate_multiplier": 1.0,
        },
        "seed": 2**60,
        "max_length": 100,
        "dtype": "float32",
        "model_folder": str(folder / "model"),
        "model_record": {},
    }
    return TrainingSpec(**{**settings, **changes})


def run_training(spec: TrainingSpec, **options: Any) -> None:
    """Train in this process: the same code as the trainer's, without its start."""
    with warnings.catch_warnings():
        # PEFT and TRL ask for attributes that transformers is about to drop.
        warnings.simplefilter("ignore", FutureWarning)
        train(spec, **options)


def events_of(spec: TrainingSpec) -> list[dict[str, Any]]:
    """Return the events of a training, oldest first."""
    return JobStore(DataDirectory(spec.data_dir)).events(spec.job_id)

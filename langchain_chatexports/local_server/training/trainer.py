"""The trainer: a process of its own that turns one job into one adapter.

It reads its order as JSON from standard input, appends events to the job's log, and
ends in one of two ways: the folder of the tuned model appears by one rename, or
`failure.json` says in a sentence why not. Killed at any moment it leaves neither.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
import time
import traceback
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.storage.data_directory import (
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.events import EventLog
from langchain_chatexports.local_server.storage.locks import ProcessLock
from langchain_chatexports.local_server.storage.training_files import (
    JsonLinesError,
    read_examples,
)
from langchain_chatexports.local_server.training.checkpoints import Checkpoints
from langchain_chatexports.local_server.training.dataset import (
    DatasetReport,
    label_examples,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    learning_rate,
)
from langchain_chatexports.local_server.training.labels import ChatTemplate

__all__ = ["ALREADY_TRAINING", "TrainingOrder", "main", "train"]

ALREADY_TRAINING = 75
"""Exit code of a trainer that finds another one at its job."""

_NICENESS = 5
_RANK = 16
_WARMUP_RATIO = 0.05


@dataclass(frozen=True)
class TrainingOrder:
    """Everything that a trainer is told; times and paths as JSON types."""

    job_folder: str
    base_directory: str
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, Any]
    seed: int
    max_length: int
    stops_early: bool
    """Whether a validation loss that no longer falls ends the training."""

    model_folder: str
    """Where the tuned model appears."""

    model_record: dict[str, Any]
    """What its `model.json` says, beside what the trainer adds."""

    dtype: str | None = None
    """The base's precision, the same one each time that the job is taken up; the
    fastest here if `None`."""

    def to_json(self) -> bytes:
        """Return the order as the trainer reads it."""
        return json.dumps(asdict(self)).encode("ascii")


class TrainingError(Exception):
    """The job cannot end in a model; the text is for the person who ordered it."""

    def __init__(self, message: str, *, code: str, param: str) -> None:
        """Build the error from a sentence, its code, and what is to blame."""
        super().__init__(message)
        self.code = code
        self.param = param


def main() -> None:
    """Train what standard input asks for."""
    os.umask(0o077)
    logging.disable(logging.WARNING)
    order = TrainingOrder(**json.loads(sys.stdin.buffer.read()))
    folder = Path(order.job_folder)
    lock = ProcessLock(folder / "trainer.lock")
    if not lock.acquire():
        raise SystemExit(ALREADY_TRAINING)
    (folder / "trainer.pid").write_text(str(os.getpid()), encoding="ascii")
    if hasattr(os, "nice"):
        # Chats come before training.
        os.nice(_NICENESS)
    try:
        train(order)
    except Exception as error:  # noqa: BLE001 - every failure becomes a sentence.
        _write_failure(folder, error)
        raise SystemExit(1) from None
    finally:
        lock.release()


def train(order: TrainingOrder) -> None:
    """Train one job in this process.

    Raises:
        TrainingError: If its data is gone or cannot be used.
    """
    # Before the libraries, whose imports take seconds: a file may be gone.
    examples = {"training_file": _read(order.training_file, "training_file")}
    if order.validation_file is not None:
        examples["validation_file"] = _read(order.validation_file, "validation_file")
    from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
    from langchain_chatexports.local_server.training.progress import (
        ProgressWriter,
        last_saved,
    )

    tokenizer, _ = load_tokenizer(Path(order.base_directory))
    template = ChatTemplate(tokenizer)
    labelled = {
        param: _label(order, template, read, param) for param, read in examples.items()
    }
    data, held_out = labelled["training_file"], labelled.get("validation_file")
    work = Path(order.job_folder) / "work"
    saved = last_saved(work)
    if saved is None:
        shutil.rmtree(work / "trainer", ignore_errors=True)
        shutil.rmtree(work / "checkpoints", ignore_errors=True)
    checkpoints = Checkpoints(
        work / "checkpoints",
        by_validation=order.stops_early and held_out is not None,
    )
    progress = ProgressWriter(
        EventLog(Path(order.job_folder) / "events.jsonl"),
        checkpoints=checkpoints,
        holds_back=held_out is not None,
    )
    trainer = _build_trainer(order, tokenizer, data, held_out)
    for callback in list(trainer.callback_handler.callbacks):
        # They print.
        if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
            trainer.remove_callback(callback)
    trainer.add_callback(progress)
    trainer.train(resume_from_checkpoint=None if saved is None else str(saved))
    epochs = round(trainer.state.epoch)
    _publish(order, checkpoints, tokenizer, data.tokens * epochs)


def _read(path: str, param: str) -> list[dict[str, Any]]:
    try:
        return list(read_examples(path))
    except FileNotFoundError as error:
        msg = f"The {param.replace('_', ' ')} was deleted before the job could use it."
        raise TrainingError(msg, code="file_deleted", param=param) from error
    except JsonLinesError as error:
        raise TrainingError(str(error), code="invalid_file", param=param) from error


def _label(
    order: TrainingOrder,
    template: ChatTemplate,
    examples: list[dict[str, Any]],
    param: str,
) -> DatasetReport:
    report = label_examples(examples, template, max_length=order.max_length)
    if not report.examples:
        msg = f"The {param.replace('_', ' ')} holds nothing that can be learned."
        raise TrainingError(msg, code="invalid_file", param=param)
    return report


def _checkpointing_field(config: Any) -> str:
    # TRL renamed it; the releases for Python 3.10 have the old name only.
    names = {field.name for field in fields(config)}
    new, old = "activation_checkpointing", "gradient_checkpointing"
    return new if new in names else old


def _build_trainer(
    order: TrainingOrder,
    tokenizer: Any,
    data: DatasetReport,
    held_out: DatasetReport | None,
) -> Any:
    import torch
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from langchain_chatexports.local_server.bases.devices import choose_device
    from langchain_chatexports.local_server.bases.weights import load_base, uses_4_bits

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    device = choose_device()
    base = Path(order.base_directory)
    model = load_base(base, device, order.dtype)
    numbers = Hyperparameters(**order.hyperparameters)
    steps = numbers.steps(len(data.examples))
    arguments = SFTConfig(
        output_dir=str(Path(order.job_folder) / "work" / "trainer"),
        per_device_train_batch_size=numbers.batch_size,
        per_device_eval_batch_size=1,
        num_train_epochs=numbers.n_epochs,
        learning_rate=learning_rate(
            numbers, parameters=model.num_parameters(), steps=steps
        ),
        lr_scheduler_type="cosine",
        warmup_steps=_WARMUP_RATIO,
        # NumPy takes 32 bits.
        seed=order.seed % 2**32,
        bf16=False,
        # Memory is short where the weights have 4 bits.
        **{_checkpointing_field(SFTConfig): uses_4_bits(base, device)},
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        eval_strategy="no" if held_out is None else "epoch",
        # The progress writer asks for a save every now and then. Two are kept: a
        # trainer that is killed while it saves goes on from the one before.
        save_strategy="no",
        save_total_limit=2,
        logging_steps=1,
        disable_tqdm=True,
        report_to=[],
        # The examples are labelled already. TRL's own preparation would also write
        # them into files for temporary use.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )
    return SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=_as_dataset(data),
        eval_dataset=None if held_out is None else _as_dataset(held_out),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=_RANK,
            lora_alpha=2 * _RANK,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )


def _as_dataset(report: DatasetReport) -> Any:
    from datasets import Dataset

    columns = {
        "input_ids": [example.input_ids for example in report.examples],
        "labels": [example.labels for example in report.examples],
    }
    return Dataset.from_dict(columns)


def _publish(
    order: TrainingOrder, checkpoints: Checkpoints, tokenizer: Any, tokens: int
) -> None:
    beside = Path(order.job_folder) / "work" / "model"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    tokenizer.save_pretrained(beside)
    record = {
        **order.model_record,
        "checkpoints": checkpoints.publish(beside),
        "created_at": int(time.time()),
        "trained_tokens": tokens,
    }
    write_json(beside / "model.json", record)
    replace(beside, Path(order.model_folder))


def _write_failure(folder: Path, error: Exception) -> None:
    failure: dict[str, Any]
    if isinstance(error, TrainingError):
        failure = {"code": error.code, "message": str(error), "param": error.param}
    else:
        code, message = _explain(error)
        failure = {"code": code, "message": message, "param": None}
    # Frames, but no message and no source: an exception may quote what it failed on.
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    try:
        write_json(folder / "failure.json", {**failure, "frames": frames})
    except OSError:
        # A full disk: the server says what the exit code says.
        raise SystemExit(errno.ENOSPC) from None


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full", (
            "The disk with the data directory is full; a job needs about 100 MB, more "
            "for larger base models. Free some space and start the job again."
        )
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "out_of_memory", (
            "The memory did not suffice for training. Close other programs, use "
            "shorter dialogues or batch_size 1, or take a smaller base model."
        )
    if isinstance(error, OSError):
        return "base_unreadable", (
            f"The base model could not be read ({type(error).__name__}); "
            "check that its directory is still there and complete."
        )
    kind = type(error).__name__
    return "training_failed", f"Training ended with {kind}; see failure.json."

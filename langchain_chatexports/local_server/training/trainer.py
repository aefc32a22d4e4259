"""The trainer: a child process that trains the adapter of one job.

It reads a `TrainingSpec` as a line of JSON from standard input, and ends immediately
when that is closed, which means that its server ended. After the line `STOP` it saves
first. It writes events to the database, and finally renames the tuned model's folder to
its place, or prints an error.
"""

import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports._tokens import reply_token_limit
from langchain_chatexports.datasets.chat_prompts import common_prompt
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    LabeledDataset,
    label_examples,
    load_tokenizer,
)
from langchain_chatexports.local_server.processes import frames_of, take_output
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.database import is_disk_full
from langchain_chatexports.local_server.storage.files import read_examples
from langchain_chatexports.local_server.storage.jobs import JobStore, last_saved
from langchain_chatexports.local_server.storage.models import save_adapter
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    learning_rate,
    lora_config,
)

if TYPE_CHECKING:  # Imports torch.
    from langchain_chatexports.local_server.training.progress import ProgressWriter

STOP = "stop"
"""The line on standard input to save and end the training."""

DISK_FULL = (
    "The disk with the data directory is full. Free some space, and continue the "
    "training: its last save is kept."
)

# The texts of Rust, C and PyTorch.
_FULL_TEXTS = ("os error 28", "No space left", "file write failed")
_STOPPED = 128 + signal.SIGTERM
_NICENESS = 5
_WARMUP_RATIO = 0.05
_LOCK_SECONDS = 60.0
_SAVES = 2


@dataclass(frozen=True)
class TrainingSpec:
    """The settings of a training, in JSON types."""

    data_dir: str
    job_id: str
    base_directory: str
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, Any]
    seed: int
    max_length: int
    model_folder: str
    """The folder of the tuned model."""

    model_record: dict[str, Any]
    """The fields of its `model.json`, to be completed by the trainer."""

    dtype: str | None = None
    """The base's precision; the fastest one if `None`."""

    @property
    def folder(self) -> Path:
        """The folder of the job's saves."""
        return Path(self.data_dir) / "jobs" / self.job_id


def main() -> None:
    """Train the job on standard input."""
    os.umask(0o077)
    logging.disable(logging.WARNING)
    report = take_output()
    spec = TrainingSpec(**json.loads(sys.stdin.buffer.readline()))
    running: list[ProgressWriter] = []
    threading.Thread(target=_listen, args=(running,), daemon=True).start()
    # The trainer of a killed server may not have ended yet.
    lock = ProcessLock(spec.folder / "trainer.lock")
    if not lock.acquire(timeout=_LOCK_SECONDS):
        raise SystemExit(_STOPPED)
    if hasattr(os, "nice"):
        # Chats have priority.
        os.nice(_NICENESS)
    from langchain_chatexports.local_server.training.progress import StoppedError

    try:
        train(spec, on_begin=running.append)
    except StoppedError:
        os._exit(_STOPPED)
    except Exception as error:  # noqa: BLE001 - reported without its text.
        report.write(json.dumps(_describe_failure(error)).encode("ascii") + b"\n")
        report.flush()
        os._exit(1)
    # Do not return: the thread that reads standard input would block the exit.
    os._exit(0)


def _listen(running: "list[ProgressWriter]") -> None:
    """End with the server; after the line `STOP`, save first."""
    for line in sys.stdin.buffer:
        if line.strip() != STOP.encode() or not running:
            break
        running[0].is_stopping = True
    os._exit(_STOPPED)


def train(
    spec: TrainingSpec, *, on_begin: "Callable[[ProgressWriter], None] | None" = None
) -> None:
    """Train one job in this process."""
    # Before the imports, which take seconds, because the files may be deleted
    # meanwhile.
    read = [_read(spec.training_file)]
    if spec.validation_file is not None:
        read.append(_read(spec.validation_file))
    jobs = JobStore(DataDirectory(spec.data_dir))
    from langchain_chatexports.local_server.training.progress import ProgressWriter

    tokenizer, _ = load_tokenizer(Path(spec.base_directory))
    template = ChatTemplate(tokenizer)
    labeled = [
        label_examples(examples, template, max_length=spec.max_length)
        for examples in read
    ]
    saved = last_saved(spec.folder)
    if saved is None:
        shutil.rmtree(spec.folder / "saves", ignore_errors=True)
    progress = ProgressWriter(jobs, spec.job_id, has_validation=len(labeled) > 1)
    # Imported here because it takes seconds, and the next call needs it.
    import trl  # noqa: F401

    jobs.log(spec.job_id, "Loading the base model", data={"phase": "base"})
    trainer = _build_trainer(spec, tokenizer, *labeled)
    for callback in list(trainer.callback_handler.callbacks):
        # These would print.
        if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
            trainer.remove_callback(callback)
    trainer.add_callback(progress)
    if on_begin is not None:
        on_begin(progress)
    trainer.train(resume_from_checkpoint=None if saved is None else str(saved))
    state = trainer.state
    epochs = round(state.epoch)
    if state.best_global_step:
        best = round(epochs * state.best_global_step / state.global_step)
        message = f"Epoch {best} of {epochs} becomes the model: it has the lowest "
        jobs.log(spec.job_id, f"{message}validation loss, {state.best_metric:.6f}")
    # Save the chat template used in training with the model.
    tokenizer.chat_template = template.source
    _publish(spec, trainer, labeled[0], epochs, read[0])


def _read(path: str) -> list[dict[str, Any]]:
    try:
        return list(read_examples(path))
    except FileNotFoundError as error:
        msg = "The examples were deleted before the job could use them."
        raise LocalServerError(msg) from error


def _checkpointing_field(config: Any) -> str:
    # TRL renamed it; releases for Python 3.10 have only the old name.
    names = {field.name for field in fields(config)}
    new, old = "activation_checkpointing", "gradient_checkpointing"
    return new if new in names else old


def _build_trainer(
    spec: TrainingSpec,
    tokenizer: Any,
    data: LabeledDataset,
    held_out: LabeledDataset | None = None,
) -> Any:
    import torch
    from trl import SFTConfig, SFTTrainer

    from langchain_chatexports.local_server.bases.devices import choose_device
    from langchain_chatexports.local_server.bases.weights import load_base

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    device = choose_device()
    model = load_base(Path(spec.base_directory), device, spec.dtype)
    numbers = Hyperparameters(**spec.hyperparameters)
    steps = numbers.steps(len(data.examples))
    saves: dict[str, Any] = {"save_strategy": "no"}
    if held_out is not None:
        # The epoch with the lowest validation loss becomes the model. Each epoch is
        # saved after its validation; ProgressWriter requests more saves.
        saves = {
            "save_strategy": "epoch",
            "eval_strategy": "epoch",
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    arguments = SFTConfig(
        output_dir=str(spec.folder / "saves"),
        per_device_train_batch_size=numbers.batch_size,
        per_device_eval_batch_size=1,
        num_train_epochs=numbers.n_epochs,
        learning_rate=learning_rate(
            numbers, parameters=model.num_parameters(), steps=steps
        ),
        lr_scheduler_type="cosine",
        warmup_steps=_WARMUP_RATIO,
        # NumPy accepts 32 bits.
        seed=spec.seed % 2**32,
        bf16=False,
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        # If it is killed while saving, training continues from the previous save.
        save_total_limit=_SAVES,
        logging_steps=1,
        disable_tqdm=True,
        report_to=[],
        # The examples are labeled already, and TRL would write them to temporary files.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        **{_checkpointing_field(SFTConfig): False},
        **saves,
    )
    return SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=_as_dataset(data),
        eval_dataset=None if held_out is None else _as_dataset(held_out),
        processing_class=tokenizer,
        peft_config=lora_config(model),
    )


def _as_dataset(labeled: LabeledDataset) -> Any:
    from datasets import Dataset

    columns = {
        "input_ids": [example.input_ids for example in labeled.examples],
        "labels": [example.labels for example in labeled.examples],
    }
    return Dataset.from_dict(columns)


def _publish(
    spec: TrainingSpec,
    trainer: Any,
    data: LabeledDataset,
    epochs: int,
    examples: list[dict[str, Any]],
) -> None:
    folder = spec.folder / "model"
    save_adapter(trainer.model, folder)
    trainer.processing_class.save_pretrained(folder)
    prompt = common_prompt(examples)
    tokens = sum(len(example.input_ids) for example in data.examples)
    record = {
        **spec.model_record,
        "created_at": int(time.time()),
        "trained_tokens": tokens * epochs,
        "reply_tokens": reply_token_limit(
            size for example in data.examples for size in example.reply_sizes()
        ),
        "system_prompt": prompt.system,
        "user_label": prompt.label,
    }
    write_json(folder / "model.json", record)
    replace(folder, Path(spec.model_folder))


def _describe_failure(error: Exception) -> dict[str, Any]:
    code, message = _explain(error)
    return {"code": code, "message": message, "frames": frames_of(error)}


def _explain(error: Exception) -> tuple[str, str]:
    if is_disk_full(error) or any(text in str(error) for text in _FULL_TEXTS):
        return "disk_full", DISK_FULL
    if isinstance(error, LocalServerError):
        return "server_error", str(error)
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "out_of_memory", (
            "There was not enough memory for training. Close other programs, or use "
            "shorter dialogues, batch_size 1 or a smaller base model."
        )
    kind = type(error).__name__
    if isinstance(error, OSError):
        return "base_unreadable", (
            f"The base model could not be read ({kind}); "
            "check that its directory is still there and complete."
        )
    return "training_failed", f"Training ended with {kind}; the server's log has more."

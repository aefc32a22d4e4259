"""The trainer: a child process that trains the adapter of one job.

It reads a `TrainingSpec` as a line of JSON from standard input, and exits when that is
closed, because its server has exited. On the line `STOP`, it saves a checkpoint first.
It writes events to the database, and publishes the tuned model by renaming its folder,
or prints an error.
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports._tokens import reply_token_limit
from langchain_chatexports.datasets.chat_prompts import most_common_prompt
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    LabeledDataset,
    label_examples,
    load_tokenizer,
)
from langchain_chatexports.local_server.processes import (
    claim_stdout,
    postpone_garbage_collection,
    resume_garbage_collection,
    stack_frames,
)
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.database import is_disk_full
from langchain_chatexports.local_server.storage.files import read_examples
from langchain_chatexports.local_server.storage.jobs import JobStore, last_checkpoint
from langchain_chatexports.local_server.storage.models import save_adapter
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    create_lora_config,
    learning_rate,
)

if TYPE_CHECKING:  # Imports torch.
    from langchain_chatexports.local_server.training.progress import ProgressWriter

STOP = "stop"
"""The line on standard input that makes the trainer save a checkpoint and exit."""

DISK_FULL = (
    "The disk with the data directory is full. Free some space, and resume the "
    "job from its last checkpoint."
)

# The messages of Rust, C and PyTorch.
_DISK_FULL_TEXTS = ("os error 28", "No space left", "file write failed")
_STOPPED_EXIT_CODE = 128 + signal.SIGTERM
_NICENESS = 5
_WARMUP_RATIO = 0.05
_LOCK_SECONDS = 60.0
_MAX_CHECKPOINTS = 2


@dataclass(frozen=True)
class TrainingSpec:
    """The settings of a training run, in JSON types."""

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
    """The initial fields of its `model.json`; the trainer adds the others."""

    dtype: str | None = None
    """The base's precision; `None` for the fastest."""

    @property
    def folder(self) -> Path:
        """The folder of the job's checkpoints."""
        return Path(self.data_dir) / "jobs" / self.job_id


def main() -> None:
    """Run the training job specified on standard input."""
    os.umask(0o077)
    logging.disable(logging.WARNING)
    report = claim_stdout()
    postpone_garbage_collection()
    spec = TrainingSpec(**json.loads(sys.stdin.buffer.readline()))
    running: list[ProgressWriter] = []
    threading.Thread(target=_listen_for_stop, args=(running,), daemon=True).start()
    # The trainer of a killed server may still be running.
    lock = ProcessLock(spec.folder / "trainer.lock")
    if not lock.acquire(timeout=_LOCK_SECONDS):
        raise SystemExit(_STOPPED_EXIT_CODE)
    if hasattr(os, "nice"):
        # Chats have priority.
        os.nice(_NICENESS)
    from langchain_chatexports.local_server.training.progress import StoppedError

    def on_begin(progress: "ProgressWriter") -> None:
        running.append(progress)
        resume_garbage_collection()

    try:
        train(spec, on_begin=on_begin)
    except StoppedError:
        os._exit(_STOPPED_EXIT_CODE)
    except Exception as error:  # noqa: BLE001 - reported without its text.
        report.write(json.dumps(_describe_failure(error)).encode("ascii") + b"\n")
        report.flush()
        os._exit(1)
    # Do not return: the thread that reads standard input would block the exit.
    os._exit(0)


def _listen_for_stop(running: "list[ProgressWriter]") -> None:
    """Exit with the server; on the line `STOP`, save a checkpoint first."""
    for line in sys.stdin.buffer:
        if line.strip() != STOP.encode() or not running:
            break
        running[0].is_stopping = True
    os._exit(_STOPPED_EXIT_CODE)


def train(
    spec: TrainingSpec, *, on_begin: "Callable[[ProgressWriter], None] | None" = None
) -> None:
    """Run one training job in this process."""
    # Read before the slow imports, because the files may be deleted in the meantime.
    splits = [_read(spec.training_file)]
    if spec.validation_file is not None:
        splits.append(_read(spec.validation_file))
    jobs = JobStore(DataDirectory(spec.data_dir))
    from langchain_chatexports.local_server.training.progress import ProgressWriter

    tokenizer, _ = load_tokenizer(Path(spec.base_directory))
    template = ChatTemplate(tokenizer)
    labeled = [
        label_examples(examples, template, max_length=spec.max_length)
        for examples in splits
    ]
    checkpoint = last_checkpoint(spec.folder)
    if checkpoint is None:
        shutil.rmtree(spec.folder / "saves", ignore_errors=True)
    progress = ProgressWriter(jobs, spec.job_id, has_validation=len(labeled) > 1)
    # This takes seconds, so it belongs to the phase before the next event.
    import trl  # noqa: F401

    jobs.log(spec.job_id, "Loading the base model", data={"phase": "base"})
    trainer = _build_trainer(spec, tokenizer, *labeled)
    # Remove callbacks that print.
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
            trainer.remove_callback(callback)
    trainer.add_callback(progress)
    if on_begin is not None:
        on_begin(progress)
    trainer.train(
        resume_from_checkpoint=None if checkpoint is None else str(checkpoint)
    )
    state = trainer.state
    epochs = round(state.epoch)
    if state.best_global_step:
        best = round(epochs * state.best_global_step / state.global_step)
        message = f"Using epoch {best} of {epochs}, which has the lowest "
        jobs.log(spec.job_id, f"{message}validation loss, {state.best_metric:.6f}")
    # The model is saved with the chat template used in training.
    tokenizer.chat_template = template.source
    _publish(spec, trainer, labeled[0], epochs, splits[0])


def _read(path: str) -> list[dict[str, Any]]:
    try:
        return list(read_examples(path))
    except FileNotFoundError as error:
        msg = "The examples were deleted before training started."
        raise LocalServerError(msg) from error


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
    hyperparameters = Hyperparameters(**spec.hyperparameters)
    steps = hyperparameters.steps(len(data.examples))
    save_options: dict[str, Any] = {"save_strategy": "no"}
    if held_out is not None:
        # Keep the checkpoint with the lowest validation loss. ProgressWriter
        # requests more checkpoints.
        save_options = {
            "save_strategy": "epoch",
            "eval_strategy": "epoch",
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    arguments = SFTConfig(
        output_dir=str(spec.folder / "saves"),
        per_device_train_batch_size=hyperparameters.batch_size,
        per_device_eval_batch_size=1,
        num_train_epochs=hyperparameters.n_epochs,
        learning_rate=learning_rate(
            hyperparameters, parameters=model.num_parameters(), steps=steps
        ),
        lr_scheduler_type="cosine",
        warmup_steps=_WARMUP_RATIO,
        # NumPy only accepts 32-bit seeds.
        seed=spec.seed % 2**32,
        bf16=False,
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        # If it is killed during a save, it resumes from the previous checkpoint.
        save_total_limit=_MAX_CHECKPOINTS,
        logging_steps=1,
        disable_tqdm=True,
        report_to=[],
        # The examples are already labeled, and TRL would cache them on disk.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        activation_checkpointing=False,
        **save_options,
    )
    return SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=_as_dataset(data),
        eval_dataset=None if held_out is None else _as_dataset(held_out),
        processing_class=tokenizer,
        peft_config=create_lora_config(model),
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
    prompt = most_common_prompt(examples)
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
    code, message = _classify_failure(error)
    return {"code": code, "message": message, "frames": stack_frames(error)}


def _classify_failure(error: Exception) -> tuple[str, str]:
    if is_disk_full(error) or any(text in str(error) for text in _DISK_FULL_TEXTS):
        return "disk_full", DISK_FULL
    if isinstance(error, LocalServerError):
        return "server_error", str(error)
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "out_of_memory", (
            "Not enough memory for training. Close other programs, or use "
            "shorter chats, batch_size 1 or a smaller base model."
        )
    kind = type(error).__name__
    if isinstance(error, OSError):
        return "base_unreadable", (
            f"The base model could not be read ({kind}); "
            "check that its directory is still there and complete."
        )
    return (
        "training_failed",
        f"Training failed with {kind}. See the server log for details.",
    )

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
from langchain_chatexports.local_server.bases.chat_template import ChatTemplate
from langchain_chatexports.local_server.processes import frames_of, take_output
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    read_json,
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.database import (
    DatabaseError,
    is_disk_full,
)
from langchain_chatexports.local_server.storage.files import read_examples
from langchain_chatexports.local_server.storage.jobs import JobStore, last_saved
from langchain_chatexports.local_server.storage.models import save_adapter
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    learning_rate,
    lora_config,
)
from langchain_chatexports.local_server.training.labels import (
    LabeledDataset,
    label_examples,
)

if TYPE_CHECKING:  # Imports torch.
    from langchain_chatexports.local_server.training.progress import ProgressWriter

STOP = "stop"
"""The line on standard input to save and end the training."""

DISK_FULL = (
    "The disk with the data directory is full. Free some space, and continue the "
    "training: its last save is kept."
)

_PHASES = {"base": "Loading the base model", "speed": "Measuring how long a step takes"}
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
    stops_early: bool
    """Whether to stop when the validation loss no longer decreases."""

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


class TrainingError(Exception):
    """A job that cannot be trained; the message is shown to the user."""

    def __init__(self, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class _Server:
    """The trainer's connection to its server, by standard input."""

    def __init__(self) -> None:
        self._progress: ProgressWriter | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def saves_with(self, progress: "ProgressWriter") -> None:
        """Save before the training is stopped."""
        self._progress = progress

    def _listen(self) -> None:
        for line in sys.stdin.buffer:
            if line.strip() == STOP.encode() and self._progress is not None:
                self._progress.is_stopping = True
            else:
                os._exit(_STOPPED)
        os._exit(_STOPPED)


def main() -> None:
    """Train the job on standard input."""
    os.umask(0o077)
    logging.disable(logging.WARNING)
    report = take_output()
    spec = TrainingSpec(**json.loads(sys.stdin.buffer.readline()))
    server = _Server()
    # The trainer of a killed server may not have ended yet.
    lock = ProcessLock(spec.folder / "trainer.lock")
    if not lock.acquire(timeout=_LOCK_SECONDS):
        raise SystemExit(_STOPPED)
    if hasattr(os, "nice"):
        # Chats have priority.
        os.nice(_NICENESS)
    from langchain_chatexports.local_server.training.progress import StoppedError

    try:
        train(spec, on_begin=server.saves_with)
    except StoppedError:
        os._exit(_STOPPED)
    except Exception as error:  # noqa: BLE001 - reported without its text.
        report.write(json.dumps(_describe_failure(error)).encode("ascii") + b"\n")
        report.flush()
        os._exit(1)
    # Do not return: the thread that reads standard input would block the exit.
    os._exit(0)


def train(
    spec: TrainingSpec, *, on_begin: "Callable[[ProgressWriter], None] | None" = None
) -> None:
    """Train one job in this process."""
    # Before the imports, which take seconds, because the files may be deleted
    # meanwhile.
    examples = {"training_file": _read(spec.training_file, "training_file")}
    if spec.validation_file is not None:
        examples["validation_file"] = _read(spec.validation_file, "validation_file")
    jobs = JobStore(DataDirectory(spec.data_dir))
    from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
    from langchain_chatexports.local_server.training.progress import ProgressWriter

    tokenizer, _ = load_tokenizer(Path(spec.base_directory))
    template = ChatTemplate(tokenizer)
    labeled = {
        param: label_examples(read, template, max_length=spec.max_length)
        for param, read in examples.items()
    }
    data, held_out = labeled["training_file"], labeled.get("validation_file")
    saved = last_saved(spec.folder)
    if saved is None:
        shutil.rmtree(spec.folder / "saves", ignore_errors=True)
    progress = ProgressWriter(
        jobs,
        spec.job_id,
        has_validation=held_out is not None,
        stops_early=spec.stops_early,
    )
    # Imported here because it takes seconds, and the next call needs it.
    import trl  # noqa: F401

    _log_phase(spec, jobs, "base")
    trainer = _build_trainer(spec, tokenizer, data, held_out)
    for callback in list(trainer.callback_handler.callbacks):
        # These would print.
        if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
            trainer.remove_callback(callback)
    trainer.add_callback(progress)
    if saved is None:
        _log_phase(spec, jobs, "speed")
        _estimate(spec, trainer.model, data, held_out, progress)
    if on_begin is not None:
        on_begin(progress)
    trainer.train(resume_from_checkpoint=None if saved is None else str(saved))
    epochs = round(trainer.state.epoch)
    # Save the template of the training with the model.
    tokenizer.chat_template = template.source
    progress.write_choice(trainer.state, epochs)
    _publish(spec, trainer, data, epochs, examples["training_file"])


def _log_phase(spec: TrainingSpec, jobs: JobStore, phase: str) -> None:
    jobs.log(spec.job_id, _PHASES[phase], data={"phase": phase})


def _estimate(
    spec: TrainingSpec,
    model: Any,
    data: LabeledDataset,
    held_out: LabeledDataset | None,
    progress: "ProgressWriter",
) -> None:
    from langchain_chatexports.local_server.bases.devices import choose_device
    from langchain_chatexports.local_server.bases.weights import uses_4_bits
    from langchain_chatexports.local_server.training.speed import measure_speed

    if uses_4_bits(Path(spec.base_directory), choose_device()):
        return  # Memory is scarce, and these passes need more of it than training.
    numbers = Hyperparameters(**spec.hyperparameters)
    speed = measure_speed(model, data.examples)
    # A validation has no backward pass.
    tokens = data.tokens + (held_out.tokens / 2 if held_out else 0)
    progress.write_estimate(
        speed.seconds_per_token * tokens * numbers.n_epochs,
        steps=numbers.steps(len(data.examples)),
        memory_bytes=speed.memory_bytes,
    )


def _read(path: str, param: str) -> list[dict[str, Any]]:
    try:
        return list(read_examples(path))
    except FileNotFoundError as error:
        msg = f"The {param.replace('_', ' ')} was deleted before the job could use it."
        raise TrainingError(msg, code="file_deleted", param=param) from error


def _precision(spec: TrainingSpec, device: str) -> str:
    """Return the base's precision; a resumed job keeps its first one."""
    from langchain_chatexports.local_server.bases.devices import choose_dtype

    file = spec.folder / "precision.json"
    saved = (read_json(file) or {}).get("dtype")
    dtype = str(spec.dtype or saved or choose_dtype(device))
    if dtype != saved:
        write_json(file, {"dtype": dtype})
    return dtype


def _checkpointing_field(config: Any) -> str:
    # TRL renamed it; releases for Python 3.10 have only the old name.
    names = {field.name for field in fields(config)}
    new, old = "activation_checkpointing", "gradient_checkpointing"
    return new if new in names else old


def _build_trainer(
    spec: TrainingSpec,
    tokenizer: Any,
    data: LabeledDataset,
    held_out: LabeledDataset | None,
) -> Any:
    import torch
    from trl import SFTConfig, SFTTrainer

    from langchain_chatexports.local_server.bases.devices import choose_device
    from langchain_chatexports.local_server.bases.weights import (
        has_short_memory,
        load_base,
        uses_4_bits,
    )

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    device = choose_device()
    base = Path(spec.base_directory)
    model = load_base(base, device, _precision(spec, device))
    numbers = Hyperparameters(**spec.hyperparameters)
    steps = numbers.steps(len(data.examples))
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
        # 4-bit weights mean that memory is scarce.
        **{
            _checkpointing_field(SFTConfig): uses_4_bits(base, device)
            or has_short_memory(model, device)
        },
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        # The epoch with the lowest validation loss becomes the model. Each epoch is
        # saved after its validation; ProgressWriter requests more saves.
        eval_strategy="no" if held_out is None else "epoch",
        save_strategy="no" if held_out is None else "epoch",
        load_best_model_at_end=held_out is not None,
        metric_for_best_model=None if held_out is None else "eval_loss",
        greater_is_better=None if held_out is None else False,
        # If it is killed while saving, training continues from the previous save.
        save_total_limit=_SAVES,
        logging_steps=1,
        disable_tqdm=True,
        report_to=[],
        # The examples are labeled already, and TRL would write them to temporary files.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
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
    losses = (
        {"full_valid_loss": round(trainer.state.best_metric, 6)}
        if (trainer.state.best_global_step)
        else {}
    )
    record = {
        **spec.model_record,
        "step": trainer.state.best_global_step or trainer.state.global_step,
        "metrics": losses,
        "created_at": int(time.time()),
        "trained_tokens": data.tokens * epochs,
        "reply_tokens": reply_token_limit(
            size for example in data.examples for size in example.reply_sizes()
        ),
        "system_prompt": prompt.system,
        "user_label": prompt.label,
    }
    write_json(folder / "model.json", record)
    replace(folder, Path(spec.model_folder))


def _describe_failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, TrainingError):
        code, message, param = error.code, str(error), error.param
    else:
        (code, message), param = _explain(error), None
    frames = frames_of(error)
    return {"code": code, "message": message, "param": param, "frames": frames}


def _explain(error: Exception) -> tuple[str, str]:
    # The texts of Rust, C and PyTorch.
    words = ("os error 28", "No space left", "file write failed")
    if is_disk_full(error) or any(text in str(error) for text in words):
        return "disk_full", DISK_FULL
    if isinstance(error, DatabaseError):
        return "server_error", str(error)
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "out_of_memory", (
            "There was not enough memory for training. Close other programs, or use "
            "shorter dialogues, batch_size 1 or a smaller base model."
        )
    if isinstance(error, (OSError, LocalServerError)):
        return "base_unreadable", (
            f"The base model could not be read ({type(error).__name__}); "
            "check that its directory is still there and complete."
        )
    kind = type(error).__name__
    return "training_failed", f"Training ended with {kind}; the server's log has more."

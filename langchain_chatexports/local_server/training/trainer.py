"""The trainer: a child process that trains the adapter of one job.

It reads a `TrainingSpec` as JSON from standard input and appends events to the job's
log. It ends by renaming the tuned model's folder into place, or by writing
`failure.json`. If it is killed, it leaves neither.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.datasets.chat_prompts import ChatPrompt, common_prompt
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import ChatTemplate
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.events import EventLog
from langchain_chatexports.local_server.storage.jobs import last_saved
from langchain_chatexports.local_server.storage.json_lines import (
    JsonLinesError,
    read_examples,
)
from langchain_chatexports.local_server.training.checkpoints import (
    Checkpoints,
    StoppedError,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    learning_rate,
    lora_config,
)
from langchain_chatexports.local_server.training.labels import (
    LabeledDataset,
    label_examples,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_chatexports.local_server.training.progress import ProgressWriter

__all__ = ["ALREADY_RUNNING", "TrainingSpec", "main", "train"]

ALREADY_RUNNING = 75
"""The exit code if another trainer is training the job."""

_STOPPED = 128 + signal.SIGTERM
_NICENESS = 5
_WARMUP_RATIO = 0.05


@dataclass(frozen=True)
class TrainingSpec:
    """The settings of one training, in JSON types."""

    job_folder: str
    base_directory: str
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, Any]
    seed: int
    max_length: int
    stops_early: bool
    """Whether to stop when the validation loss no longer decreases."""

    model_folder: str
    """Where the tuned model is written."""

    model_record: dict[str, Any]
    """The content of its `model.json`, which the trainer completes."""

    dtype: str | None = None
    """The base's precision; the fastest one if `None`."""

    def to_json(self) -> bytes:
        """Return the spec as the trainer's standard input."""
        return json.dumps(asdict(self)).encode("ascii")


class TrainingError(Exception):
    """A job that cannot be trained; the text is shown to the user."""

    def __init__(self, message: str, *, code: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def main() -> None:
    """Train the job on standard input."""
    os.umask(0o077)
    logging.disable(logging.WARNING)
    spec = TrainingSpec(**json.loads(sys.stdin.buffer.read()))
    folder = Path(spec.job_folder)
    lock = ProcessLock(folder / "trainer.lock")
    if not lock.acquire():
        raise SystemExit(ALREADY_RUNNING)
    (folder / "trainer.pid").write_text(str(os.getpid()), encoding="ascii")
    if hasattr(os, "nice"):
        # Chats have priority.
        os.nice(_NICENESS)
    try:
        train(spec)
    except StoppedError:
        raise SystemExit(_STOPPED) from None
    except Exception as error:  # noqa: BLE001 - reported in failure.json.
        _write_failure(folder, error)
        raise SystemExit(1) from None
    finally:
        lock.release()


def train(spec: TrainingSpec) -> None:
    """Train one job in this process; SIGTERM saves it and stops.

    Raises:
        StoppedError: If it was stopped.
        TrainingError: If its data is deleted or cannot be used.
    """
    # Before the imports, which take seconds: the files can be deleted meanwhile.
    examples = {"training_file": _read(spec.training_file, "training_file")}
    if spec.validation_file is not None:
        examples["validation_file"] = _read(spec.validation_file, "validation_file")
    from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
    from langchain_chatexports.local_server.training.progress import ProgressWriter

    tokenizer, _ = load_tokenizer(Path(spec.base_directory))
    template = ChatTemplate(tokenizer)
    labeled = {
        param: _label(spec, template, read, param) for param, read in examples.items()
    }
    data, held_out = labeled["training_file"], labeled.get("validation_file")
    work = Path(spec.job_folder) / "work"
    saved = last_saved(work)
    if saved is None:
        shutil.rmtree(work / "trainer", ignore_errors=True)
        shutil.rmtree(work / "checkpoints", ignore_errors=True)
    checkpoints = Checkpoints(
        work / "checkpoints",
        by_validation=held_out is not None,
    )
    log = EventLog(Path(spec.job_folder) / "events.jsonl")
    progress = ProgressWriter(
        log,
        checkpoints=checkpoints,
        has_validation=held_out is not None,
        stops_early=spec.stops_early,
    )
    trainer = _build_trainer(spec, tokenizer, data, held_out)
    for callback in list(trainer.callback_handler.callbacks):
        # These print.
        if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
            trainer.remove_callback(callback)
    trainer.add_callback(progress)
    if saved is None:
        _estimate(spec, trainer.model, data, held_out, progress)
    with _saving_at_sigterm(progress):
        trainer.train(resume_from_checkpoint=None if saved is None else str(saved))
    epochs = round(trainer.state.epoch)
    _log_choice(log, checkpoints, epochs)
    prompt = common_prompt(examples["training_file"])
    # The tuned model goes with the template that it was trained with.
    tokenizer.chat_template = template.source
    _publish(spec, checkpoints, tokenizer, data.tokens * epochs, prompt)


def _estimate(
    spec: TrainingSpec,
    model: Any,
    data: LabeledDataset,
    held_out: LabeledDataset | None,
    progress: ProgressWriter,
) -> None:
    from langchain_chatexports.local_server.bases.devices import choose_device
    from langchain_chatexports.local_server.bases.weights import uses_4_bits
    from langchain_chatexports.local_server.training.speed import measure_speed

    if uses_4_bits(Path(spec.base_directory), choose_device()):
        return  # Memory is short, and the passes would not save it as training does.
    numbers = Hyperparameters(**spec.hyperparameters)
    speed = measure_speed(model, data.examples)
    # A validation has no backward pass.
    tokens = data.tokens + (held_out.tokens / 2 if held_out else 0)
    progress.write_estimate(
        speed.seconds_per_token * tokens * numbers.n_epochs,
        steps=numbers.steps(len(data.examples)),
        memory_bytes=speed.memory_bytes,
    )


def _log_choice(log: EventLog, checkpoints: Checkpoints, epochs: int) -> None:
    """Write which epoch becomes the model, if the validation loss decided it."""
    best, last = checkpoints.best(), checkpoints.records[-1]
    loss = best["metrics"].get("valid_loss")
    if loss is None:
        return
    number = round(epochs * best["step"] / last["step"])
    text = (
        f"Epoch {number} becomes the model: it has the lowest validation loss, {loss}"
    )
    if best is not last:
        text += f"; the last epoch, {epochs}, has {last['metrics']['valid_loss']}"
    log.append(text)


@contextmanager
def _saving_at_sigterm(progress: ProgressWriter) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        progress.is_stopping = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _read(path: str, param: str) -> list[dict[str, Any]]:
    try:
        return list(read_examples(path))
    except FileNotFoundError as error:
        msg = f"The {param.replace('_', ' ')} was deleted before the job could use it."
        raise TrainingError(msg, code="file_deleted", param=param) from error
    except JsonLinesError as error:
        raise TrainingError(str(error), code="invalid_file", param=param) from error


def _label(
    spec: TrainingSpec,
    template: ChatTemplate,
    examples: list[dict[str, Any]],
    param: str,
) -> LabeledDataset:
    dataset = label_examples(examples, template, max_length=spec.max_length)
    if not dataset.examples:
        msg = f"The {param.replace('_', ' ')} contains nothing that can be learned."
        raise TrainingError(msg, code="invalid_file", param=param)
    return dataset


def _precision(spec: TrainingSpec, device: str) -> str:
    """Return the base's precision, of a resumed job the one that it began with."""
    from langchain_chatexports.local_server.bases.devices import choose_dtype

    file = Path(spec.job_folder) / "work" / "precision.json"
    kept = (read_json(file) or {}).get("dtype")
    dtype = str(spec.dtype or kept or choose_dtype(device))
    if dtype != kept:
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
        output_dir=str(Path(spec.job_folder) / "work" / "trainer"),
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
        # 4-bit weights mean that memory is short.
        **{
            _checkpointing_field(SFTConfig): uses_4_bits(base, device)
            or has_short_memory(model, device)
        },
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        eval_strategy="no" if held_out is None else "epoch",
        # ProgressWriter asks for saves. Two are kept: a trainer that is killed while
        # saving is resumed from the one before.
        save_strategy="no",
        save_total_limit=2,
        logging_steps=1,
        disable_tqdm=True,
        report_to=[],
        # The examples are labeled already. TRL's own preparation would also write them
        # to temporary files.
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
    checkpoints: Checkpoints,
    tokenizer: Any,
    tokens: int,
    prompt: ChatPrompt,
) -> None:
    folder = Path(spec.job_folder) / "work" / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    tokenizer.save_pretrained(folder)
    published = checkpoints.publish(folder)
    record = {
        **spec.model_record,
        "checkpoints": published,
        "created_at": int(time.time()),
        "trained_tokens": tokens,
        "system_prompt": prompt.system,
        "user_label": prompt.label,
        "replies": prompt.replies,
    }
    write_json(folder / "model.json", record)
    replace(folder, Path(spec.model_folder))


def _write_failure(folder: Path, error: Exception) -> None:
    failure: dict[str, Any]
    if isinstance(error, TrainingError):
        failure = {"code": error.code, "message": str(error), "param": error.param}
    else:
        code, message = _explain(error)
        failure = {"code": code, "message": message, "param": None}
    # No exception message and no source line: they could quote a chat.
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    try:
        write_json(folder / "failure.json", {**failure, "frames": frames})
    except OSError:
        # The disk is full: the server reports this exit code.
        raise SystemExit(errno.ENOSPC) from None


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full", (
            "The disk with the data directory is full; a job needs about 100 MB, more "
            "for larger base models. Free some space and start the job again."
        )
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
    return "training_failed", f"Training ended with {kind}; see failure.json."

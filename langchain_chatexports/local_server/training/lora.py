"""Train the adapter of a job with transformers' `Trainer` and PEFT.

The data has a batch per item, of all epochs in order, so that a job that continues from
a save meets the same batches. Its adapter equals that of an uninterrupted run, bit for
bit, on the same machine with as many threads.
"""

import gc
import math
import os
import random
import shutil
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._terminal import plural
from langchain_chatexports._tokens import reply_token_limit
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import Base, find_base
from langchain_chatexports.local_server.bases.cache import read_json, write_json
from langchain_chatexports.local_server.bases.devices import (
    choose_device,
    choose_dtype,
    memory_errors,
)
from langchain_chatexports.local_server.bases.gguf import (
    GGUFFile,
    find_gguf,
    load_matrices,
    write_adapter,
)
from langchain_chatexports.local_server.bases.gguf_adapter import GGUFNotSupportedError
from langchain_chatexports.local_server.bases.labels import (
    IGNORED,
    MAX_PROBLEMS,
    LabeledDataset,
    LabeledExample,
    label_examples,
)
from langchain_chatexports.local_server.bases.preparation import (
    complete_base,
    find_directory,
    load_tokenizer,
)
from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    TemplateError,
    read_template,
)
from langchain_chatexports.local_server.bases.weights import load_base, save_adapter
from langchain_chatexports.local_server.errors import (
    BaseMissingError,
    InvalidExamplesError,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    Hyperparameters,
    create_lora_config,
    default_strength,
    learning_rate,
    resolve_hyperparameters,
    save_bytes,
)

if TYPE_CHECKING:
    from langchain_chatexports.local_server.training.trainer import Progress
    from langchain_chatexports.local_server.workspace import Job

_MAX_EXAMPLE_TOKENS = 1024
# Up to this length, torch's own attention takes up to three times as long in bfloat16
# on a CPU, because its products are in float32. The plain one needs more memory.
_EAGER_TOKENS = 512
_WARMUP_RATIO = 0.05
# Not measured.
_METAL_STEP = 64
_BEST = "best"
_WEIGHTS = "adapter_model.safetensors"


@memory_errors()
def train_lora(
    progress: "Progress",
    examples: Sequence[dict[str, Any]],
    job: "Job",
    settings: dict[str, Any],
) -> Path | None:
    """Train an adapter and return its folder; `None` if the job was stopped.

    The folder has the adapter in PEFT's format, the tokenizer with the chat template
    and, where llama.cpp can use it, `adapter.gguf`.

    Args:
        progress: What training reports, and what it asks.
        examples: The training examples, in OpenAI's shape.
        job: The job, with its base, hyperparameters and seed.
        settings: `validation_examples`, a list, and optionally `dtype`, the precision
            of the base; by default the fastest; and `start`, the folder of the adapter
            to continue.

    Raises:
        InvalidExamplesError: If examples have messages that the base does not support.
        BaseMissingError: If the base is gone, incomplete or cannot be trained.
    """
    progress.log("Loading the base model", kind="phase", phase="base")
    with _base_errors(job):
        base = find_base(job.base)
        directory = find_directory(base)
        tokenizer, template = _prepare(base, directory)
    max_length = min(_MAX_EXAMPLE_TOKENS, template.context)
    splits = {"training_file": examples}
    if held_out := settings.get("validation_examples"):
        splits["validation_file"] = held_out
    labeled = []
    for param, split in splits.items():
        data = label_examples(split, tokenizer, template, max_length=max_length)
        _check(data, param)
        if not job.step:  # A resumed job has logged them.
            for warning in _describe_warnings(data, param, max_length):
                progress.log(warning, level="warn")
        labeled.append(data.examples)
    device = choose_device()
    training = _Training(
        progress=progress,
        examples=labeled[0],
        held_out=labeled[1] if held_out else [],
        shown=held_out or examples,
        hyperparameters=resolve_hyperparameters(
            job.hyperparameters, examples=len(labeled[0]), device=device
        ),
        device=device,
        seed=job.seed % 2**32,  # NumPy only accepts 32-bit seeds.
    )
    progress.record(**_results(training))
    dtype = settings.get("dtype") or _choose_dtype(progress.folder, device)
    with _base_errors(job):
        model = load_base(directory, device, dtype)
        if (device, dtype) == ("cpu", "bfloat16") and training.longest <= _EAGER_TOKENS:
            model.set_attn_implementation("eager")
        model = _add_adapter(model, training.seed)
    if job.person:
        parameters = model.get_base_model().num_parameters()
        progress.record(strength=default_strength(parameters))
    adapter = (each for each in model.parameters() if each.requires_grad)
    progress.require_space(save_bytes(sum(each.nbytes for each in adapter)))
    if not _train(training, model, tokenizer, template):
        return None
    folder = progress.folder / "model"
    save_adapter(model, folder)
    best = progress.folder / _BEST / _WEIGHTS
    if best.exists():
        shutil.copyfile(best, folder / _WEIGHTS)
    # The model is saved with the chat template used in training.
    tokenizer.chat_template = template.jinja_with_tools
    tokenizer.save_pretrained(folder)
    del model
    gc.collect()
    try:
        write_adapter(base, folder)
    except GGUFNotSupportedError as error:
        progress.log(f"transformers will answer, because llama.cpp cannot: {error}")
    return folder


@contextmanager
def _base_errors(job: "Job") -> Iterator[None]:
    """Raise errors of the base as the job's."""
    try:
        yield
    except (LocalServerError, TemplateError, OSError) as error:
        msg = f"{job.base_model} cannot be trained: {error}"
        raise BaseMissingError(msg) from error


def _prepare(base: Base, directory: Path) -> tuple[Any, ChatTemplate]:
    """Return a base's tokenizer and template; child processes prepare the rest.

    Afterwards this process's memory is for training. Each further process that imported
    torch and transformers would take four seconds, the first time three times as long.
    """
    with ThreadPoolExecutor() as threads:
        # A child reads the .gguf file, while this process imports the libraries.
        file = threads.submit(find_gguf, base)
        import_module("peft")
        import_module("langchain_chatexports.local_server.training.steps")
        complete_base(directory, weights=True, in_child=False)
        threads.submit(_compare_weights, base, file)
        template = read_template(directory)
    return load_tokenizer(directory)[0], template


def _compare_weights(base: Base, file: "Future[GGUFFile]") -> None:
    """Compare a base with its .gguf file, which its adapters need."""
    with suppress(GGUFNotSupportedError, LocalServerError):
        file.result()
        load_matrices(base)


@dataclass(frozen=True)
class _Training:
    """What is trained, and how."""

    progress: "Progress"
    examples: list[LabeledExample]
    held_out: list[LabeledExample]
    shown: Sequence[dict[str, Any]]
    """Examples that samples are taken from."""

    hyperparameters: Hyperparameters
    device: str
    seed: int

    @property
    def longest(self) -> int:
        examples = (*self.examples, *self.held_out)
        return max(len(example.input_ids) for example in examples)

    @property
    def epoch_steps(self) -> int:
        return self.hyperparameters.steps(len(self.examples)) // (
            self.hyperparameters.n_epochs
        )


def _check(data: LabeledDataset, param: str) -> None:
    if data.problems:
        more = ["there may be more"] * (len(data.problems) >= MAX_PROBLEMS)
        raise InvalidExamplesError([*data.problems, *more], param=param)


def _describe_warnings(
    data: LabeledDataset, param: str, max_length: int
) -> Iterator[str]:
    example = param.replace("file", "example").replace("_", " ")
    for count, text in (
        (data.truncated, f"truncated to {max_length} tokens"),
        (data.without_loss, "skipped: no assistant message to train on"),
        (
            data.trailing,
            "ending with a user message: messages after the last reply are ignored",
        ),
    ):
        if count:
            yield f"{plural(count, example)} {text}"


def _results(training: _Training) -> dict[str, Any]:
    examples, hyperparameters = training.examples, training.hyperparameters
    tokens = sum(len(example.input_ids) for example in examples)
    sizes = [size for example in examples for size in example.reply_sizes()]
    return {
        "hyperparameters": asdict(hyperparameters),
        "trained_tokens": tokens * hyperparameters.n_epochs,
        "reply_tokens": reply_token_limit(sizes),
        "replies": len(sizes),
    }


def _choose_dtype(folder: Path, device: str) -> str:
    """Return the fastest precision, measured once for a job."""
    file = folder / "precision.json"
    known = read_json(file) or {"dtype": choose_dtype(device)}
    write_json(file, known)
    return str(known["dtype"])


def _add_adapter(model: Any, seed: int) -> Any:
    from peft import get_peft_model
    from transformers import set_seed

    from langchain_chatexports.local_server.training.linear import use_fused_layers

    config = create_lora_config(model)
    set_seed(seed)
    with warnings.catch_warnings():
        # PEFT uses an attribute that transformers deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        tuned = get_peft_model(model, config)
    use_fused_layers(tuned)
    return tuned


def _train(
    training: _Training, model: Any, tokenizer: Any, template: ChatTemplate
) -> bool:
    """Train from the last save; return whether all steps are done."""
    import torch
    from transformers import PrinterCallback

    from langchain_chatexports.local_server.training.samples import SampleCallback
    from langchain_chatexports.local_server.training.steps import (
        ChatTrainer,
        ProgressCallback,
    )

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    progress, hyperparameters = training.progress, training.hyperparameters
    best_folder = progress.folder / _BEST
    padding = tokenizer.pad_token_id or 0
    step = _METAL_STEP if training.device == "mps" else 1
    rate = learning_rate(
        hyperparameters,
        parameters=model.get_base_model().num_parameters(),
        steps=hyperparameters.steps(len(training.examples)),
    )
    trainer = ChatTrainer(
        model,
        _training_arguments(training, rate),
        train_dataset=order_batches(training.examples, hyperparameters, training.seed),
        eval_dataset=[[example] for example in training.held_out] or None,
        data_collator=lambda items: pad(items[0], padding, step=step),
    )
    trainer.remove_callback(PrinterCallback)
    best = best_folder if training.held_out else None
    trainer.add_callback(ProgressCallback(progress, trainer, best=best))
    samples = SampleCallback(progress, training.shown, tokenizer, template)
    trainer.add_callback(samples)
    save = progress.begin()
    if save is None:
        shutil.rmtree(best_folder, ignore_errors=True)
    trainer.train(resume_from_checkpoint=None if save is None else str(save))
    state = trainer.state
    is_complete = bool(state.global_step >= state.max_steps)
    if is_complete and state.best_global_step:
        epoch = state.best_global_step // training.epoch_steps
        progress.log(
            f"Using epoch {epoch} of {hyperparameters.n_epochs}, which has the lowest "
            f"validation loss, {state.best_metric:.6f}"
        )
    return is_complete


def _training_arguments(training: _Training, rate: float) -> Any:
    from transformers import TrainingArguments

    options: dict[str, Any] = {"save_strategy": "no"}
    if training.held_out:
        # `ProgressCallback` keeps the weights with the lowest validation loss, and
        # requests more saves.
        options = {
            "save_strategy": "steps",
            "save_steps": training.epoch_steps,
            "eval_strategy": "steps",
            "eval_steps": training.epoch_steps,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    return TrainingArguments(
        output_dir=str(training.progress.folder),
        # An item of the data is a batch.
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        learning_rate=rate,
        lr_scheduler_type="cosine",
        warmup_steps=_WARMUP_RATIO,
        seed=training.seed,
        use_cpu=training.device == "cpu",
        dataloader_pin_memory=training.device == "cuda",
        # Metal's cache grows with each new length.
        torch_empty_cache_steps=1 if training.device == "mps" else None,
        logging_steps=1,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        **options,
    )


def order_batches(
    examples: Sequence[LabeledExample], hyperparameters: Hyperparameters, seed: int
) -> list[list[LabeledExample]]:
    """Return the batches of all epochs: examples of like length, in random order."""
    chance = random.Random(seed)  # noqa: S311 - not for cryptography.
    size = hyperparameters.batch_size
    batches: list[list[LabeledExample]] = []
    for _ in range(hyperparameters.n_epochs):
        # Of examples of the same length, others stand together in each epoch.
        ordered = sorted(
            examples, key=lambda example: (len(example.labels), chance.random())
        )
        epoch = [ordered[at : at + size] for at in range(0, len(ordered), size)]
        chance.shuffle(epoch)
        batches += epoch
    return batches


def pad(
    batch: Sequence[LabeledExample], padding: int, *, step: int = 1
) -> dict[str, Any]:
    """Return a batch, padded on the right: tokens, and the label of the next token.

    Metal compiles its graphs for each length, so there `step` limits their number.
    """
    import torch

    length = max(len(example.labels) for example in batch) - 1
    length = math.ceil(length / step) * step
    ids = torch.full((len(batch), length), padding)
    labels = torch.full((len(batch), length), IGNORED)
    for row, example in enumerate(batch):
        size = len(example.labels) - 1
        ids[row, :size] = torch.tensor(example.input_ids[:-1])
        labels[row, :size] = torch.tensor(example.labels[1:])
    # No mask: a causal model's labels never see the padding after them, and without
    # one, attention skips the other half of its matrix.
    return {"input_ids": ids, "labels": labels}

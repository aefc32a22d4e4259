"""Choose a base model for this machine, and estimate its training time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from statistics import median

from langchain_chatexports._languages import main_language
from langchain_chatexports._progress import Watch, estimated_duration, no_progress
from langchain_chatexports._translation import _, language_name
from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    Base,
    BaseChoice,
    Job,
    State,
    Workspace,
    conversion_bytes,
    download_gguf,
    download_model,
    known_bases,
    propose_base,
    resolve_hyperparameters,
    save_bytes,
    thread_count,
)
from langchain_chatexports.workflows.training_data import TrainingData

# The rest covers startup and estimation error.
_TIME_FRACTION = 0.9
_MAX_SAMPLED_EXAMPLES = 500
# The training time of the default base on one core; see `known_bases`.
_CORE_SECONDS_PER_TOKEN = 0.92 / 200
# A prompt with replies, and the reply; inference takes a third of the training time.
_REPLY_TOKENS = 500
_MAX_REPLY_SECONDS = 10
# The default time limit of training.
_DEFAULT_LIMIT_SECONDS = 3600.0
_MIN_TIMED_STEPS = 5


def download_base(
    base: Base,
    watch: Watch = no_progress,
    *,
    check: Callable[[], object] = lambda: None,
) -> None:
    """Download a base and its file for llama.cpp.

    `check` is called repeatedly and may raise an error to stop the download. A stopped
    download can be resumed.
    """
    received_by_file = [0]

    def report(received: int, _total: int) -> None:
        check()
        received_by_file[-1] = received

    def megabytes() -> int:
        return sum(received_by_file) // 1_000_000

    with watch("MB", megabytes, base.download_bytes() // 1_000_000 or None):
        download_model(base.id, on_progress=report)
        received_by_file.append(0)
        # Without this file, transformers is used.
        with suppress(LocalServerError):
            download_gguf(base.id, on_progress=report)


def detect_language(examples: Sequence[TrainingExample]) -> str | None:
    """Return the main language of the replies in examples."""
    stride = len(examples) // _MAX_SAMPLED_EXAMPLES + 1
    return main_language(
        str(message.get("content") or "")
        for example in examples[::stride]
        for message in example["messages"]
        if message["role"] == "assistant"
    )


def language_warning(base: Base, language: str | None) -> str | None:
    """Return a warning if a base does not support the language of the chats."""
    if base.supports_language(language):
        return None
    return _(
        "{base} supports {supported}, but these chats are in {language}, so its "
        "replies will be poor. Omit --base to pick a suitable one automatically.",
        base=base.name,
        supported=", ".join(map(language_name, base.languages.split(", "))),
        language=language_name(language),
    )


def estimate_speed(workspace: Workspace | None = None) -> float:
    """Estimate the training time per token of the default base, in seconds.

    The pace of the newest finished job tells it; without one, the cores that
    this process may use.
    """
    measured = None if workspace is None else measure_speed(workspace)
    return measured or _CORE_SECONDS_PER_TOKEN / thread_count()


def measure_speed(workspace: Workspace) -> float | None:
    """Return `estimate_speed` if a finished job tells it."""
    finished = (j for j in workspace.jobs.list() if j.state is State.SUCCEEDED)
    paces = (_measure_pace(workspace, job) for job in finished)
    return next((pace for pace in paces if pace is not None), None)


def _measure_pace(workspace: Workspace, job: Job) -> float | None:
    """Return the training time per token of a finished job, for the default base."""
    events = workspace.jobs.events(job.id)
    times = [event.created_at for event in events if event.kind == "step"]
    known = {base.name: base for base in known_bases()}.get(job.base_model)
    tokens = job.results.get("trained_tokens")
    if len(times) < _MIN_TIMED_STEPS or not (known and tokens and job.steps):
        return None
    # Pauses and the validation after an epoch are no part of it.
    step_seconds = median(end - start for start, end in pairwise(times))
    return step_seconds * job.steps / float(tokens * (known.training_seconds(1.0) or 1))


def estimate_seconds(seconds_per_token: float, data: TrainingData) -> float:
    """Estimate the time to train the default base, in seconds."""
    return seconds_per_token * _count_tokens(data.examples, data.validation)


def training_duration(
    base: Base, examples: Sequence[TrainingExample], workspace: Workspace
) -> str | None:
    """Estimate the time to train a base, as text, if its size is known."""
    measured = measure_speed(workspace)
    speed = measured or estimate_speed()
    seconds = base.training_seconds(speed * _count_tokens(examples))
    if seconds is None:
        return None
    return estimated_duration(seconds, is_measured=measured is not None)


def training_bytes(base: Base) -> int:
    """Estimate the space that training a base needs, with its converted weights."""
    return save_bytes(base.adapter_bytes() or 0) + conversion_bytes(base)


def _count_tokens(
    examples: Sequence[TrainingExample], validation: Sequence[TrainingExample] = ()
) -> float:
    """Return the tokens of all epochs; validation has no backward pass."""
    epochs = resolve_hyperparameters({}, examples=len(examples)).n_epochs
    return sum(
        estimate_training(split, n_epochs=epochs).billed_tokens * cost
        for split, cost in ((examples, 1.0), (validation, 0.5))
    )


def choose_base(
    data: TrainingData,
    seconds: float | None = None,
    *,
    seconds_per_token: float | None = None,
    downloads: bool = True,
) -> BaseChoice:
    """Choose the best base for the memory, the time limit, and the language.

    Args:
        data: The training data.
        seconds: The time limit. `None` means an hour; if every base takes longer, the
            smallest one except the default is chosen.
        seconds_per_token: The speed of this machine, from `measure_speed()`; by
            default an estimate.
        downloads: Whether to include bases that are not on this machine.

    Returns:
        The base. If even the smallest takes longer, `limit` is the number of examples
        that fit the time limit.

    Raises:
        LocalServerError: If no available base supports the language.
    """
    language = detect_language(data.examples)
    choice = propose_base(
        language,
        estimate_seconds(seconds_per_token or estimate_speed(), data),
        _DEFAULT_LIMIT_SECONDS if seconds is None else seconds,
        downloads=downloads,
        with_default=seconds is not None,
    )
    choice = replace(choice, is_measured=seconds_per_token is not None)
    if seconds is None or choice.seconds <= seconds:
        return choice
    example_count = len(data.examples) + len(data.validation)
    limit = int(example_count * seconds / choice.seconds * _TIME_FRACTION)
    return replace(choice, limit=limit)


def choose_chat_base(
    language: str | None,
    *,
    seconds_per_token: float | None = None,
    downloads: bool = True,
) -> BaseChoice:
    """Choose the best untrained base that replies within seconds.

    Local bases other than the default are preferred to downloads. For the arguments,
    see `choose_base`.
    """
    return propose_base(
        language,
        _REPLY_TOKENS * (seconds_per_token or estimate_speed()),
        _MAX_REPLY_SECONDS,
        is_trained=False,
        downloads=downloads,
    )

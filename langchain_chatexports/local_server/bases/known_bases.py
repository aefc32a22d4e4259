"""Base models that are known to work, with their size, memory and license.

Sizes are those of bfloat16 weights. Memory is for training with chats of 1024 tokens
on a CPU: measured for the default, estimated from the size for the others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from langchain_chatexports.local_server.bases.description import DEFAULT_HUB_ID

__all__ = ["KnownBase", "fitting_bases", "list_bases", "suggest_base"]

_APACHE = "Apache-2.0"
# Python with its libraries, and what training adds to the weights: a second copy while
# they are read, activations, the logits of the whole vocabulary.
_LIBRARIES_BYTES = 700_000_000
_MEMORY_PER_WEIGHT_BYTE = 2.2
_DEFAULT_MEMORY_BYTES = 1_300_000_000
# The other half is for other programs.
_SHARE_OF_MACHINE = 0.5
# A step of 200 tokens takes 0.92 seconds of one core with 135 million parameters, and
# 5.9 with 1,544 million.
_TIME_EXPONENT = 0.76


@dataclass(frozen=True)
class KnownBase:
    """A base model that is known to work."""

    hub_id: str
    parameters: int
    license: str
    needs_agreement: bool = False
    """Whether its owner requires an agreement on the hub before the download."""

    note: str = ""

    @property
    def download_bytes(self) -> int:
        """The approximate size of the download."""
        return 2 * self.parameters

    @property
    def memory_bytes(self) -> int:
        """The approximate memory that training takes."""
        if self.hub_id == DEFAULT_HUB_ID:
            return _DEFAULT_MEMORY_BYTES
        return int(_LIBRARIES_BYTES + _MEMORY_PER_WEIGHT_BYTE * self.download_bytes)

    def training_seconds(self, seconds_of_default: float) -> float:
        """Estimate how long a training takes that was measured with the default base.

        Args:
            seconds_of_default: How long the same training takes with the default.
        """
        ratio = self.parameters / _BASES[0].parameters
        return float(seconds_of_default * ratio**_TIME_EXPONENT)


_BASES = (
    KnownBase(
        DEFAULT_HUB_ID, 134_515_008, _APACHE, note="the default; a tiny demo model"
    ),
    KnownBase("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, _APACHE),
    KnownBase("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768, _APACHE),
    KnownBase(
        "google/gemma-3-1b-it", 999_885_952, "Gemma terms of use", needs_agreement=True
    ),
    KnownBase(
        "meta-llama/Llama-3.2-1B-Instruct",
        1_235_814_400,
        "Llama 3.2 Community License",
        needs_agreement=True,
    ),
    KnownBase("Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304, _APACHE),
    KnownBase("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, _APACHE),
    KnownBase("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512, _APACHE, note="needs a GPU"),
)


def list_bases() -> tuple[KnownBase, ...]:
    """Return the known bases, smallest first."""
    return _BASES


def fitting_bases(memory_bytes: int | None = None) -> list[KnownBase]:
    """Return the freely licensed bases that half of the memory can train.

    Args:
        memory_bytes: The machine's memory; this machine's if `None`.

    Returns:
        The bases, smallest first; the default at least.
    """
    memory = machine_memory() if memory_bytes is None else memory_bytes
    return [
        base
        for base in _BASES
        if base.hub_id == DEFAULT_HUB_ID
        or (
            not base.needs_agreement and base.memory_bytes <= memory * _SHARE_OF_MACHINE
        )
    ]


def suggest_base(memory_bytes: int | None = None) -> KnownBase:
    """Return the largest freely licensed base that half of the memory can train.

    Args:
        memory_bytes: The machine's memory; this machine's if `None`.
    """
    return fitting_bases(memory_bytes)[-1]


def machine_memory() -> int:
    """Return the memory of this machine in bytes; 0 if unknown."""
    try:
        import psutil
    except ImportError:
        names = getattr(os, "sysconf_names", {})
        if "SC_PAGE_SIZE" in names and "SC_PHYS_PAGES" in names:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return 0
    return int(psutil.virtual_memory().total)

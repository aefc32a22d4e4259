"""Base models that are known to work, with their size, memory, license and languages.

They are the lines of `known_bases.csv`, from small to large; among similar sizes, the
best is last. Sizes are for bfloat16 weights, memory for training on chats of 1024
tokens on a CPU: measured for the default, and estimated from the size for the others.
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.local_server.bases.description import DEFAULT_HUB_ID

# Python with its libraries, and the overhead of training: a second copy of the weights
# while they are read, activations, and the logits of the whole vocabulary.
_LIBRARIES_BYTES = 700_000_000
_MEMORY_PER_WEIGHT_BYTE = 2.2
_DEFAULT_MEMORY_BYTES = 1_300_000_000
# The rest is for other programs.
_SHARE_OF_MACHINE = 0.5
# A step of 200 tokens takes 0.92 seconds of one core with 135 million parameters, and
# 5.9 with 1,544 million.
_TIME_EXPONENT = 0.76


@dataclass(frozen=True)
class KnownBase:
    """A base model that is known to work."""

    hub_id: str
    parameters: int  # In the download, including vision and audio parts.
    languages: str  # The languages, or their number.
    context: int  # The longest chat in tokens.
    license: str
    is_open: bool  # Whether the license is an open-source one.
    needs_agreement: bool  # Whether the hub requires one before the download.
    gguf: str | None  # The hub id of its weights for llama.cpp.
    note: str

    @property
    def download_bytes(self) -> int:
        """The approximate size of the download."""
        return 2 * self.parameters

    @property
    def memory_bytes(self) -> int:
        """The approximate memory for training."""
        if self.hub_id == DEFAULT_HUB_ID:
            return _DEFAULT_MEMORY_BYTES
        return int(_LIBRARIES_BYTES + _MEMORY_PER_WEIGHT_BYTE * self.download_bytes)

    @property
    def answering_memory_bytes(self) -> int:
        """The approximate memory for answers."""
        return _LIBRARIES_BYTES + self.download_bytes

    def speaks(self, language: str | None) -> bool:
        """Return whether the base knows a language; true if this is unknown."""
        if language is None or self.languages.isdecimal():
            return True
        known = self.languages.casefold().split(", ")
        return language.casefold() in known

    def training_seconds(self, default_seconds: float) -> float:
        """Convert the training time of the default base to this one."""
        ratio = self.parameters / _BASES[0].parameters
        return float(default_seconds * ratio**_TIME_EXPONENT)


def _read_table() -> Iterator[KnownBase]:
    table = Path(__file__).with_name("known_bases.csv").read_text("utf-8")
    for row in csv.DictReader(table.splitlines()):
        yield KnownBase(
            hub_id=row["hub_id"],
            parameters=int(row["parameters"]),
            languages=row["languages"],
            context=int(row["context"]),
            license=row["license"],
            is_open=row["is_open"] == "yes",
            needs_agreement=row["needs_agreement"] == "yes",
            gguf=row["gguf"] or None,
            note=row["note"],
        )


_BASES = tuple(_read_table())


def list_bases() -> tuple[KnownBase, ...]:
    """Return the known bases, from small to large."""
    return _BASES


def fitting_bases(
    memory_bytes: int | None = None, *, is_trained: bool = True
) -> list[KnownBase]:
    """Return the open-source bases that half of the memory can train."""
    memory = machine_memory() if memory_bytes is None else memory_bytes
    room = memory * _SHARE_OF_MACHINE

    def fits(base: KnownBase) -> bool:
        needed = base.memory_bytes if is_trained else base.answering_memory_bytes
        return base.is_open and needed <= room

    return [base for base in _BASES if base.hub_id == DEFAULT_HUB_ID or fits(base)]


def suggest_base(memory_bytes: int | None = None) -> KnownBase:
    """Return the best open-source base that half of the memory can train."""
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

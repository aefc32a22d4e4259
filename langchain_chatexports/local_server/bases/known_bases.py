"""Base models that are known to work, with their size, memory, license and languages.

`known_bases.csv` lists them from small to large, with the best of similar sizes last.
Sizes assume bfloat16 weights. Memory is for training on chats of 1024 tokens on a CPU:
measured for the default base, and estimated from the size for the others.
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.local_server.bases.description import DEFAULT_HUB_ID

# Python with its libraries, and the overhead of training: a second copy of the weights
# during loading, activations, and the logits of the whole vocabulary.
_LIBRARIES_BYTES = 700_000_000
_MEMORY_PER_WEIGHT_BYTE = 2.2
_DEFAULT_MEMORY_BYTES = 1_300_000_000
# Leave the rest for other programs.
_MACHINE_FRACTION = 0.5
# A step of 200 tokens takes 0.92 core-seconds with 135 million parameters, and 5.9 with
# 1,544 million.
_TIME_EXPONENT = 0.76


@dataclass(frozen=True)
class KnownBase:
    """A base model that is known to work."""

    hub_id: str
    parameters: int  # In the download, including vision and audio parts.
    languages: str  # Language names, or only their count.
    context: int  # The context length in tokens.
    license: str
    is_open: bool  # Whether the license is an open-source one.
    needs_agreement: bool  # Whether the hub requires a license agreement.
    gguf_hub_id: str | None  # The hub id of its weights for llama.cpp.
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
    def inference_memory_bytes(self) -> int:
        """The approximate memory for inference."""
        return _LIBRARIES_BYTES + self.download_bytes

    def supports_language(self, language: str | None) -> bool:
        """Return whether the base supports a language; true if unknown."""
        if language is None or self.languages.isdecimal():
            return True
        languages = self.languages.casefold().split(", ")
        return language.casefold() in languages

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
            gguf_hub_id=row["gguf"] or None,
            note=row["note"],
        )


_BASES = tuple(_read_table())


def list_bases() -> tuple[KnownBase, ...]:
    """Return the known bases, from small to large."""
    return _BASES


def fitting_bases(
    memory_bytes: int | None = None, *, is_trained: bool = True
) -> list[KnownBase]:
    """Return the open-source bases that fit in half of this machine's memory."""
    memory = machine_memory() if memory_bytes is None else memory_bytes
    available = memory * _MACHINE_FRACTION

    def fits(base: KnownBase) -> bool:
        needed = base.memory_bytes if is_trained else base.inference_memory_bytes
        return base.is_open and needed <= available

    return [base for base in _BASES if base.hub_id == DEFAULT_HUB_ID or fits(base)]


def suggest_base(memory_bytes: int | None = None) -> KnownBase:
    """Return the best open-source base trainable in half of this machine's memory."""
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

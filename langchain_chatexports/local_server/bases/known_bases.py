"""Base models that are known to work, with their size, memory, license and languages.

Sizes are those of bfloat16 weights. Memory is for training with chats of 1024 tokens
on a CPU: measured for the default, estimated from the size for the others.
"""

import os
from dataclasses import dataclass

from langchain_chatexports.local_server.bases.description import DEFAULT_HUB_ID

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
    """How many there are in the download, parts that see or hear included."""

    languages: str
    """The languages, or how many there are."""

    context: int
    """The longest chat in tokens."""

    gguf: str | None = None
    """The hub id of its weights for llama.cpp, by its publisher or llama.cpp's."""

    license: str = _APACHE
    is_open: bool = True
    """Whether the license is an open-source one."""

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


# From small to large; of similar size, the one to prefer comes last.
_BASES = (
    KnownBase(
        DEFAULT_HUB_ID,
        134_515_008,
        "English",
        8_192,
        note="the default; a tiny demo model",
    ),
    KnownBase(
        "LiquidAI/LFM2.5-350M",
        354_483_968,
        "8",
        32_768,
        "LiquidAI/LFM2.5-350M-GGUF",
        license="LFM Open License v1.0",
        is_open=False,
    ),
    KnownBase(
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        361_821_120,
        "English",
        8_192,
        "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF",
    ),
    KnownBase(
        "LiquidAI/LFM2.5-1.2B-Instruct",
        1_170_340_608,
        "8",
        32_768,
        "LiquidAI/LFM2.5-1.2B-Instruct-GGUF",
        license="LFM Open License v1.0",
        is_open=False,
    ),
    KnownBase(
        "openbmb/MiniCPM5-1B",
        1_080_632_832,
        "English, Chinese",
        131_072,
        "openbmb/MiniCPM5-1B-GGUF",
    ),
    KnownBase(
        "Qwen/Qwen3.5-0.8B",
        870_000_000,
        "201",
        262_144,
        "ggml-org/Qwen3.5-0.8B-GGUF",
    ),
    KnownBase(
        "Qwen/Qwen3.5-2B",
        2_270_000_000,
        "201",
        262_144,
        "ggml-org/Qwen3.5-2B-GGUF",
    ),
    KnownBase(
        "meta-llama/Llama-3.2-3B-Instruct",
        3_212_749_824,
        "8",
        131_072,
        license="Llama 3.2 Community",
        is_open=False,
        needs_agreement=True,
    ),
    KnownBase(
        "ibm-granite/granite-4.1-3b",
        3_402_836_480,
        "12",
        131_072,
        "ibm-granite/granite-4.1-3b-GGUF",
    ),
    KnownBase(
        "google/gemma-4-E2B-it",
        5_100_000_000,
        "140",
        131_072,
        "ggml-org/gemma-4-E2B-it-GGUF",
    ),
    KnownBase(
        "Qwen/Qwen3.5-4B",
        4_660_000_000,
        "201",
        262_144,
        "ggml-org/Qwen3.5-4B-GGUF",
    ),
    KnownBase(
        "Qwen/Qwen3-4B-Instruct-2507",
        4_022_468_096,
        "100",
        262_144,
        "ggml-org/Qwen3-4B-Instruct-2507-Q8_0-GGUF",
    ),
    KnownBase(
        "google/gemma-4-E4B-it",
        8_000_000_000,
        "140",
        131_072,
        "ggml-org/gemma-4-E4B-it-GGUF",
        note="needs a GPU",
    ),
    KnownBase(
        "ibm-granite/granite-4.1-8b",
        8_800_000_000,
        "12",
        131_072,
        "ibm-granite/granite-4.1-8b-GGUF",
        note="needs a GPU",
    ),
    KnownBase(
        "Qwen/Qwen3.5-9B",
        9_650_000_000,
        "201",
        262_144,
        note="needs a GPU",
    ),
)


def list_bases() -> tuple[KnownBase, ...]:
    """Return the known bases, from small to large; of similar size, the best last."""
    return _BASES


def fitting_bases(memory_bytes: int | None = None) -> list[KnownBase]:
    """Return the open-source bases that half of the memory can train.

    Args:
        memory_bytes: The machine's memory; this machine's if `None`.

    Returns:
        The bases in the order of `list_bases`; the default at least.
    """
    memory = machine_memory() if memory_bytes is None else memory_bytes
    return [
        base
        for base in _BASES
        if base.hub_id == DEFAULT_HUB_ID
        or (base.is_open and base.memory_bytes <= memory * _SHARE_OF_MACHINE)
    ]


def suggest_base(memory_bytes: int | None = None) -> KnownBase:
    """Return the best open-source base that half of the memory can train.

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

"""Choose the engine for a base: llama.cpp if possible, otherwise transformers."""

from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.local_server.bases.description import BaseDescription
from langchain_chatexports.local_server.bases.devices import (
    NVIDIA_DRIVER,
    choose_device,
    has_driver,
)
from langchain_chatexports.local_server.bases.gguf_adapter import GGUFNotSupportedError
from langchain_chatexports.local_server.bases.gguf_file import BaseGGUF, find_gguf
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.old_engines.llama_cpp import MAX_CHILDREN

_MIN_CONTEXT = 2048


@dataclass(frozen=True)
class EngineChoice:
    """The file for llama.cpp, or the reason for using transformers."""

    gguf: BaseGGUF | None
    max_context: int | None = None
    """The maximum context in tokens, from the memory; `None` without a limit."""

    reason: str | None = None

    def __str__(self) -> str:
        """Return the engine's name, and the reason for transformers."""
        return "llama.cpp" if self.reason is None else f"transformers, {self.reason}"


def choose_engine(description: BaseDescription, directory: Path) -> EngineChoice:
    """Choose the engine for a base, downloading its GGUF file if needed."""
    # Importing torch takes seconds, and most machines have no GPU for it.
    if has_driver(NVIDIA_DRIVER) and choose_device() == "cuda":
        return EngineChoice(None, reason="which uses the GPU")
    try:
        gguf = find_gguf(description, directory)
    except GGUFNotSupportedError as error:
        msg = f"because llama.cpp cannot run this base: {error}"
        return EngineChoice(None, reason=msg)
    return EngineChoice(gguf, max_context=_max_context(gguf.file))


def _max_context(file: Path) -> int:
    """Return the number of tokens whose keys and values fit in a child's memory.

    llama.cpp allocates them at startup, as 16-bit floats. All children together get a
    quarter of the machine's memory.
    """
    import psutil

    header = read_header(file)
    heads = header.dimension("attention.head_count") or 1
    default_size = header.dimension("embedding_length") // heads
    key_size = header.dimension("attention.key_length") or default_size
    key_heads = header.dimension("attention.head_count_kv") or heads
    bytes_per_token = max(
        1, 2 * 2 * header.dimension("block_count") * key_heads * key_size
    )
    child_bytes = psutil.virtual_memory().total // 4 // MAX_CHILDREN
    return max(_MIN_CONTEXT, int(child_bytes // bytes_per_token))

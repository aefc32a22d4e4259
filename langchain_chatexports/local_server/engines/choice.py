"""The choice of an engine for a base: llama.cpp if possible, or transformers."""

from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.local_server.bases.description import BaseDescription
from langchain_chatexports.local_server.bases.devices import (
    NVIDIA_DRIVER,
    choose_device,
    has_driver,
)
from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.gguf_file import BaseGGUF, gguf_of_base
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.engines.llama_cpp import MAX_CHILDREN

_MIN_CONTEXT = 2048


@dataclass(frozen=True)
class EngineChoice:
    """The file for llama.cpp, or the reason for using transformers."""

    gguf: BaseGGUF | None
    max_context: int | None = None
    """The longest context that memory allows, in tokens; `None` without a limit."""

    reason: str | None = None

    def __str__(self) -> str:
        """Return the engine's name and the reason, for a line on the terminal."""
        return "llama.cpp" if self.reason is None else f"transformers, {self.reason}"


def choose_engine(description: BaseDescription, directory: Path) -> EngineChoice:
    """Choose the engine for a base; its GGUF file is downloaded if needed."""
    # Importing torch takes seconds, and most machines have no GPU for it.
    if has_driver(NVIDIA_DRIVER) and choose_device() == "cuda":
        return EngineChoice(None, reason="which uses the GPU")
    try:
        gguf = gguf_of_base(description, directory)
    except NoGGUFError as error:
        msg = f"because llama.cpp cannot answer for this base: {error}"
        return EngineChoice(None, reason=msg)
    return EngineChoice(gguf, max_context=_max_context(gguf.file))


def _max_context(file: Path) -> int:
    """Return how many tokens' keys and values fit into a child's share of the memory.

    llama.cpp allocates them when it starts, in 16 bits. All children have a quarter.
    """
    import psutil

    header = read_header(file)
    heads = header.dimension("attention.head_count") or 1
    width = header.dimension("embedding_length") // heads
    size = header.dimension("attention.key_length") or width
    key_heads = header.dimension("attention.head_count_kv") or heads
    bytes_per_token = max(1, 2 * 2 * header.dimension("block_count") * key_heads * size)
    share = psutil.virtual_memory().total // 4 // MAX_CHILDREN
    return max(_MIN_CONTEXT, int(share // bytes_per_token))

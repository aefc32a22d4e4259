"""The engine that answers for a base: llama.cpp where it can, or transformers."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from langchain_chatexports.local_server.bases.description import BaseDescription
from langchain_chatexports.local_server.bases.devices import (
    NVIDIA_DRIVER,
    choose_device,
    has_driver,
)
from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.gguf_file import BaseGGUF, gguf_of_base
from langchain_chatexports.local_server.storage.data_directory import read_json

_MIN_CONTEXT = 2048


@dataclass(frozen=True)
class EngineChoice:
    """Which engine answers, and why."""

    gguf: BaseGGUF | None
    """What llama.cpp loads; `None` where transformers answers."""

    max_context: int | None = None
    """The longest context that memory allows, in tokens; `None` without a limit."""

    reason: str | None = None
    """Why llama.cpp does not answer; `None` where it does."""

    def __str__(self) -> str:
        """Return the engine's name and the reason, for a line on the terminal."""
        return "llama.cpp" if self.reason is None else f"transformers, {self.reason}"


def choose_engine(description: BaseDescription, directory: Path) -> EngineChoice:
    """Choose the engine for a base; checks its GGUF file when it is first used.

    Args:
        description: The base.
        directory: The same base in transformers' format.
    """
    if find_spec("xllamacpp") is None:
        msg = "because xllamacpp is not installed, which has wheels for most systems"
        return EngineChoice(None, reason=msg)
    # Importing torch takes seconds, and most machines have no such GPU.
    if has_driver(NVIDIA_DRIVER) and choose_device() == "cuda":
        return EngineChoice(None, reason="which uses the GPU")
    try:
        gguf = gguf_of_base(description, directory)
    except NoGGUFError as error:
        msg = f"because llama.cpp cannot answer for this base: {error}"
        return EngineChoice(None, reason=msg)
    return EngineChoice(gguf, max_context=_max_context(directory))


def _max_context(directory: Path) -> int:
    """Return how many tokens the keys and values of a quarter of the memory are of.

    llama.cpp allocates them when it starts, in 16 bits.
    """
    import psutil

    config = read_json(directory / "config.json") or {}
    config = {**config, **(config.get("text_config") or {})}
    heads = int(config.get("num_attention_heads") or 1)
    size = int(config.get("head_dim") or int(config.get("hidden_size") or 0) // heads)
    key_heads = int(config.get("num_key_value_heads") or heads)
    layers = int(config.get("num_hidden_layers") or 1)
    bytes_per_token = max(1, 2 * 2 * layers * key_heads * size)
    return max(_MIN_CONTEXT, int(psutil.virtual_memory().total // 4 // bytes_per_token))

"""How the model families that llama.cpp knows are written as GGUF.

Names of tensors are those of the package `gguf`. What it does not say is here: which
architecture a family has, and how its weights differ from those of transformers
(llama.cpp's `conversion/llama.py`, `qwen.py` and `gemma.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = ["Architecture", "find_architecture", "permute_heads"]


@dataclass(frozen=True)
class Architecture:
    """A model family in GGUF."""

    name: str
    """GGUF's name."""

    permutes_heads: bool = False
    """Whether the rows of q and k stand in another order than in transformers."""

    shifts_norms: bool = False
    """Whether transformers adds 1 to the weights of norms, and GGUF has them added."""

    def heads_of(self, name: str, config: Mapping[str, Any]) -> int | None:
        """Return the number of heads by which a matrix is permuted; `None` if not.

        Args:
            name: Its name in transformers, without `.weight`.
            config: The model's text configuration.
        """
        if not self.permutes_heads:
            return None
        heads = int(config["num_attention_heads"])
        if name.endswith(".q_proj"):
            return heads
        if name.endswith(".k_proj"):
            return int(config.get("num_key_value_heads") or heads)
        return None


_LLAMA = Architecture("llama", permutes_heads=True)
_BY_MODEL_TYPE = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": Architecture("qwen2"),
    "qwen3": Architecture("qwen3"),
    "gemma2": Architecture("gemma2", shifts_norms=True),
    "gemma3_text": Architecture("gemma3", shifts_norms=True),
    "phi3": Architecture("phi3"),
}


def find_architecture(model_type: str) -> Architecture | None:
    """Return the architecture of transformers' `model_type`, or `None`."""
    return _BY_MODEL_TYPE.get(model_type)


def permute_heads(rows: np.ndarray, heads: int) -> np.ndarray:
    """Return the rows of q or k in GGUF's order.

    transformers rotates the first half of a head's rows against the second, GGUF each
    row against the next.

    Args:
        rows: The matrix, or the part of it that has its rows.
        heads: The number of heads that the rows belong to.
    """
    halves = rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:])
    permuted: np.ndarray = halves.swapaxes(1, 2).reshape(rows.shape)
    return permuted

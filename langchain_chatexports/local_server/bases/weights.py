"""A base's weights: in which precision they are loaded, for answers and for training.

On a GPU whose memory would not hold a large base twice, once to answer and once to
learn, the weights are read into 4 bits each (NF4, as in QLoRA) by bitsandbytes. Both
sides read them so: an adapter is served on the very weights that it was trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.local_server.bases.devices import choose_device, choose_dtype
from langchain_chatexports.local_server.bases.sources import check_safe

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_weights", "load_base", "uses_4_bits"]

# Below it any GPU that is worth its name holds the weights twice.
_MIN_BYTES = 2_000_000_000
# Two copies, and what a training needs beside its own.
_COPIES = 2.5


def uses_4_bits(directory: Path, device: str) -> bool:
    """Return whether a base is too large for this machine's GPU as it is.

    Args:
        directory: The base in transformers' format.
        device: Where it will run.
    """
    if device != "cuda":
        return False
    size = _size_bytes(directory)
    return size >= _MIN_BYTES and size * _COPIES > _gpu_bytes()


def check_weights(directory: Path) -> None:
    """Refuse a base that needs 4 bits where bitsandbytes is missing.

    Args:
        directory: The base in transformers' format.

    Raises:
        MissingExtraError: If it is.
    """
    from importlib.util import find_spec

    # Small bases are known without torch, whose import takes a second.
    if _size_bytes(directory) < _MIN_BYTES or find_spec("bitsandbytes"):
        return
    if uses_4_bits(directory, choose_device()):
        feature = "A base of this size on this GPU"
        raise MissingExtraError(feature, "qlora")


def load_base(directory: Path, device: str, dtype: str | None = None) -> Any:
    """Load a base's weights from safetensors onto a device.

    Args:
        directory: The base in transformers' format.
        device: Where it will run.
        dtype: The precision, such as `bfloat16`; the fastest here if `None`.

    Raises:
        LocalServerError: If that would read anything else.
    """
    check_safe(directory)
    import torch
    from transformers import AutoModelForCausalLM

    precision = getattr(torch, dtype or choose_dtype(device))
    options = (
        _options_of_4_bits(precision, device) if uses_4_bits(directory, device) else {}
    )
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=precision,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **options,
    )
    # Weights of 4 bits are made in their place and cannot be moved.
    return model if options else model.to(device)


def _options_of_4_bits(dtype: Any, device: str) -> dict[str, Any]:
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def _size_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("*.safetensors"))


def _gpu_bytes() -> int:
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory)

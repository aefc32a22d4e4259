"""Loading a base's weights, in 4 bits where the GPU is too small.

If a GPU cannot hold a large base twice, for chats and for training, bitsandbytes loads
the weights in 4 bits (NF4, as in QLoRA). Both sides do so: an adapter is served on the
same weights that it was trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.local_server.bases.devices import choose_device, choose_dtype
from langchain_chatexports.local_server.bases.safety import check_safe

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_weights", "has_short_memory", "load_base", "uses_4_bits"]

# Any usual GPU holds smaller weights twice.
_MIN_BYTES = 2_000_000_000
# Two copies, and the activations of training.
_COPIES = 2.5
# Activations of a training by the weights: 10 GB for 1,000 tokens of a base of 7 GB,
# and some memory for other programs.
_ACTIVATIONS = 2.0


def uses_4_bits(directory: Path, device: str) -> bool:
    """Return whether a base must be loaded in 4 bits on this machine's GPU.

    Args:
        directory: The base in transformers' format.
        device: The device, such as `cuda`.
    """
    if device != "cuda":
        return False
    size = _size_bytes(directory)
    return size >= _MIN_BYTES and size * _COPIES > _gpu_bytes()


def has_short_memory(model: Any, device: str) -> bool:
    """Return whether a training must compute activations twice to save memory.

    Args:
        model: The loaded base.
        device: The device that it is on.
    """
    import psutil

    if device != "cpu":
        return False
    needed = _ACTIVATIONS * model.get_memory_footprint()
    return bool(psutil.virtual_memory().available < needed)


def check_weights(directory: Path) -> None:
    """Refuse a base that must be loaded in 4 bits if bitsandbytes is missing.

    Args:
        directory: The base in transformers' format.

    Raises:
        MissingExtraError: If it is missing.
    """
    from importlib.util import find_spec

    # Importing torch takes a second, and small bases do not need it here.
    if _size_bytes(directory) < _MIN_BYTES or find_spec("bitsandbytes"):
        return
    if uses_4_bits(directory, choose_device()):
        feature = "A base of this size on this GPU"
        raise MissingExtraError(feature, "qlora")


def load_base(directory: Path, device: str, dtype: str | None = None) -> Any:
    """Load a base's weights from safetensors to a device.

    Args:
        directory: The base in transformers' format.
        device: The device, such as `cuda`.
        dtype: The precision, such as `bfloat16`; the fastest one if `None`.

    Raises:
        LocalServerError: If that would read other files.
    """
    check_safe(directory)
    import torch
    from transformers import AutoModelForCausalLM

    precision = getattr(torch, dtype or choose_dtype(device))
    options = (
        _4_bit_options(precision, device) if uses_4_bits(directory, device) else {}
    )
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=precision,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **options,
    )
    # 4-bit weights are created on the device and cannot be moved.
    return model if options else model.to(device)


def _4_bit_options(dtype: Any, device: str) -> dict[str, Any]:
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

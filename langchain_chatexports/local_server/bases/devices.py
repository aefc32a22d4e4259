"""Device and precision of a model, and its errors for a lack of memory."""

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")

_ROWS, _INNER, _COLUMNS = 256, 576, 1536
_ROUNDS = 4


def choose_device() -> str:
    """Return `cuda`, `mps` or `cpu`: the fastest device on this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def has_nvidia_driver() -> bool:
    """Return whether there is a driver, without importing torch."""
    return _NVIDIA_DRIVER.exists() or shutil.which("nvidia-smi") is not None


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise a `MemoryError` when torch's memory runs out, on any device."""
    try:
        yield
    except RuntimeError as error:
        from torch import OutOfMemoryError

        # The allocator of CPUs has no class and no code: `alloc_cpu.cpp`.
        is_cpu = "DefaultCPUAllocator: can't allocate memory" in str(error)
        if is_cpu or isinstance(error, OutOfMemoryError):
            raise MemoryError from error
        raise


@cache
def choose_dtype(device: str) -> str:
    """Return `bfloat16` if it is faster on this device, otherwise `float32`.

    CPUs without bfloat16 instructions emulate it, several times slower than float32. So
    both are measured once per process, with matrices of a small model's size.
    """
    import torch

    if device == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if has_bfloat16 else "float32"
    if device == "mps":  # It needs macOS 14. Not run here.
        return "bfloat16"
    best_seconds = {"bfloat16": math.inf, "float32": math.inf}
    # Alternate them, so that other programs slow down both equally.
    for _ in range(_ROUNDS):
        for dtype, seconds in best_seconds.items():
            best_seconds[dtype] = min(seconds, _measure_seconds(getattr(torch, dtype)))
    return min(best_seconds, key=lambda dtype: best_seconds[dtype])


def _measure_seconds(dtype: Any) -> float:
    import torch

    left = torch.ones((_ROWS, _INNER), dtype=dtype)
    right = torch.ones((_INNER, _COLUMNS), dtype=dtype)
    start = time.process_time()
    torch.matmul(left, right)
    return time.process_time() - start

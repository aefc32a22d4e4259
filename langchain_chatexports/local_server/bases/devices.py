"""Device and precision of a model."""

import math
import shutil
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

NVIDIA_DRIVER = "/proc/driver/nvidia/version"

_ROWS, _INNER, _COLUMNS = 256, 576, 1536
_ROUNDS = 4
_GPU_DRIVERS = (NVIDIA_DRIVER, "/dev/kfd")


def choose_device() -> str:
    """Return `cuda`, `mps` or `cpu`: the fastest device on this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def has_driver(*files: str) -> bool:
    """Return whether a driver file or `nvidia-smi` exists."""
    return (
        any(Path(file).exists() for file in files)
        or shutil.which("nvidia-smi") is not None
    )


def predict_device() -> str:
    """Return the device, without importing torch if there is no GPU driver.

    The import takes seconds, and most machines have no GPU for torch.
    """
    may_have_gpu = sys.platform == "darwin" or has_driver(*_GPU_DRIVERS)
    return choose_device() if may_have_gpu else "cpu"


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
    best_seconds = {"bfloat16": math.inf, "float32": math.inf}
    try:
        # Alternate them, so that other programs slow down both equally.
        for _ in range(_ROUNDS):
            for dtype, seconds in best_seconds.items():
                best_seconds[dtype] = min(
                    seconds, _measure_seconds(getattr(torch, dtype), device)
                )
    except (RuntimeError, TypeError):
        return "float32"
    return min(best_seconds, key=lambda dtype: best_seconds[dtype])


def _measure_seconds(dtype: Any, device: str) -> float:
    import torch

    clock = time.process_time if device == "cpu" else time.perf_counter
    left = torch.ones((_ROWS, _INNER), dtype=dtype, device=device)
    right = torch.ones((_INNER, _COLUMNS), dtype=dtype, device=device)
    start = clock()
    # Reading a number waits for asynchronous devices.
    float((left @ right)[0, 0])
    return clock() - start

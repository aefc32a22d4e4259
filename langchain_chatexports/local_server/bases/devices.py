"""The device and the precision that a model runs with."""

from __future__ import annotations

import math
import time
from functools import cache
from typing import Any

__all__ = ["choose_device", "choose_dtype", "used_memory"]

_ROWS, _INNER, _COLUMNS = 256, 576, 1536
_ROUNDS = 8


def choose_device() -> str:
    """Return `cuda`, `mps` or `cpu`: the fastest device of this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


@cache
def choose_dtype(device: str) -> str:
    """Return `bfloat16` if it is faster on this device, otherwise `float32`.

    CPUs without bfloat16 instructions emulate it, several times slower than float32, so
    both are measured once per process, with matrices as in a small model.
    """
    import torch

    if device == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if has_bfloat16 else "float32"
    best = {"bfloat16": math.inf, "float32": math.inf}
    try:
        # Alternating, and in CPU time: other programs slow down both equally.
        for _ in range(_ROUNDS):
            for dtype, seconds in best.items():
                best[dtype] = min(seconds, _seconds(getattr(torch, dtype), device))
    except (RuntimeError, TypeError):
        return "float32"
    return min(best, key=lambda dtype: best[dtype])


def used_memory() -> int:
    """Return this process's memory in bytes, on the GPU where it has one."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)


def _seconds(dtype: Any, device: str) -> float:
    import torch

    clock = time.process_time if device == "cpu" else time.perf_counter
    left = torch.ones((_ROWS, _INNER), dtype=dtype, device=device)
    right = torch.ones((_INNER, _COLUMNS), dtype=dtype, device=device)
    start = clock()
    # Reading one number waits for asynchronous devices.
    float((left @ right)[0, 0])
    return clock() - start

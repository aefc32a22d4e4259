"""Where the mathematics runs, and in which precision."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["choose_device", "choose_dtype", "used_memory"]

_ROWS, _INNER, _COLUMNS = 256, 576, 1536
_ROUNDS = 5


def choose_device() -> str:
    """Give `cuda`, `mps` or `cpu`: the fastest that this machine has."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def choose_dtype(device: str) -> Any:
    """Give bfloat16 where it is faster here, else float32.

    Processors without instructions for bfloat16 emulate it, several times slower than
    float32; so it is measured, with a multiplication as in a small model.
    """
    import torch

    if device == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bfloat16 else torch.float32
    try:
        is_faster = _seconds(torch.bfloat16, device) < _seconds(torch.float32, device)
    except (RuntimeError, TypeError):
        return torch.float32
    return torch.bfloat16 if is_faster else torch.float32


def used_memory() -> int:
    """Give the bytes of memory that this process holds, on the GPU where it has one."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)


def _seconds(dtype: Any, device: str) -> float:
    import torch

    left = torch.ones((_ROWS, _INNER), dtype=dtype, device=device)
    right = torch.ones((_INNER, _COLUMNS), dtype=dtype, device=device)
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        # Reading one number waits for devices that work on their own.
        float((left @ right)[0, 0])
        best = min(best, time.perf_counter() - start)
    return best

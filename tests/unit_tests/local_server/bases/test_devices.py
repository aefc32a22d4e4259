"""The choice of the precision by measurement."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from langchain_chatexports.local_server.bases import devices


@pytest.fixture(autouse=True)
def _clear_cache() -> Iterator[None]:
    devices.choose_dtype.cache_clear()
    yield
    devices.choose_dtype.cache_clear()


def _fake_timings(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> list[str]:
    measured: list[str] = []

    def measure(dtype: Any) -> float:
        measured.append(str(dtype).removeprefix("torch."))
        # Another program slows down the first measurements.
        return seconds[measured[-1]] + (9 if len(measured) < 4 else 0)

    monkeypatch.setattr(devices, "_measure_seconds", measure)
    return measured


@pytest.mark.parametrize(
    ("bfloat16", "float32", "chosen"), [(1.0, 2.0, "bfloat16"), (2.0, 1.0, "float32")]
)
def test_faster_dtype_is_measured_once(
    monkeypatch: pytest.MonkeyPatch, bfloat16: float, float32: float, chosen: str
) -> None:
    measured = _fake_timings(monkeypatch, bfloat16=bfloat16, float32=float32)
    assert devices.choose_dtype("cpu") == chosen
    rounds = len(measured)
    assert devices.choose_dtype("cpu") == chosen
    assert len(measured) == rounds


def test_apples_gpus_use_bfloat16_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _fake_timings(monkeypatch, bfloat16=2.0, float32=1.0)
    assert devices.choose_dtype("mps") == "bfloat16"
    assert not measured


def test_lack_of_memory_is_a_memory_error_on_any_device() -> None:
    with pytest.raises(MemoryError), devices.memory_errors():
        torch.empty(10**14)
    with pytest.raises(MemoryError), devices.memory_errors():
        raise torch.OutOfMemoryError
    with pytest.raises(RuntimeError, match="shapes"), devices.memory_errors():
        torch.matmul(torch.ones(2, 3), torch.ones(2, 3))

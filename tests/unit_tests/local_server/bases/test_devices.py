"""The choice of the precision by measurement."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.local_server.bases import devices


@pytest.fixture(autouse=True)
def _clear_cache() -> Iterator[None]:
    devices.choose_dtype.cache_clear()
    yield
    devices.choose_dtype.cache_clear()


def _fake_timings(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> list[str]:
    measured: list[str] = []

    def measure(dtype: Any, _: str) -> float:
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


@pytest.mark.parametrize("has_driver", [True, False])
@pytest.mark.skipif(sys.platform == "darwin", reason="Macs have no driver's file")
def test_torch_is_imported_only_with_a_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_driver: bool
) -> None:
    driver = tmp_path / "version"
    if has_driver:
        driver.write_text("")
    monkeypatch.setattr(devices, "_GPU_DRIVERS", (str(driver),))
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(devices, "choose_device", lambda: "cuda")
    assert devices.predict_device() == ("cuda" if has_driver else "cpu")

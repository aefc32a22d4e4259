"""Adapters for GGUF files: the order of rows, and refused files."""

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from langchain_chatexports.local_server.bases.gguf_adapter import (
    GGUFNotSupportedError,
    Matrix,
    match_matrices,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_header import GGUFHeader, read_header
from langchain_chatexports.local_server.bases.weights import load_base
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import write_random_adapter, write_tiny_base

_WEIGHTS = "adapter_model.safetensors"
_Q = "layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def base(tiny_gguf: Path) -> GGUFHeader:
    return read_header(tiny_gguf)


@pytest.fixture(scope="module")
def matrices(tiny_base: Path, base: GGUFHeader) -> dict[str, Matrix]:
    return match_matrices(tiny_base, base)


@pytest.fixture
def adapter(tiny_base: Path, tmp_path: Path) -> Path:
    return write_random_adapter(tiny_base, tmp_path / "adapter")


def test_row_order_is_found(matrices: dict[str, Matrix]) -> None:
    """llama.cpp rotates adjacent rows, and transformers the halves of a head."""
    name, rows, columns = matrices[_Q]
    assert (name, columns) == ("blk.0.attn_q", None)
    assert rows is not None
    assert rows[:4] == [0, 8, 1, 9]
    assert matrices["layers.1.mlp.down_proj"] == ("blk.1.ffn_down", None, None)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q5_1", "Q4_1", "Q4_0"])
def test_quantized_weights_match(
    tiny_base: Path, tmp_path: Path, matrices: dict[str, Matrix], kind: str
) -> None:
    rounded = write_gguf(tiny_base, tmp_path / "rounded.gguf", kind=kind)
    assert match_matrices(tiny_base, read_header(rounded)) == matrices


def _swap_rows(values: Any) -> None:
    values[[3, 4]] = values[[4, 3]].clone()


def _add_noise(values: Any) -> None:
    values += 0.1 * values.std() * values.new_ones(values.shape).normal_()


@pytest.mark.parametrize("change", [_swap_rows, _add_noise])
def test_other_weights_are_refused(
    base: GGUFHeader, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    import torch

    other = write_tiny_base(tmp_path / "other")
    model = load_base(other, "cpu", "float32")
    with torch.no_grad():
        change(model.model.layers[1].mlp.down_proj.weight)
        change(model.model.layers[1].mlp.down_proj.weight.T)
    model.save_pretrained(other)
    with pytest.raises(GGUFNotSupportedError, match="does not have the weights"):
        match_matrices(other, base)


def test_unknown_architecture_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(tmp_path / "new.gguf", "hare9")
    writer.add_tensor("output_norm.weight", np.zeros(7, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(GGUFNotSupportedError, match="hare9"):
        match_matrices(tiny_base, read_header(tmp_path / "new.gguf"))


def test_adapter_has_the_row_order_of_the_base(
    adapter: Path, base: GGUFHeader, matrices: dict[str, Matrix]
) -> None:
    files = {path.name for path in adapter.iterdir()}
    written = write_gguf_adapter(adapter, base, matrices)
    header = read_header(written)
    assert header.fields["general.type"] == "adapter"
    assert header.fields["adapter.lora.alpha"] == 64.0
    tensors = load_file(adapter / _WEIGHTS)
    up = tensors[f"base_model.model.model.{_Q}.lora_B.weight"]
    found = header.read_tensor("blk.0.attn_q.weight.lora_b")
    np.testing.assert_array_equal(found, up[matrices[_Q].rows])
    assert {path.name for path in adapter.iterdir()} == {*files, "adapter.gguf"}
    if sys.platform != "win32":
        assert stat.S_IMODE(written.stat().st_mode) == 0o600


def _truncate(folder: Path) -> None:
    path = folder / _WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def _drop_tensor(folder: Path) -> None:
    tensors = load_file(folder / _WEIGHTS)
    save_file(dict(list(tensors.items())[1:]), folder / _WEIGHTS)


@pytest.mark.parametrize("damage", [_truncate, _drop_tensor])
def test_damaged_adapter_is_refused(
    adapter: Path, base: GGUFHeader, matrices: dict[str, Matrix], damage: Any
) -> None:
    damage(adapter)
    with pytest.raises(GGUFNotSupportedError):
        write_gguf_adapter(adapter, base, matrices)
    assert not list(adapter.glob("*.gguf*"))

"""Headers of GGUF files, and damaged files."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.local_server.bases.gguf_header import (
    GGUFFileError,
    GGUFList,
    read_header,
    rewrite,
)
from tests.unit_tests.builders.bare_engine import BareEngine
from tests.unit_tests.builders.gguf import write_gguf


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_layer_norm_rms_eps(0.5)
    writer.add_token_list(["a", "b", "c"])
    writer.add_token_scores([1.0, 2.0, 3.0])
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((3, 5), np.float32))
    writer.add_tensor("output_norm.weight", np.zeros(7, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def _read(content: bytes, folder: Path) -> object:
    path = folder / "file.gguf"
    path.write_bytes(content)
    return read_header(path)


def test_fields_and_shapes_are_read(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    path.write_bytes(small)
    header = read_header(path)
    assert header.fields == {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.attention.layer_norm_rms_epsilon": 0.5,
        "tokenizer.ggml.tokens": (8, 3),
        "tokenizer.ggml.scores": (6, 3),
    }
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
    assert shapes == {"blk.0.attn_q.weight": (3, 5), "output_norm.weight": (7,)}
    np.testing.assert_array_equal(header.read_tensor("output_norm.weight"), np.zeros(7))


def _without_positions(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value[:2] if isinstance(value, GGUFList) else value
        for name, value in fields.items()
    }


@pytest.mark.parametrize(("kind", "step"), [("Q8_0", 0.02), ("F16", 0.001)])
def test_file_is_rewritten_in_another_type(
    tiny_base: Path, tmp_path: Path, kind: str, step: float
) -> None:
    """With other values and another template, except for tensors in 32 bits."""
    source = read_header(write_gguf(tiny_base, tmp_path / "4.gguf", kind="Q4_1"))
    target = tmp_path / "again.gguf"
    rewrite(
        source,
        target,
        kind=kind,
        template="{{ 'another' }}",
        change=lambda name, values: values + (name == "blk.0.ffn_up.weight"),
    )
    found = read_header(target)
    assert _without_positions(found.fields) == {
        **_without_positions(source.fields),
        "general.file_type": {"Q8_0": 7, "F16": 1}[kind],
        "tokenizer.chat_template": "{{ 'another' }}",
    }
    for name, tensor in source.tensors.items():
        assert found.tensors[name].shape == tensor.shape
        expected = tensor.kind.name.replace("Q4_1", kind)
        assert found.tensors[name].kind.name == expected
        change = name == "blk.0.ffn_up.weight"
        written, original = found.read_tensor(name), source.read_tensor(name)
        difference = np.abs(written - original - change).max()
        assert difference < step
    pytest.importorskip("xllamacpp")
    assert BareEngine(target).log_likelihoods([5, 6, 7])


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, b"GGJT", "not a GGUF file"),
        (4, struct.pack("<I", 1), "version"),
        (8, struct.pack("<Q", 2**63), "truncated"),
        (16, struct.pack("<Q", 2**40), "truncated"),
        (24, struct.pack("<Q", 2**62), "truncated"),
    ],
)
def test_impossible_count_is_refused(
    small: bytes, tmp_path: Path, at: int, value: bytes, reason: str
) -> None:
    with pytest.raises(GGUFFileError, match=reason):
        _read(small[:at] + value + small[at + len(value) :], tmp_path)


def test_list_beyond_the_end_is_refused(small: bytes, tmp_path: Path) -> None:
    """The package `gguf` reads such a list to its end, which takes forever."""
    at = small.index(b"tokenizer.ggml.tokens") + len(b"tokenizer.ggml.tokens") + 8
    for length in (2**20, 2**63):
        damaged = small[:at] + struct.pack("<Q", length) + small[at + 8 :]
        with pytest.raises(GGUFFileError, match="truncated"):
            _read(damaged, tmp_path)


def test_tensor_beyond_the_end_is_refused(small: bytes, tmp_path: Path) -> None:
    with pytest.raises(GGUFFileError, match="not within the file"):
        _read(small[:-32], tmp_path)


@given(
    cut=st.integers(0, 400),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
)
def test_any_damage_raises_only_this_error(
    small: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    cut: int,
    flips: list[tuple[int, int]],
) -> None:
    content = bytearray(small[: len(small) - cut])
    for at, value in flips:
        if at < len(content):
            content[at] = value
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(content)
    with suppress(GGUFFileError):
        read_header(path)

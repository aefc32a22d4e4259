"""Adapters written as GGUF files: which, how, and what never reaches llama.cpp."""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from langchain_chatexports.local_server.bases.gguf_adapter import (
    NoGGUFError,
    check_gguf_adapter,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_header import GGUFHeader, read_header

if TYPE_CHECKING:
    from pathlib import Path

_RANK = 2
# The tiny base's: rows and columns.
_MATRICES = {
    "self_attn.q_proj": (32, 32),
    "self_attn.k_proj": (16, 32),
    "mlp.down_proj": (32, 64),
}
_SETTINGS: dict[str, Any] = {
    "peft_type": "LORA",
    "r": _RANK,
    "lora_alpha": 4,
    "bias": "none",
    "target_modules": ["q_proj", "k_proj", "down_proj"],
    "use_dora": False,
    "use_rslora": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "megatron_core": "megatron.core",
    "qalora_group_size": 16,
}
_WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    random = np.random.default_rng(1)
    tensors = {}
    # The tenth layer must not come before the second.
    for layer in (0, 1):
        for name, (rows, columns) in _MATRICES.items():
            key = f"base_model.model.model.layers.{layer}.{name}"
            shapes = {"lora_A": (_RANK, columns), "lora_B": (rows, _RANK)}
            for side, shape in shapes.items():
                values = random.normal(size=shape).astype(np.float32)
                tensors[f"{key}.{side}.weight"] = values
    save_file(tensors, folder / _WEIGHTS)
    (folder / "adapter_config.json").write_text(json.dumps(_SETTINGS), "utf-8")
    return folder


@pytest.fixture
def base() -> GGUFHeader:
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k"}
    shapes: dict[str, tuple[int, ...]] = {
        f"blk.{layer}.{names.get(name, 'ffn_down')}.weight": shape
        for layer in (0, 1)
        for name, shape in _MATRICES.items()
    }
    return GGUFHeader({"general.architecture": "llama"}, {}, shapes)


def test_a_written_adapter_has_the_names_of_the_base_and_is_private(
    adapter: Path, tiny_base: Path, base: GGUFHeader
) -> None:
    written = write_gguf_adapter(adapter, tiny_base)
    header = read_header(written)
    assert header.fields["general.type"] == "adapter"
    assert header.fields["adapter.lora.alpha"] == 4.0
    assert len(header.shapes) == 2 * len(base.shapes)
    assert header.shapes["blk.1.ffn_down.weight.lora_a"] == (_RANK, 64)
    check_gguf_adapter(written, base)
    assert {path.name for path in adapter.iterdir()} == {
        "adapter.gguf",
        "adapter_config.json",
        _WEIGHTS,
    }
    if sys.platform != "win32":
        assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_the_same_adapter_gives_the_same_bytes(adapter: Path, tiny_base: Path) -> None:
    first = write_gguf_adapter(adapter, tiny_base).read_bytes()
    assert write_gguf_adapter(adapter, tiny_base).read_bytes() == first


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"use_rslora": True}, "use_rslora"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"a_variant_of_tomorrow": True}, "a_variant_of_tomorrow"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"peft_type": "LOHA"}, "no LoRA adapter"),
        ({"lora_alpha": "much"}, "lora_alpha"),
    ],
)
def test_what_is_not_plain_lora_is_refused_by_name(
    adapter: Path, tiny_base: Path, changes: dict[str, Any], reason: str
) -> None:
    text = json.dumps(_SETTINGS | changes)
    (adapter / "adapter_config.json").write_text(text, "utf-8")
    with pytest.raises(NoGGUFError, match=reason):
        write_gguf_adapter(adapter, tiny_base)
    assert not list(adapter.glob("*.gguf*"))


def _cut(folder: Path) -> None:
    path = folder / _WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def _without_one_side(folder: Path) -> None:
    tensors = load_file(folder / _WEIGHTS)
    save_file(dict(list(tensors.items())[1:]), folder / _WEIGHTS)


def _with_nan(folder: Path) -> None:
    tensors = load_file(folder / _WEIGHTS)
    next(iter(tensors.values()))[0, 0] = np.nan
    save_file(tensors, folder / _WEIGHTS)


def _with_another_tensor(folder: Path) -> None:
    tensors = load_file(folder / _WEIGHTS)
    save_file(tensors | {"lm_head.weight": np.zeros((2, 2))}, folder / _WEIGHTS)


def _with_an_odd_number_of_rows(folder: Path) -> None:
    tensors = load_file(folder / _WEIGHTS)
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    save_file(tensors | {key: tensors[key][:31]}, folder / _WEIGHTS)


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _without_one_side,
        _with_nan,
        _with_another_tensor,
        _with_an_odd_number_of_rows,
    ],
)
def test_a_damaged_adapter_is_refused(
    adapter: Path, tiny_base: Path, damage: Any
) -> None:
    damage(adapter)
    with pytest.raises(NoGGUFError):
        write_gguf_adapter(adapter, tiny_base)
    assert not list(adapter.glob("*.gguf*"))


def test_an_adapter_of_another_base_is_refused(
    adapter: Path, tiny_base: Path, base: GGUFHeader
) -> None:
    written = write_gguf_adapter(adapter, tiny_base)
    other = GGUFHeader({"general.architecture": "qwen2"}, {}, base.shapes)
    with pytest.raises(NoGGUFError, match=r"general\.architecture"):
        check_gguf_adapter(written, other)
    for name, shape in (("blk.0.attn_q.weight", (32, 31)), ("blk.0.attn_k.weight", ())):
        shapes = {**base.shapes, name: shape}
        with pytest.raises(NoGGUFError, match=name):
            check_gguf_adapter(written, GGUFHeader(base.fields, {}, shapes))


def test_a_base_of_another_family_has_no_such_adapters(
    adapter: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', "utf-8")
    with pytest.raises(NoGGUFError, match="gpt2"):
        write_gguf_adapter(adapter, tmp_path)

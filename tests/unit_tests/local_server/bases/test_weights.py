"""Loading of a base's text model, and its layers for adapters."""

import re
import shutil
from pathlib import Path

import pytest
import torch

from langchain_chatexports.local_server.bases.weights import (
    find_adapted_layers,
    load_base,
)
from tests.unit_tests.builders.tiny_models import write_tiny_model


def test_pickled_weights_are_never_read(tiny_base: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    (base / "model.safetensors").unlink()
    torch.save(load_base(tiny_base, "cpu").state_dict(), base / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_base(base, "cpu")


def test_vision_parts_are_not_loaded(tmp_path: Path) -> None:
    model = load_base(write_tiny_model(tmp_path / "base", "gemma-4"), "cpu", "float32")
    assert [name for name, _ in model.model.named_children()] == ["language_model"]


def test_only_linear_decoder_layers_are_adapted(tmp_path: Path) -> None:
    model = load_base(write_tiny_model(tmp_path / "base", "gemma-4"), "cpu", "float32")
    pattern = find_adapted_layers(model)
    assert isinstance(pattern, str)
    names = [name for name, _ in model.named_modules() if re.fullmatch(pattern, name)]
    assert "model.language_model.layers.3.self_attn.q_proj" in names
    assert "model.language_model.layers.0.per_layer_input_gate" in names
    # llama.cpp ignores an adapter of this one.
    assert "model.language_model.per_layer_model_projection" not in names
    assert not re.fullmatch(pattern, "model.vision_tower.layers.0.self_attn.q_proj")


def test_layers_that_peft_refuses_are_skipped(tmp_path: Path) -> None:
    layers = find_adapted_layers(
        load_base(write_tiny_model(tmp_path / "base", "falcon-h1"), "cpu", "float32")
    )
    assert "in_proj" in layers
    assert "q_proj" in layers
    assert "out_proj" not in layers

"""Loading a base's text part, and its layers that are adapted."""

import re
import shutil
from pathlib import Path

import pytest
import torch

from langchain_chatexports.local_server.bases import weights
from langchain_chatexports.local_server.bases.weights import (
    adapted_layers,
    check_trainable,
    load_base,
    model_outline,
)
from tests.unit_tests.builders.twins import write_twin


def test_weights_in_a_pickle_are_never_read(tiny_base: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    (base / "model.safetensors").unlink()
    torch.save(load_base(tiny_base, "cpu").state_dict(), base / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_base(base, "cpu")


def test_only_the_text_part_of_a_model_that_sees_is_loaded(tmp_path: Path) -> None:
    model = load_base(write_twin(tmp_path / "base", "gemma4"), "cpu", "float32")
    assert [name for name, _ in model.model.named_children()] == ["language_model"]


def test_only_linear_layers_in_blocks_of_the_text_decoder_are_adapted(
    tmp_path: Path,
) -> None:
    model = model_outline(write_twin(tmp_path / "base", "gemma4"))
    pattern = adapted_layers(model)
    assert isinstance(pattern, str)
    names = [name for name, _ in model.named_modules() if re.fullmatch(pattern, name)]
    assert "model.language_model.layers.3.self_attn.q_proj" in names
    assert "model.language_model.layers.0.per_layer_input_gate" in names
    # llama.cpp ignores an adapter of this one.
    assert "model.language_model.per_layer_model_projection" not in names
    assert not re.fullmatch(pattern, "model.vision_tower.layers.0.self_attn.q_proj")


def test_a_base_is_tried_once(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check_trainable(tiny_base)

    def fail(*_: object) -> None:
        pytest.fail("it was tried again")

    monkeypatch.setattr(weights, "call_in_child", fail)
    check_trainable(tiny_base)


def test_a_layer_that_peft_refuses_stays_as_it_is(tmp_path: Path) -> None:
    layers = adapted_layers(model_outline(write_twin(tmp_path / "base", "falcon-h1")))
    assert "in_proj" in layers
    assert "q_proj" in layers
    assert "out_proj" not in layers

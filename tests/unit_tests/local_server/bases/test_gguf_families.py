"""What llama.cpp says with a base and an adapter is what transformers and PEFT say."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.local_server.bases import gguf_adapter, gguf_conversion
from langchain_chatexports.local_server.bases.gguf_adapter import (
    NoGGUFError,
    check_gguf_adapter,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_architectures import (
    Architecture,
    find_architecture,
)
from langchain_chatexports.local_server.bases.gguf_conversion import write_base_gguf
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.storage.adapters import save_adapter
from langchain_chatexports.local_server.training.hyperparameters import lora_config
from tests.unit_tests.builders.bare_engine import BareEngine
from tests.unit_tests.builders.families import FAMILIES, write_family

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("xllamacpp")

# In nats. Measured: 1e-5, and 0.0015 of Gemma, because ggml looks its GELU up in a
# table of float16. Log-likelihoods are up to 12 apart.
_TOLERANCE = 1e-4
_GEMMA_TOLERANCE = 5e-3
_PROMPTS = (
    "Are you ready for the race? 12 said the tortoise",
    "Slow and steady wins",
    "Speed is everything, said the hare, and ran through field and hedge. " * 3,
    "user assistant system",
    "one two three four question answer number",
    "tortoise, 99",
)


class Family:
    """A tiny base and a random adapter, in PyTorch and in GGUF."""

    def __init__(self, folder: Path, name: str) -> None:
        import peft
        import torch

        self.name = name
        self.base = write_family(folder / name, name)
        self.tokenizer, _ = load_tokenizer(self.base)
        model = load_base(self.base, "cpu", "float32").eval()
        with warnings.catch_warnings():
            # PEFT uses an attribute that transformers deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            self.model = peft.get_peft_model(model, lora_config(model)).eval()
        torch.manual_seed(5)
        for parameter, values in self.model.named_parameters():
            if "lora_B" in parameter:
                # They start as zeros, with which an adapter does nothing.
                torch.nn.init.normal_(values, std=0.05)
        self.adapter = folder / f"{name}-adapter"
        save_adapter(self.model, self.adapter)
        self.gguf = folder / f"{name}.gguf"
        self.gguf.touch()

    def tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def log_likelihoods(self, text: str, *, with_adapter: bool) -> Any:
        import torch

        read = torch.tensor([self.tokens(text)])
        with torch.inference_mode():
            if with_adapter:
                logits = self.model(input_ids=read).logits
            else:
                with self.model.disable_adapter():
                    logits = self.model(input_ids=read).logits
        return torch.log_softmax(logits[0, -1].float(), dim=-1)

    def largest_difference(self) -> float:
        """Return by how much the engine's log-likelihoods differ, with and without."""
        engine = BareEngine(self.gguf, self.adapter / "adapter.gguf")
        differences = []
        for text in _PROMPTS:
            for scale in (1.0, 0.0):
                found = engine.next_token(self.tokens(text), scale=scale)
                if found is None:
                    continue
                wanted = self.log_likelihoods(text, with_adapter=scale > 0)
                differences += [
                    abs(value - float(wanted[token]))
                    for token, value in found.log_likelihoods.items()
                ]
        assert len(differences) > 20 * len(_PROMPTS)
        return max(differences)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_engine_agrees_with_peft(tmp_path: Path, name: str) -> None:
    family = Family(tmp_path, name)
    write_base_gguf(family.base, family.gguf, "none")
    adapter = write_gguf_adapter(family.adapter, family.base)
    check_gguf_adapter(adapter, read_header(family.gguf))
    tolerance = _GEMMA_TOLERANCE if "gemma" in name else _TOLERANCE
    assert family.largest_difference() < tolerance
    text = _PROMPTS[0]
    plain = family.log_likelihoods(text, with_adapter=False)
    tuned = family.log_likelihoods(text, with_adapter=True)
    # Otherwise the adapter could be left out, and nobody would notice.
    assert float((plain - tuned).abs().max()) > 10 * tolerance


@pytest.mark.parametrize("name", ["llama3", "qwen2.5"])
def test_the_order_of_rows_is_what_makes_them_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The other order in the adapter alone is seen, though shapes still fit."""
    family = Family(tmp_path, name)
    write_base_gguf(family.base, family.gguf, "none")
    found = find_architecture(FAMILIES[name][0].lower())
    assert found is not None
    other = Architecture(found.name, permutes_heads=not found.permutes_heads)
    monkeypatch.setattr(gguf_adapter, "find_architecture", lambda _: other)
    check_gguf_adapter(
        write_gguf_adapter(family.adapter, family.base), read_header(family.gguf)
    )
    assert family.largest_difference() > 100 * _TOLERANCE


@pytest.mark.parametrize(
    ("quantization", "tolerance"),
    [("f16", 0.01), ("bf16", 0.2), ("q8_0", 0.3), ("q5_1", 1.5), ("q4_1", 3.0)],
)
def test_a_quantized_base_is_close(
    tmp_path: Path, quantization: str, tolerance: float
) -> None:
    family = Family(tmp_path, "qwen3")
    write_base_gguf(family.base, family.gguf, quantization)
    write_gguf_adapter(family.adapter, family.base)
    assert family.largest_difference() < tolerance


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        ("qwen2.5", {"hidden_act": "relu"}, "activation"),
        ("qwen2.5", {"use_sliding_window": True}, "sliding window"),
        ("qwen3", {"model_type": "gpt2"}, "'gpt2'"),
        ("gemma3", {"query_pre_attn_scalar": 17}, "attention"),
        ("gemma3", {"layer_types": ["full_attention"] * 7}, "order of layers"),
        (
            "llama3",
            {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}},
            "rope",
        ),
    ],
)
def test_a_setting_that_llama_cpp_would_not_see_is_refused(
    tmp_path: Path, family: str, changes: dict[str, Any], reason: str
) -> None:
    base = write_family(tmp_path / "base", family)
    config = json.loads((base / "config.json").read_text("utf-8"))
    (base / "config.json").write_text(json.dumps(config | changes), "utf-8")
    target = tmp_path / "base.gguf"
    target.touch()
    with pytest.raises(NoGGUFError, match=reason):
        gguf_conversion.write_base_gguf(base, target, "none")

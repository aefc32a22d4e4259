"""Tiny bases of the model families that the server trains, of random weights.

Their weights are larger than a fresh model's, so that what they say depends on every
matrix, and their chat templates are the real ones.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.unit_tests.builders.tiny_base import tiny_tokenizer

_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
_LLAMA_3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_GEMMA = {"sliding_window": 64, "query_pre_attn_scalar": 16}

FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gemma2": ("Gemma2", "gemma", _GEMMA),
    "gemma3": ("Gemma3Text", "gemma3", {**_GEMMA, "num_hidden_layers": 7}),
    "llama3": ("Llama", "llama3_2", {"tie_word_embeddings": True}),
    "llama3-rope": ("Llama", "llama3_2", {"rope_parameters": _LLAMA_3_ROPE}),
    "llama-bias": ("Llama", "llama3_2", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("Mistral", "llama3_2", {"sliding_window": None}),
    "phi3": ("Phi3", "phi3", {"sliding_window": None}),
    "qwen2.5": ("Qwen2", "qwen2_5", {}),
    "qwen3": ("Qwen3", "qwen3_instruct_2507", {}),
}
"""The names of configuration and template, and what differs from the others' sizes."""


def write_family(folder: Path, family: str) -> Path:
    """Write a base model in transformers' format."""
    import torch
    import transformers

    name, template, more = FAMILIES[family]
    spec = find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    templates = Path(spec.origin).parent / "chat_templates"
    tokenizer = tiny_tokenizer((templates / f"{template}.jinja").read_text("utf-8"))
    settings = {"vocab_size": len(tokenizer), **_SIZES, **more}
    config = getattr(transformers, f"{name}Config")(**settings)
    torch.manual_seed(3)
    model = getattr(transformers, f"{name.removesuffix('Text')}ForCausalLM")(config)
    for parameter_name, values in model.named_parameters():
        if parameter_name.endswith(("norm.weight", ".bias")):
            # Fresh norms and biases are all alike, and would not show a mistake.
            torch.nn.init.normal_(values, mean=float(values.detach().mean()), std=0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

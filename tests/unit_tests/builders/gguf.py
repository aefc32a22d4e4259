"""GGUF files of tiny bases, in the form of llama.cpp's converter.

This module implements each family's differences from transformers' weights, which the
package has to detect.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from langchain_chatexports.local_server.bases.gguf_adapter import to_module_name
from langchain_chatexports.local_server.bases.preparation import load_tokenizer

_ARCHITECTURES = {
    "gemma4_text": "gemma4",
    "ministral3": "mistral3",
    "qwen3_5_text": "qwen35",
}
_PERMUTED = {"llama", "smollm3", "granite", "mistral3"}


def write_gguf(base: Path, target: Path, *, kind: str = "F32") -> Path:
    """Write a base as a GGUF file, with matrices of a type."""
    import transformers
    from gguf import (
        MODEL_ARCH_NAMES,
        GGMLQuantizationType,
        GGUFWriter,
        get_tensor_name_map,
        quants,
    )

    config = transformers.AutoConfig.from_pretrained(base).get_text_config().to_dict()
    architecture = _ARCHITECTURES.get(config["model_type"], config["model_type"])
    kinds = {name: each for each, name in MODEL_ARCH_NAMES.items()}
    names = get_tensor_name_map(kinds[architecture], config["num_hidden_layers"])
    writer = GGUFWriter(target, architecture)
    tokenizer, context = load_tokenizer(base)
    _add_settings(writer, architecture, config, context)
    _add_tokenizer(writer, tokenizer, config["vocab_size"])
    for key, values in _weights(base, architecture, config):
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            assert "vision" in key or "visual" in key or "projector" in key, key
            continue
        if values.ndim == 2 and kind != "F32" and "conv" not in key:
            form = GGMLQuantizationType[kind]
            writer.add_tensor(name, quants.quantize(values, form), raw_dtype=form)
        else:
            writer.add_tensor(name, values)
    frequencies = _rope_frequencies(architecture, config)
    if frequencies is not None:
        writer.add_tensor("rope_freqs.weight", frequencies)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _add_settings(
    writer: Any, architecture: str, config: dict[str, Any], context: int
) -> None:
    heads = config["num_attention_heads"]
    key_heads = config.get("num_key_value_heads") or heads
    width = config.get("head_dim") or config["hidden_size"] // heads
    rope = _rope(config)
    layers = config.get("layer_types") or []
    writer.add_type("model")
    writer.add_context_length(context)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    if "conv" in layers:
        key_heads = [key_heads * (layer == "full_attention") for layer in layers]
        writer.add_shortconv_l_cache(config["conv_L_cache"])
    writer.add_head_count_kv(key_heads)
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps") or config["norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_rope_freq_base(rope["rope_theta"])
    if architecture != "gemma4":
        rotated = int(width * rope.get("partial_rotary_factor", 1))
        writer.add_rope_dimension_count(rotated)
        writer.add_key_length(width)
        writer.add_value_length(width)
    if architecture == "granite":
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    if architecture == "phi3":
        writer.add_rope_scaling_orig_ctx_len(context)
        writer.add_sliding_window(0)
    if architecture == "qwen35":
        values = config["linear_num_value_heads"]
        writer.add_rope_dimension_sections([*rope["mrope_section"], 0])
        writer.add_ssm_conv_kernel(config["linear_conv_kernel_dim"])
        writer.add_ssm_state_size(config["linear_key_head_dim"])
        writer.add_ssm_group_count(config["linear_num_key_heads"])
        writer.add_ssm_time_step_rank(values)
        writer.add_ssm_inner_size(config["linear_value_head_dim"] * values)
        writer.add_full_attention_interval(4)
    if rope["rope_type"] == "yarn":
        _add_yarn(writer, rope)
    if architecture == "gemma4":
        _add_gemma4(writer, config, layers)


def _add_yarn(writer: Any, rope: dict[str, Any]) -> None:
    from gguf import RopeScalingType

    writer.add_rope_scaling_type(RopeScalingType.YARN)
    writer.add_rope_scaling_factor(rope["factor"])
    original = rope["original_max_position_embeddings"]
    writer.add_rope_scaling_orig_ctx_len(original)
    writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
    writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
    writer.add_rope_scaling_yarn_log_mul(rope["mscale_all_dim"])
    writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])


def _add_gemma4(writer: Any, config: dict[str, Any], layers: list[str]) -> None:
    width, full = config["head_dim"], _full_width(config)
    writer.add_rope_freq_base_swa(_rope(config, "sliding_attention")["rope_theta"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    writer.add_sliding_window(config["sliding_window"])
    writer.add_shared_kv_layers(config["num_kv_shared_layers"])
    writer.add_embedding_length_per_layer_input(config["hidden_size_per_layer_input"])
    writer.add_sliding_window_pattern([each == "sliding_attention" for each in layers])
    for name, size in (("", full), ("_swa", width)):
        getattr(writer, f"add_key_length{name}")(size)
        getattr(writer, f"add_value_length{name}")(size)
        getattr(writer, f"add_rope_dimension_count{name}")(size)


def _full_width(config: dict[str, Any]) -> int:
    of_layers = config.get("per_layer_config") or {}
    widths = [each.get("head_dim") for each in of_layers.values()]
    return int(config.get("global_head_dim") or (widths or [config["head_dim"]])[0])


def _rope(config: dict[str, Any], layers: str = "full_attention") -> dict[str, Any]:
    rope = config["rope_parameters"]
    return dict(rope.get(layers) or rope)


def _rope_frequencies(architecture: str, config: dict[str, Any]) -> Any:
    rope = _rope(config)
    if architecture == "gemma4":
        # Only a part of a head is rotated.
        half = _full_width(config) // 2
        rotated = int(half * rope.get("partial_rotary_factor", 1.0))
        return np.array([1.0] * rotated + [1e30] * (half - rotated), np.float32)
    if rope["rope_type"] != "llama3":
        return None
    width = config.get("head_dim")
    exponents = np.arange(0, width, 2, dtype=np.float64) / width
    lengths = 2 * math.pi * rope["rope_theta"] ** exponents
    old = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((old / lengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / rope["factor"] + smooth)).astype(np.float32)


def _weights(
    base: Path, architecture: str, config: dict[str, Any]
) -> Iterator[tuple[str, np.ndarray]]:
    from safetensors import safe_open

    for path in sorted(base.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in sorted(file.keys()):
                if key == "lm_head.weight" and config.get("tie_word_embeddings"):
                    continue
                if "vision" in key or "visual" in key:
                    continue
                values = file.get_tensor(key).float().numpy()
                module = to_module_name(key).removesuffix(".bias")
                name = f"model.{module}" if module != "lm_head" else module
                if architecture in _PERMUTED:
                    values = _permuted(module, values, config)
                if architecture == "qwen35":
                    name, values = _qwen35(name, values, config)
                if module.endswith("conv.conv"):
                    values = values.squeeze(1)
                suffix = ".bias" if key.endswith("bias") else ".weight"
                suffix = "" if key.endswith("A_log") else suffix
                yield f"{name}{suffix}", np.ascontiguousarray(values)


def _permuted(module: str, values: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """Interleave the two halves of each head's rows, for rotary embeddings."""
    names = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    kind = module.rpartition(".")[2]
    if kind not in names:
        return values
    heads = config[names[kind]]
    halves = values.reshape(heads, 2, len(values) // heads // 2, -1)
    return np.reshape(halves.swapaxes(1, 2), values.shape)


def _qwen35(
    name: str, values: np.ndarray, config: dict[str, Any]
) -> tuple[str, np.ndarray]:
    """Group value heads by their index instead of by key head."""
    keys, heads = config["linear_num_key_heads"], config["linear_num_value_heads"]
    width = config["linear_value_head_dim"]
    others = 2 * keys * config["linear_key_head_dim"]

    def reordered(rows: np.ndarray, size: int) -> np.ndarray:
        grouped = rows.reshape(keys, heads // keys, size, *rows.shape[1:])
        return np.reshape(grouped.swapaxes(0, 1), rows.shape)

    kind = name.rpartition("linear_attn.")[2]
    name = name.replace("dt_bias", "dt_proj")
    if kind in {"in_proj_qkv", "conv1d"}:
        values = values.squeeze(1) if kind == "conv1d" else values
        parts = [values[:others], reordered(values[others:], width)]
        return name, np.concatenate(parts)
    if kind == "out_proj":
        return name, reordered(values.T, width).T
    if kind == "A_log":
        values = -np.exp(values)
    if kind in {"A_log", "dt_bias", "in_proj_a", "in_proj_b", "in_proj_z"}:
        return name, reordered(values, width if kind == "in_proj_z" else 1)
    return name, values + (kind != "norm" and name.endswith("norm"))


def _add_tokenizer(writer: Any, tokenizer: Any, vocabulary: int) -> None:
    from gguf import TokenType

    described = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = [f"[PAD{index}]" for index in range(vocabulary)]
    kinds = [int(TokenType.UNUSED)] * vocabulary
    for token, index in described["model"]["vocab"].items():
        tokens[index], kinds[index] = token, int(TokenType.NORMAL)
    for added in described["added_tokens"]:
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = int(TokenType.CONTROL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in described["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.get_chat_template())

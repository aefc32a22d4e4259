"""Writing a base in transformers' format as a GGUF file.

The package `gguf` knows the names of tensors and fields; the values of the fields come
from the model's configuration, as in llama.cpp's `convert_hf_to_gguf.py`. A setting
that llama.cpp would not see is refused, so that a converted base never answers other
than the one that was trained.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.local_server.bases.gguf_adapter import (
    NoGGUFError,
    by_layer,
)
from langchain_chatexports.local_server.bases.gguf_architectures import (
    Architecture,
    find_architecture,
    permute_heads,
)
from langchain_chatexports.local_server.bases.gguf_tokenizer import add_tokenizer
from langchain_chatexports.local_server.bases.safety import check_safe
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter

__all__ = ["QUANTIZATIONS", "tensor_type", "write_base_gguf"]

QUANTIZATIONS = {
    "none": None,
    "f16": "F16",
    "bf16": "BF16",
    "q8_0": "Q8_0",
    "q5_1": "Q5_1",
    "q5_0": "Q5_0",
    "q4_1": "Q4_1",
    "q4_0": "Q4_0",
}
"""llama.cpp's names of what weights are written in, and `gguf`'s; the names `none`
keeps the base's own precision."""

# Below eight bits, the embedding and the output keep eight, as llama.cpp does.
_ENDS = ("token_embd.weight", "output.weight")
_ACTIVATIONS = {"silu", "gelu_pytorch_tanh", "gelu_new"}
# Every second, and every sixth layer sees the whole context.
_GEMMA_FULL_ATTENTION = {"gemma2": 2, "gemma3_text": 6}
_GEMMA_LOCAL_THETA = 10_000.0


def write_base_gguf(directory: Path, target: Path, quantization: str) -> None:
    """Write a base as a GGUF file.

    Args:
        directory: The base in transformers' format.
        target: The file, which must exist and is overwritten.
        quantization: One of `QUANTIZATIONS`.

    Raises:
        NoGGUFError: If llama.cpp would not read it as transformers does.
    """
    from gguf import GGUFWriter
    from transformers import AutoConfig

    check_safe(directory)
    config = AutoConfig.from_pretrained(
        directory, local_files_only=True, trust_remote_code=False
    )
    settings = config.to_dict()
    architecture = find_architecture(config.model_type)
    if architecture is None:
        msg = f"models of the kind {config.model_type!r} are not written as GGUF"
        raise NoGGUFError(msg)
    _check_settings(settings)
    tokenizer, context = load_tokenizer(directory)
    writer = GGUFWriter(target, architecture.name)
    try:
        _add_settings(writer, architecture, settings, context)
        add_tokenizer(writer, tokenizer, settings["vocab_size"])
        _write_weights(writer, directory, architecture, settings, quantization)
    finally:
        writer.close()


def _check_settings(settings: dict[str, Any]) -> None:
    activation = settings.get("hidden_act") or settings.get("hidden_activation")
    rope = _rope(settings)
    odd = {
        "activation": activation not in _ACTIVATIONS,
        "sliding window": settings["model_type"] in {"qwen2", "qwen3"}
        and bool(settings.get("use_sliding_window")),
        "rope": rope.get("rope_type", "default") not in {"default", "linear", "llama3"}
        or rope.get("partial_rotary_factor", 1.0) != 1.0,
        "quantization": bool(settings.get("quantization_config")),
        **(_oddities_of_gemma(settings) if "gemma" in settings["model_type"] else {}),
    }
    found = [name for name, is_odd in odd.items() if is_odd]
    if found:
        msg = f"its {found[0]} is of a kind that is not written as GGUF"
        raise NoGGUFError(msg)


def _oddities_of_gemma(settings: dict[str, Any]) -> dict[str, bool]:
    # llama.cpp has these as constants of the architecture.
    every = _GEMMA_FULL_ATTENTION[settings["model_type"]]
    full = [kind == "full_attention" for kind in settings.get("layer_types") or ()]
    near = _rope(settings, "sliding_attention")
    return {
        "attention": settings.get("query_pre_attn_scalar") != settings["head_dim"]
        or bool(settings.get("use_bidirectional_attention")),
        "order of layers": full
        != [(layer + 1) % every == 0 for layer in range(len(full))],
        "local rope": settings["model_type"] == "gemma3_text"
        and near.get("rope_theta", _GEMMA_LOCAL_THETA) != _GEMMA_LOCAL_THETA,
    }


def _rope(settings: dict[str, Any], layers: str = "full_attention") -> dict[str, Any]:
    rope = settings.get("rope_parameters") or {}
    inner = rope.get(layers)
    return inner if isinstance(inner, dict) else rope


def _add_settings(
    writer: GGUFWriter,
    architecture: Architecture,
    settings: dict[str, Any],
    context: int,
) -> None:
    heads = settings["num_attention_heads"]
    width = settings.get("head_dim") or settings["hidden_size"] // heads
    rope = _rope(settings)
    writer.add_type("model")
    writer.add_context_length(context)
    writer.add_embedding_length(settings["hidden_size"])
    writer.add_block_count(settings["num_hidden_layers"])
    writer.add_feed_forward_length(settings["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(settings.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(settings["rms_norm_eps"])
    writer.add_vocab_size(settings["vocab_size"])
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(rope.get("rope_theta", 10_000.0))
    if rope.get("rope_type") == "linear":
        from gguf import RopeScalingType

        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if architecture.name.startswith("gemma"):
        _add_gemma(writer, settings)
    if settings["model_type"] == "phi3":
        writer.add_rope_scaling_orig_ctx_len(
            settings.get("original_max_position_embeddings") or context
        )
    if settings["model_type"] in {"phi3", "mistral"} and settings.get("sliding_window"):
        writer.add_sliding_window(settings["sliding_window"])


def _add_gemma(writer: GGUFWriter, settings: dict[str, Any]) -> None:
    if settings.get("sliding_window"):
        writer.add_sliding_window(settings["sliding_window"])
    if settings.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(settings["attn_logit_softcapping"])
    if settings.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(settings["final_logit_softcapping"])


def _write_weights(
    writer: GGUFWriter,
    directory: Path,
    architecture: Architecture,
    settings: dict[str, Any],
    quantization: str,
) -> None:
    import numpy as np
    from gguf import GGML_QUANT_VERSION, LlamaFileType, quants

    weights = list(_weights(directory, architecture, settings))
    types = [
        tensor_type(weight.name, weight.shape, weight.dtype, quantization)
        for weight in weights
    ]
    name = QUANTIZATIONS[quantization]
    if name is not None:
        writer.add_file_type(LlamaFileType[f"MOSTLY_{name}"])
        writer.add_quantization_version(GGML_QUANT_VERSION)
    frequencies = _rope_factors(settings)
    if frequencies is not None:
        writer.add_tensor_info(
            "rope_freqs.weight",
            frequencies.shape,
            frequencies.dtype,
            frequencies.nbytes,
        )
    for weight, kind in zip(weights, types, strict=True):
        size = math.prod(quants.quant_shape_to_byte_shape(weight.shape, kind))
        # The type of NumPy does not matter where `gguf`'s is given.
        writer.add_tensor_info(weight.name, weight.shape, np.dtype("f4"), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if frequencies is not None:
        writer.write_tensor_data(frequencies)
    for weight, kind in zip(weights, types, strict=True):
        # One at a time, so that memory is that of the largest.
        values = quants.quantize(weight.read(), kind)
        writer.write_tensor_data(np.ascontiguousarray(values).view(np.uint8))


class _Weight(NamedTuple):
    name: str
    """Its name in GGUF."""

    read: Callable[[], np.ndarray]
    """Return its values in float32, in GGUF's order."""

    shape: tuple[int, ...]
    dtype: str
    """Its precision in safetensors, such as `BF16`."""


def _weights(
    directory: Path, architecture: Architecture, settings: dict[str, Any]
) -> Iterator[_Weight]:
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map
    from safetensors import safe_open

    kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    names = get_tensor_name_map(
        kinds[architecture.name], int(settings["num_hidden_layers"])
    )
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in sorted(file.keys(), key=by_layer):
                if key == "lm_head.weight" and settings.get("tie_word_embeddings"):
                    continue
                if key.endswith(".rotary_emb.inv_freq"):
                    continue
                name = names.get_name(key, try_suffixes=(".weight", ".bias"))
                if name is None:
                    msg = f"its weights {key[:80]!r} have no name in GGUF"
                    raise NoGGUFError(msg)
                part = file.get_slice(key)
                yield _Weight(
                    name,
                    partial(_read, path, key, architecture, settings),
                    tuple(part.get_shape()),
                    part.get_dtype(),
                )


def _read(
    path: Path, key: str, architecture: Architecture, settings: dict[str, Any]
) -> np.ndarray:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        values: np.ndarray = file.get_tensor(key).float().numpy()
    stem = key.rpartition(".")[0]
    heads = architecture.heads_of(stem, settings)
    if heads is not None:
        values = permute_heads(values, heads)
    if architecture.shifts_norms and stem.endswith("norm"):
        values = values + 1
    return values


def tensor_type(
    name: str, shape: tuple[int, ...], dtype: str, quantization: str
) -> GGMLQuantizationType:
    """Return what a tensor is written in.

    Args:
        name: Its name in GGUF.
        shape: Its shape, columns last.
        dtype: Its precision in safetensors, such as `BF16`.
        quantization: One of `QUANTIZATIONS`.
    """
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    if len(shape) == 1:
        return GGMLQuantizationType.F32
    chosen = QUANTIZATIONS[quantization] or dtype
    if name in _ENDS and chosen.startswith(("Q4", "Q5")):
        chosen = "Q8_0"
    kind = GGMLQuantizationType[chosen]
    if shape[-1] % GGML_QUANT_SIZES[kind][0]:
        # A row is a whole number of blocks.
        return GGMLQuantizationType.F16
    return kind


def _rope_factors(settings: dict[str, Any]) -> np.ndarray | None:
    """Return by how much Llama 3 divides each frequency; `None` for other models.

    The rule is `_compute_llama3_parameters` in transformers' `modeling_rope_utils.py`.
    """
    import numpy as np

    rope = _rope(settings)
    if rope.get("rope_type") != "llama3":
        return None
    heads = settings["num_attention_heads"]
    width = settings.get("head_dim") or settings["hidden_size"] // heads
    exponents = np.arange(0, width, 2, dtype=np.float64) / width
    lengths = 2 * math.pi * rope["rope_theta"] ** exponents
    old = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((old / lengths - low) / (high - low), 0, 1)
    factors = 1 / ((1 - smooth) / rope["factor"] + smooth)
    written: np.ndarray = factors.astype(np.float32)
    return written

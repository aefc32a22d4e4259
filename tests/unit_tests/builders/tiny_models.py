"""Tiny models with the architectures and templates of the known bases.

The weights are random, and larger than those of a new model, because engines always
agree on small weights. Templates are from TRL, or similar to those of the family.
"""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.unit_tests.builders.tiny_base import tiny_tokenizer

_SPEC = find_spec("trl")
assert _SPEC is not None
assert _SPEC.origin is not None
TRL_TEMPLATES = Path(_SPEC.origin).parent / "chat_templates"

_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
_HEADS = {"head_dim": 16}
_LLAMA_3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 256,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}
_MULTIMODAL_ROPE = {
    "rope_type": "default",
    "rope_theta": 10_000.0,
    "partial_rotary_factor": 1.0,
    "mrope_section": [3, 3, 2],
    "mrope_interleaved": True,
}
_CONTROL_TOKEN = re.compile(r"<\|\w+\|>|<\|turn>|<turn\|>|\[/?(?:INST|SYSTEM_PROMPT)\]")

_SMOLLM2 = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a tortoise.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_THINKING = (
    "{{ '<|im_start|>system\nToday: ' + strftime_now('%d %B %Y') + '\n' }}"
    "{% if enable_thinking is not defined or enable_thinking %}"
    "{{ 'Mode: /think' }}{% else %}{{ 'Mode: /no_think' }}{% endif %}"
    "{% if messages[0]['role'] == 'system' %}"
    "{{ '\n' + messages[0]['content'] }}{% endif %}{{ '<|im_end|>\n' }}"
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\n\n</think>\n' }}{% endif %}{% endif %}"
)
_OPEN_THOUGHT = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
_GRANITE = (
    "{% for message in messages %}"
    "{{ '<|start_of_role|>' + message['role'] + '<|end_of_role|>' }}"
    "{{ message['content'] + '<|end_of_text|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"
)
_MINISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{{ '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}"
    "{% elif message['role'] == 'user' %}"
    "{% if loop.previtem is defined and loop.previtem['role'] == 'user' %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{{ '[INST]' + message['content'] + '[/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
_PHI4 = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{{ message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}"
    "{% else %}{{ eos_token }}{% endif %}"
)


@dataclass(frozen=True)
class TinyModel:
    """The configuration of a tiny model."""

    config: str
    """The configuration's class in transformers."""

    template: str
    """The name of a template in TRL, or a template."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the text model that differ from `_SIZES`."""

    text: str | None = None
    """The class of the text model's configuration in a model with vision."""

    vision: dict[str, Any] = field(default_factory=dict)

    controls: tuple[str, ...] = ()
    """Control tokens that the template builds from parts."""


TINY_MODELS = {
    "smollm2": TinyModel("LlamaConfig", _SMOLLM2, {"tie_word_embeddings": True}),
    "qwen3.5": TinyModel(
        "Qwen3_5Config",
        "qwen3_5_nothink",
        {
            **_HEADS,
            "rope_parameters": _MULTIMODAL_ROPE,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "layer_types": [*["linear_attention"] * 3, "full_attention"],
            "tie_word_embeddings": True,
        },
        text="Qwen3_5TextConfig",
        vision={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 16,
        },
    ),
    "gemma-4": TinyModel(
        "Gemma4Config",
        "gemma4_v5",
        {
            **_HEADS,
            "global_head_dim": 32,
            "num_kv_shared_layers": 0,
            "final_logit_softcapping": 30.0,
            "hidden_size_per_layer_input": 16,
            "sliding_window": 64,
            "layer_types": [*["sliding_attention"] * 3, "full_attention"],
        },
        text="Gemma4TextConfig",
        vision={
            **_HEADS,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "position_embedding_size": 64,
        },
    ),
    "qwen3-4b": TinyModel("Qwen3Config", "qwen3_instruct_2507", _HEADS),
    "llama-3.2": TinyModel(
        "LlamaConfig",
        "llama3_2",
        {**_HEADS, "rope_parameters": _LLAMA_3_ROPE, "tie_word_embeddings": True},
    ),
    "lfm2.5": TinyModel(
        "Lfm2Config",
        "lfm2_2_5",
        {
            "layer_types": ["conv", "conv", "full_attention", "conv"],
            "block_auto_adjust_ff_dim": False,
        },
    ),
    "granite-4.1": TinyModel(
        "GraniteConfig",
        _GRANITE,
        {
            "embedding_multiplier": 6.0,
            "logits_scaling": 4.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.1,
        },
    ),
    "minicpm5": TinyModel("LlamaConfig", _OPEN_THOUGHT, _HEADS),
    "smollm3": TinyModel(
        "SmolLM3Config",
        _THINKING,
        {"no_rope_layer_interval": 4, "tie_word_embeddings": True},
    ),
    "ministral3": TinyModel(
        "Mistral3Config",
        _MINISTRAL,
        {**_HEADS, "rope_parameters": _YARN},
        text="Ministral3Config",
        vision={
            **_HEADS,
            "model_type": "pixtral",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
        },
    ),
    "phi4-mini": TinyModel(
        "Phi3Config",
        _PHI4,
        {"sliding_window": None, "tie_word_embeddings": True},
        controls=("<|system|>", "<|user|>"),
    ),
    "falcon-h1": TinyModel(
        "FalconH1Config",
        _SMOLLM2,
        {
            "mamba_d_ssm": 64,
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
            "mamba_d_state": 16,
            "mamba_chunk_size": 16,
        },
    ),
}
"""Families of bases; those of known bases are named by the start of their names."""


def tiny_model_template(name: str) -> str:
    """Return the chat template of a tiny model."""
    template = TINY_MODELS[name].template
    if "{" in template:
        return template
    return (TRL_TEMPLATES / f"{template}.jinja").read_text("utf-8")


def tiny_model_tokenizer(name: str) -> Any:
    """Return a byte-level tokenizer with the control tokens of a model's template."""
    template = tiny_model_template(name)
    tokenizer = tiny_tokenizer(template)
    controls = {*_CONTROL_TOKEN.findall(template), *TINY_MODELS[name].controls}
    tokenizer.add_special_tokens(
        {"additional_special_tokens": sorted(controls - {"<|im_end|>"})}
    )
    return tokenizer


def write_tiny_model(folder: Path, name: str) -> Path:
    """Write one of `TINY_MODELS` in transformers' format."""
    import torch
    import transformers

    tiny = TINY_MODELS[name]
    tokenizer = tiny_model_tokenizer(name)
    settings = {**_SIZES, "vocab_size": len(tokenizer), **tiny.settings}
    if "gemma" in name:
        settings["vocab_size_per_layer_input"] = len(tokenizer)
    config = getattr(transformers, tiny.config)
    if tiny.text is None:
        model_config = config(**settings)
    else:
        text = getattr(transformers, tiny.text)(**settings)
        tied = bool(text.tie_word_embeddings)

        model_config = config(
            text_config=text.to_dict(),
            vision_config=tiny.vision,
            tie_word_embeddings=tied,
            # The defaults are beyond the vocabulary.
            image_token_id=tokenizer.convert_tokens_to_ids("Ā"),
            video_token_id=tokenizer.convert_tokens_to_ids("Ā"),
        )
    torch.manual_seed(3)
    kind = (
        transformers.AutoModelForCausalLM
        if tiny.text is None
        else transformers.AutoModelForImageTextToText
    )
    model = kind.from_config(model_config, dtype=torch.float32)
    for parameter_name, values in model.named_parameters():
        if parameter_name.endswith(("norm.weight", "layernorm.weight", ".bias")):
            torch.nn.init.normal_(values, mean=float(values.detach().mean()), std=0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

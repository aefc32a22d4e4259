"""A base model of 30,000 random weights with a tokenizer trained on a few words.

It is a real Llama with a real chat template, and is trained, saved and served by the
same code as any other, in a second. Its text is noise.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from transformers.tokenization_utils_tokenizers import TokenizersBackend

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{{ message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Accepts roles in any order."""

ALTERNATING = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim "
    "+ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Requires alternating roles, starting with the user, and no system role."""

REWRITING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if loop.last and message['role'] == 'assistant' %}"
    "{{ '<think>nothing to think about here at all</think>' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Renders the last answer differently from earlier ones."""

_CORPUS = (
    "Are you ready for the race? Slow and steady wins, said the tortoise.",
    "Speed is everything, said the hare, and ran through field and hedge.",
    "user assistant system one two three four question answer number",
)


def tiny_tokenizer(template: str | None = CHATML) -> TokenizersBackend:
    """Train a byte-level tokenizer with the control tokens of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=specials[0],
        eos_token=specials[2],
        pad_token=specials[0],
        chat_template=template,
    )


def write_tiny_base(folder: Path, *, template: str | None = CHATML) -> Path:
    """Write a base model in transformers' format."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(template)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_random_adapter(base: Path, folder: Path, *, seed: int = 1) -> Path:
    """Write an adapter with random weights, which changes every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from langchain_chatexports.local_server.bases.weights import save_adapter

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=4,
        lora_alpha=64,
        target_modules="all-linear",
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # PEFT uses an attribute that transformers deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        save_adapter(get_peft_model(model, config), folder)
    return folder


def dialogues(count: int = 10, *, mark: str = "") -> list[dict[str, Any]]:
    """Return invented chats of a tortoise (the assistant) and a hare."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"Are you ready for race {n}? {mark}"},
                {"role": "assistant", "content": f"Slow and steady, {n} times."},
                {"role": "user", "content": "Speed is everything!"},
                {"role": "assistant", "content": f"So said the hare {n}. {mark}"},
            ]
        }
        for n in range(count)
    ]


def as_jsonl(examples: list[dict[str, Any]]) -> bytes:
    """Return the bytes of a training file."""
    return b"".join(json.dumps(example).encode() + b"\n" for example in examples)

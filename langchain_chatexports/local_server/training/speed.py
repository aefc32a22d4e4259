"""The speed of training, of a job or of the machine."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import LabeledExample
from langchain_chatexports.local_server.bases.devices import (
    choose_device,
    choose_dtype,
    used_memory,
)
from langchain_chatexports.local_server.processes import (
    ChildError,
    call_in_child,
    default_threads,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    lora_config,
    resolve_hyperparameters,
)

# The dimensions of the default base; weights are not needed for measuring.
_SHAPE = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
_TOKENS = 200
_SECONDS_AT_MOST = 300


class Speed(NamedTuple):
    """The cost of training on this machine."""

    seconds_per_token: float
    memory_bytes: int


def measure_speed(model: Any, examples: Sequence[LabeledExample]) -> Speed:
    """Run forward and backward passes on a median and the longest example.

    The weights do not change: there is no optimizer, and the gradients are dropped.
    """
    import torch

    by_length = sorted(examples, key=lambda example: len(example.input_ids))
    median, longest = by_length[len(by_length) // 2], by_length[-1]
    model.train()
    seconds, tokens = 0.0, 0
    # The first pass takes longer, and is not counted.
    for number, example in enumerate((median, median, longest)):
        started = time.perf_counter()
        ids, labels = (
            torch.tensor([values], device=model.device)
            for values in (example.input_ids, example.labels)
        )
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        # Reading one number waits for asynchronous devices.
        loss.item()
        if number:
            seconds += time.perf_counter() - started
            tokens += len(example.input_ids)
        memory = used_memory()
        model.zero_grad(set_to_none=True)
    return Speed(seconds / tokens, memory)


def measure_machine() -> Speed:
    """Measure this machine in a child process: no base is loaded or downloaded."""
    try:
        measured = call_in_child(
            _measure_default_shape, threads=default_threads(), timeout=_SECONDS_AT_MOST
        )
    except ChildError as error:
        msg = (
            "The speed of this machine could not be measured, so no base was chosen. "
            "Close other programs and run it again, or name a base."
        )
        raise LocalServerError(msg) from error
    return Speed(*measured)


def estimate_seconds(
    speed: Speed,
    examples: Sequence[TrainingExample],
    validation: Sequence[TrainingExample] = (),
    *,
    epochs: int | None = None,
) -> float:
    """Estimate the duration of a training with the default base.

    `KnownBase.training_seconds` converts it to other bases.
    """
    requested = {"n_epochs": epochs or "auto"}
    passes = resolve_hyperparameters(requested, examples=len(examples)).n_epochs
    # A validation has no backward pass.
    tokens = sum(
        estimate_training(part, n_epochs=passes).billed_tokens * share
        for part, share in ((examples, 1.0), (validation, 0.5))
    )
    return speed.seconds_per_token * tokens


def _measure_default_shape() -> Speed:
    """Measure a model with random weights."""
    import torch
    from peft import get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    device = choose_device()
    dtype = getattr(torch, choose_dtype(device))
    model = LlamaForCausalLM(LlamaConfig(**_SHAPE)).to(device=device, dtype=dtype)
    tokens = list(range(_TOKENS))
    example = LabeledExample(tokens, tokens, is_cut=False)
    return measure_speed(get_peft_model(model, lora_config(model)), [example])

"""Measure and estimate the speed of training on this machine."""

import time
from collections.abc import Sequence

from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.devices import (
    choose_device,
    choose_dtype,
)
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    default_threads,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    create_lora_config,
    resolve_hyperparameters,
)

# The dimensions of the default base; random weights take the same time.
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
_PASSES = 2
_MAX_SECONDS = 300


def measure_machine() -> float:
    """Measure the training time per token of the default base, in seconds.

    A child process trains a model with its dimensions; no base is downloaded.
    """
    try:
        seconds_per_token: float = call_in_child(
            _measure_default_base, threads=default_threads(), timeout=_MAX_SECONDS
        )
    except ChildProcessFailedError as error:
        msg = (
            "The speed of this machine could not be measured, so no base was chosen. "
            "Close other programs and run the command again, or choose a base."
        )
        raise LocalServerError(msg) from error
    return seconds_per_token


def estimate_seconds(
    seconds_per_token: float,
    examples: Sequence[TrainingExample],
    validation: Sequence[TrainingExample] = (),
) -> float:
    """Estimate the training time with the default base, in seconds.

    `KnownBase.training_seconds` converts it for other bases.
    """
    requested = {"n_epochs": "auto"}
    epochs = resolve_hyperparameters(requested, examples=len(examples)).n_epochs
    # Validation has no backward pass.
    tokens = sum(
        estimate_training(split, n_epochs=epochs).billed_tokens * cost
        for split, cost in ((examples, 1.0), (validation, 0.5))
    )
    return seconds_per_token * tokens


def _measure_default_base() -> float:
    """Run forward and backward passes of a model with random weights."""
    import torch
    from peft import get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    device = choose_device()
    dtype = getattr(torch, choose_dtype(device))
    base = LlamaForCausalLM(LlamaConfig(**_SHAPE)).to(device=device, dtype=dtype)
    model = get_peft_model(base, create_lora_config(base)).train()
    tokens = torch.arange(_TOKENS, device=device)[None]

    def run() -> None:
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        # Reading a number waits for asynchronous devices.
        loss.item()

    run()  # The first pass takes longer.
    started = time.perf_counter()
    for _ in range(_PASSES):
        run()
    return (time.perf_counter() - started) / _PASSES / _TOKENS

"""The speed of training on this machine."""

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
_PASSES = 2
_SECONDS_AT_MOST = 300


def measure_machine() -> float:
    """Return the seconds a token takes with the default base's dimensions.

    They are measured in a child process: no base is loaded or downloaded.
    """
    try:
        measured: float = call_in_child(
            _measure_default_shape, threads=default_threads(), timeout=_SECONDS_AT_MOST
        )
    except ChildError as error:
        msg = (
            "The speed of this machine could not be measured, so no base was chosen. "
            "Close other programs and run it again, or name a base."
        )
        raise LocalServerError(msg) from error
    return measured


def estimate_seconds(
    seconds_per_token: float,
    examples: Sequence[TrainingExample],
    validation: Sequence[TrainingExample] = (),
) -> float:
    """Estimate the duration of a training with the default base.

    `KnownBase.training_seconds` converts it to other bases.
    """
    requested = {"n_epochs": "auto"}
    passes = resolve_hyperparameters(requested, examples=len(examples)).n_epochs
    # A validation has no backward pass.
    tokens = sum(
        estimate_training(part, n_epochs=passes).billed_tokens * share
        for part, share in ((examples, 1.0), (validation, 0.5))
    )
    return seconds_per_token * tokens


def _measure_default_shape() -> float:
    """Run forward and backward passes of a model with random weights."""
    import torch
    from peft import get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    device = choose_device()
    dtype = getattr(torch, choose_dtype(device))
    plain = LlamaForCausalLM(LlamaConfig(**_SHAPE)).to(device=device, dtype=dtype)
    model = get_peft_model(plain, lora_config(plain)).train()
    tokens = torch.arange(_TOKENS, device=device)[None]

    def run() -> None:
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        # Reading one number waits for asynchronous devices.
        loss.item()

    run()  # The first pass takes longer.
    started = time.perf_counter()
    for _ in range(_PASSES):
        run()
    return (time.perf_counter() - started) / _PASSES / _TOKENS

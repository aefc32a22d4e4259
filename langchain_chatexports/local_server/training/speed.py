"""The speed of a training, measured before it on some of its own examples."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.local_server.bases.devices import used_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.local_server.bases.chat_template import LabeledExample

__all__ = ["Speed", "measure_speed"]


class Speed(NamedTuple):
    """What training costs on this machine."""

    seconds_per_token: float
    memory_bytes: int


def measure_speed(model: Any, examples: Sequence[LabeledExample]) -> Speed:
    """Run forward and backward passes on a median and the longest example.

    Nothing is learned: there is no optimizer, and the gradients are dropped.

    Args:
        model: The model with the adapter to train.
        examples: The labeled examples.
    """
    import torch

    by_length = sorted(examples, key=lambda example: len(example.input_ids))
    median, longest = by_length[len(by_length) // 2], by_length[-1]
    model.train()
    seconds, tokens = 0.0, 0
    # The first pass takes longer, and does not count.
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

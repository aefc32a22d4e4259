"""A job's hyperparameters, the values for `"auto"`, LoRA's rank, and the strength.

| | auto |
| --- | --- |
| `n_epochs` | 2; for fewer than 25 examples up to 4, for 50 steps; 1 above 1000 |
| `batch_size` | 1 on a CPU, otherwise 4, or less where that leaves 50 steps |
| `learning_rate_multiplier` | 1, times the rate below |

| model | rate | strength |
| --- | --- | --- |
| up to 300 million parameters | 1e-3, above 50 steps 5e-4 | 1 |
| up to 2 billion | 2e-4 | 0.5 |
| larger | 1e-4 | 0.5 |

With fewer than about 50 steps, models do not learn to end a reply, and continue with
more messages, especially if their prompt has replies that were not in the training data
(`benchmarks/talks.py`). More steps overfit: on 29 windows of the Tortoise's chats, the
held-out loss was above the base's after 3 epochs at 1e-3, and well below it after 2 at
5e-4 (`benchmarks/held_out_loss.py`). On a CPU, padding costs more than batching gains.
At half strength, more replies of a model with 1.5 billion parameters fit, and a small
one's loop (`benchmarks/sense.py`).
"""

import math
from dataclasses import dataclass
from typing import Any

from langchain_chatexports.local_server.bases.weights import find_adapted_layers

LORA_RANK = 16
"""The rank of the adapters; their alpha is twice the rank."""

# Two saves with the optimizer's two states, and two best epochs.
_ADAPTERS_ON_DISK = 8
_SMALL_MODEL, _MEDIUM_MODEL = 300_000_000, 2_000_000_000
_FEW_STEPS = 50
_MIN_STEPS, _MAX_EPOCHS = 50, 4
_MAX_BATCH = 4


@dataclass(frozen=True)
class Hyperparameters:
    """A job's hyperparameters under OpenAI's names, with `"auto"` resolved."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float

    def steps(self, examples: int) -> int:
        """Return the number of optimizer steps for a number of examples."""
        return self.n_epochs * math.ceil(examples / self.batch_size)


def resolve_hyperparameters(
    requested: dict[str, Any], *, examples: int, device: str = "cpu"
) -> Hyperparameters:
    """Return hyperparameters with `"auto"` and missing values resolved."""
    values = {name: value for name, value in requested.items() if value != "auto"}
    epochs = values.get("n_epochs") or _default_epochs(examples)
    batch = 1
    if device != "cpu":
        batch = max(1, min(_MAX_BATCH, epochs * examples // _MIN_STEPS))
    return Hyperparameters(
        n_epochs=epochs,
        batch_size=min(values.get("batch_size") or batch, examples),
        learning_rate_multiplier=values.get("learning_rate_multiplier") or 1.0,
    )


def learning_rate(
    hyperparameters: Hyperparameters, *, parameters: int, steps: int
) -> float:
    """Return the peak learning rate of a job."""
    if parameters <= _SMALL_MODEL:
        rate = 1e-3 if steps <= _FEW_STEPS else 5e-4
    else:
        rate = 2e-4 if parameters <= _MEDIUM_MODEL else 1e-4
    return rate * hyperparameters.learning_rate_multiplier


def default_strength(parameters: int) -> float:
    """Return how much of a person's adapter is applied, if nobody chooses."""
    return 1.0 if parameters <= _SMALL_MODEL else 0.5


def save_bytes(adapter_bytes: int) -> int:
    """Return the space that the saves of a job need, given the size of its adapter."""
    return _ADAPTERS_ON_DISK * adapter_bytes


def create_lora_config(model: Any) -> Any:
    """Create PEFT's configuration for a model's adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=LORA_RANK,
        lora_alpha=2 * LORA_RANK,
        lora_dropout=0.0,
        target_modules=find_adapted_layers(model),
        task_type="CAUSAL_LM",
    )


def _default_epochs(examples: int) -> int:
    if examples > 1000:  # noqa: PLR2004 - see the table above.
        return 1
    return min(max(2, math.ceil(_MIN_STEPS / max(1, examples))), _MAX_EPOCHS)

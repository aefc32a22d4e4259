"""From sessions to training examples, and from examples to a tuned chat model.

Names are resolved on first use: the rules of the format can be had without openai.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_chatexports.finetuning.estimate import (
        TrainingEstimate,
        estimate_training,
    )
    from langchain_chatexports.finetuning.examples import (
        ExampleCounts,
        TrainingExample,
        TrainingMessage,
        to_training_examples,
    )
    from langchain_chatexports.finetuning.jsonl import read_jsonl, write_jsonl
    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner
    from langchain_chatexports.finetuning.validation import (
        TrainingProblem,
        validate_examples,
    )

__all__ = [
    "ChatFineTuner",
    "ExampleCounts",
    "FineTuningRun",
    "TrainingEstimate",
    "TrainingExample",
    "TrainingMessage",
    "TrainingProblem",
    "estimate_training",
    "read_jsonl",
    "to_training_examples",
    "validate_examples",
    "write_jsonl",
]

_MODULES = {
    "estimate": ("TrainingEstimate", "estimate_training"),
    "examples": (
        "ExampleCounts",
        "TrainingExample",
        "TrainingMessage",
        "to_training_examples",
    ),
    "jsonl": ("read_jsonl", "write_jsonl"),
    "run": ("FineTuningRun",),
    "tuner": ("ChatFineTuner",),
    "validation": ("TrainingProblem", "validate_examples"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

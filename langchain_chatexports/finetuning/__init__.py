"""From sessions to training examples, and from examples to a tuned chat model.

Names are resolved on first use: the rules of the format can be had without openai.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_chatexports.datasets._forget import (
        ForgetReport,
        JobUse,
        find_jobs,
        forget,
    )
    from langchain_chatexports.datasets.card import CardNotes, hash_source
    from langchain_chatexports.datasets.deduplication import (
        DuplicateCounts,
        deduplicate_examples,
    )
    from langchain_chatexports.datasets.estimate import (
        TrainingEstimate,
        estimate_training,
    )
    from langchain_chatexports.datasets.examples import (
        ExampleCounts,
        TrainingExample,
        TrainingMessage,
        to_training_examples,
    )
    from langchain_chatexports.datasets.formats import (
        WrittenSet,
        to_dataset,
        write_dataset,
    )
    from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
    from langchain_chatexports.datasets.preferences import (
        PreferenceCounts,
        edit_preferences,
        reaction_labels,
    )
    from langchain_chatexports.datasets.splits import (
        ExampleSplits,
        split_examples,
    )
    from langchain_chatexports.datasets.stages import Stage
    from langchain_chatexports.datasets.trace import (
        ExampleOrigin,
        TracedExample,
        trace_examples,
    )
    from langchain_chatexports.datasets.validation import (
        TrainingProblem,
        validate_examples,
    )
    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

__all__ = [
    "CardNotes",
    "ChatFineTuner",
    "DuplicateCounts",
    "ExampleCounts",
    "ExampleOrigin",
    "ExampleSplits",
    "FineTuningRun",
    "ForgetReport",
    "JobUse",
    "PreferenceCounts",
    "Stage",
    "TracedExample",
    "TrainingEstimate",
    "TrainingExample",
    "TrainingMessage",
    "TrainingProblem",
    "WrittenSet",
    "deduplicate_examples",
    "edit_preferences",
    "estimate_training",
    "find_jobs",
    "forget",
    "hash_source",
    "reaction_labels",
    "read_jsonl",
    "split_examples",
    "to_dataset",
    "to_training_examples",
    "trace_examples",
    "validate_examples",
    "write_dataset",
    "write_jsonl",
]

_MODULES = {
    "card": ("CardNotes", "hash_source"),
    "deduplication": ("DuplicateCounts", "deduplicate_examples"),
    "forgetting": ("ForgetReport", "JobUse", "find_jobs", "forget"),
    "preferences": ("PreferenceCounts", "edit_preferences", "reaction_labels"),
    "provenance": ("ExampleOrigin", "TracedExample", "trace_examples"),
    "splits": ("ExampleSplits", "split_examples"),
    "stages": ("Stage",),
    "writers": ("WrittenSet", "to_dataset", "write_dataset"),
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

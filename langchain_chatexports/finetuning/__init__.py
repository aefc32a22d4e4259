"""From training examples to a tuned chat model, by OpenAI's fine-tuning protocol.

What makes and checks the examples is in `langchain_chatexports.datasets`; its names can
be imported from here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports import datasets
from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.datasets import (
        CardNotes,
        ExampleOrigin,
        ExampleSplits,
        ForgetReport,
        Ledger,
        Stage,
        TracedExample,
        TrainingEstimate,
        TrainingExample,
        TrainingMessage,
        TrainingProblem,
        WrittenSet,
        deduplicate_examples,
        edit_preferences,
        estimate_training,
        forget,
        hash_source,
        reaction_labels,
        read_jsonl,
        split_examples,
        to_dataset,
        to_training_examples,
        trace_examples,
        validate_examples,
        write_dataset,
        write_jsonl,
    )
    from langchain_chatexports.finetuning.data_use import JobUse, find_jobs
    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

__all__ = [
    "CardNotes",
    "ChatFineTuner",
    "ExampleOrigin",
    "ExampleSplits",
    "FineTuningRun",
    "ForgetReport",
    "JobUse",
    "Ledger",
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
    "data_use": ("JobUse", "find_jobs"),
    "run": ("FineTuningRun",),
    "tuner": ("ChatFineTuner",),
}

_get_own, __dir__ = lazy_names(__name__, _MODULES)


def __getattr__(name: str) -> Any:
    return getattr(datasets, name) if name in datasets.__all__ else _get_own(name)

"""From training examples to a tuned chat model, by OpenAI's fine-tuning protocol.

What makes and checks the examples is in `langchain_chatexports.datasets`; its names can
be imported from here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports import datasets
from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.ledger import Ledger, Stage
    from langchain_chatexports.datasets._forget import ForgetReport, forget
    from langchain_chatexports.datasets.card import CardNotes, hash_source
    from langchain_chatexports.datasets.deduplication import deduplicate_examples
    from langchain_chatexports.datasets.estimate import (
        TrainingEstimate,
        estimate_training,
    )
    from langchain_chatexports.datasets.examples import (
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
        edit_preferences,
        reaction_labels,
    )
    from langchain_chatexports.datasets.splits import ExampleSplits, split_examples
    from langchain_chatexports.datasets.trace import (
        ExampleOrigin,
        TracedExample,
        trace_examples,
    )
    from langchain_chatexports.datasets.validation import (
        TrainingProblem,
        validate_examples,
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

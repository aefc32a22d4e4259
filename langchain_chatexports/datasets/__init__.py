"""Training sets: examples, checks, splits, files, data card and trace.

Names are imported on first use, so that validation needs no extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names
from langchain_chatexports.chat_loaders.counts import Counts

if TYPE_CHECKING:
    from langchain_chatexports.datasets._forget import (
        ForgetReport,
        forget,
    )
    from langchain_chatexports.datasets.card import CardNotes, hash_source
    from langchain_chatexports.datasets.chat_prompts import ChatPrompt, common_prompt
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
        to_langsmith_examples,
        write_dataset,
    )
    from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
    from langchain_chatexports.datasets.persona_prompts import persona_prompt
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

__all__ = [
    "CardNotes",
    "ChatPrompt",
    "Counts",
    "ExampleOrigin",
    "ExampleSplits",
    "ForgetReport",
    "TracedExample",
    "TrainingEstimate",
    "TrainingExample",
    "TrainingMessage",
    "TrainingProblem",
    "WrittenSet",
    "common_prompt",
    "deduplicate_examples",
    "edit_preferences",
    "estimate_training",
    "forget",
    "hash_source",
    "persona_prompt",
    "reaction_labels",
    "read_jsonl",
    "split_examples",
    "to_dataset",
    "to_langsmith_examples",
    "to_training_examples",
    "trace_examples",
    "validate_examples",
    "write_dataset",
    "write_jsonl",
]

_MODULES = {
    "_forget": ("ForgetReport", "forget"),
    "card": ("CardNotes", "hash_source"),
    "chat_prompts": ("ChatPrompt", "common_prompt"),
    "deduplication": ("deduplicate_examples",),
    "estimate": ("TrainingEstimate", "estimate_training"),
    "examples": (
        "TrainingExample",
        "TrainingMessage",
        "to_training_examples",
    ),
    "formats": ("WrittenSet", "to_dataset", "to_langsmith_examples", "write_dataset"),
    "jsonl": ("read_jsonl", "write_jsonl"),
    "persona_prompts": ("persona_prompt",),
    "preferences": ("edit_preferences", "reaction_labels"),
    "splits": ("ExampleSplits", "split_examples"),
    "trace": ("ExampleOrigin", "TracedExample", "trace_examples"),
    "validation": ("TrainingProblem", "validate_examples"),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)

"""Training datasets: examples, validation, splits, files, data cards and traces.

Names are imported on first use, so that validation works without extras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.datasets.card import CardNotes, hash_source
    from langchain_chatexports.datasets.estimate import estimate_training
    from langchain_chatexports.datasets.examples import (
        TrainingExample,
        to_training_examples,
    )
    from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
    from langchain_chatexports.datasets.removal import forget
    from langchain_chatexports.datasets.splits import split_examples
    from langchain_chatexports.datasets.system_prompts import persona_prompt
    from langchain_chatexports.datasets.trace import trace_examples
    from langchain_chatexports.datasets.validation import validate_examples
    from langchain_chatexports.datasets.write import write_dataset

__all__ = [
    "CardNotes",
    "TrainingExample",
    "estimate_training",
    "forget",
    "hash_source",
    "persona_prompt",
    "read_jsonl",
    "split_examples",
    "to_training_examples",
    "trace_examples",
    "validate_examples",
    "write_dataset",
    "write_jsonl",
]

_MODULES = {
    "removal": ("forget",),
    "card": ("CardNotes", "hash_source"),
    "estimate": ("estimate_training",),
    "examples": ("TrainingExample", "to_training_examples"),
    "write": ("write_dataset",),
    "jsonl": ("read_jsonl", "write_jsonl"),
    "system_prompts": ("persona_prompt",),
    "splits": ("split_examples",),
    "trace": ("trace_examples",),
    "validation": ("validate_examples",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)

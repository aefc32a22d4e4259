"""Data sets in the formats of common trainers, each with a data card and a trace."""

from __future__ import annotations

from langchain_chatexports.datasets.formats.huggingface import to_dataset
from langchain_chatexports.datasets.formats.langsmith import to_langsmith_examples
from langchain_chatexports.datasets.formats.trainer_formats import FormatName
from langchain_chatexports.datasets.formats.write import WrittenSet, write_dataset

__all__ = [
    "FormatName",
    "WrittenSet",
    "to_dataset",
    "to_langsmith_examples",
    "write_dataset",
]

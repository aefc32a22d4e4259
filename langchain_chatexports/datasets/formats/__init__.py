"""Write examples for the field's trainers, each set with its card and its trace."""

from __future__ import annotations

from langchain_chatexports.datasets.formats.huggingface import to_dataset
from langchain_chatexports.datasets.formats.trainers import FormatName
from langchain_chatexports.datasets.formats.write import WrittenSet, write_dataset

__all__ = ["FormatName", "WrittenSet", "to_dataset", "write_dataset"]

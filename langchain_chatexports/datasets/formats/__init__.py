"""Sets of examples in the formats that trainers read, with data card and trace."""

from __future__ import annotations

from langchain_chatexports.datasets.formats.trainer_formats import FormatName
from langchain_chatexports.datasets.formats.write import WrittenSet, write_dataset

__all__ = ["FormatName", "WrittenSet", "write_dataset"]

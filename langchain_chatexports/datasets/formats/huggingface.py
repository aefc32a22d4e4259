"""Examples as a Hugging Face `Dataset`, in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_chatexports.datasets.formats.trainer_formats import (
    UnfitError,
    dataset_format,
)
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.splits import ExampleSplits
from langchain_chatexports.datasets.validation import TrainingProblem
from langchain_chatexports.exceptions import MissingExtraError, TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datasets import Dataset, DatasetDict

    from langchain_chatexports.datasets.formats.trainer_formats import FormatName
    from langchain_chatexports.datasets.formats.write import AnyRecord

__all__ = ["to_dataset"]


def to_dataset(
    examples: Iterable[AnyRecord] | ExampleSplits, *, format: FormatName = "trl"
) -> Dataset | DatasetDict:
    """Return examples as a `Dataset`, or split ones as a `DatasetDict`.

    The rows are held in memory and written nowhere: a data set that `datasets` makes
    from files or generators stays in its cache.

    Args:
        examples: As for `write_dataset`.
        format: The rows' format.

    Returns:
        The data set, its parts named `train`, `validation` and `test`.

    Raises:
        MissingExtraError: If the extra `datasets` is not installed.
        TrainingDataError: If an example does not fit the format.
    """
    try:
        from datasets import Dataset, DatasetDict
    except ImportError as error:
        feature = "A Hugging Face data set"
        raise MissingExtraError(feature, "datasets") from error
    if isinstance(examples, ExampleSplits):
        parts = examples.parts().items()
        return DatasetDict(
            {name: Dataset.from_list(_rows(part, format)) for name, part in parts}
        )
    return Dataset.from_list(_rows(examples, format))


def _rows(examples: Iterable[AnyRecord], name: str) -> list[dict[str, Any]]:
    kind = dataset_format(name)
    rows: list[dict[str, Any]] = []
    problems: list[TrainingProblem] = []
    for number, item in enumerate(examples, 1):
        record = item[0] if isinstance(item, tuple) else item
        try:
            # From the JSON line, whose text is clean: Arrow takes no half surrogates.
            rows += (json.loads(json_line(e.row)) for e in kind.encode(record))
        except UnfitError as error:
            problems.append(TrainingProblem(str(error), line=number))
    if problems:
        msg = f"The format {name!r} cannot hold all of the examples:"
        raise TrainingDataError(msg, problems)
    return rows

"""The formats of a set: functions from an example to its rows.

OpenAI's format takes an example as it is. The others refuse messages that are not text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from langchain_chatexports._regular_files import check_regular_file
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError

FormatName: TypeAlias = Literal["openai", "trl-prompt-completion", "parquet"]
"""The formats that can be written."""

PARTS = ("train", "validation", "test")
PARQUET = ".parquet"

_BATCH = 1_000
_MESSAGES = "STRUCT(role VARCHAR, content VARCHAR, name VARCHAR, weight TINYINT)[]"
# The longest row that DuckDB reads.
_MAX_ROW_BYTES = 1 << 30


class EncodedRow(NamedTuple):
    """A row of a set, and the number of its answers that are trained on."""

    row: dict[str, Any]
    answers: int


class UnfitError(ValueError):
    """An example does not fit a format; the text names the rule."""


class DatasetFormat(NamedTuple):
    """A format of rows."""

    name: str
    suffix: str
    """The suffix of the files."""

    encode: Callable[[Mapping[str, Any]], Iterator[EncodedRow]]
    row_is_example: bool = True
    """Whether each row is a complete example."""


def dataset_format(name: str) -> DatasetFormat:
    """Return a format by its name; a `ValueError` lists the names."""
    if name not in FORMATS:
        msg = f"There is no format {name!r}: choose one of {', '.join(FORMATS)}."
        raise ValueError(msg)
    return FORMATS[name]


def count_learned(example: Mapping[str, Any]) -> int:
    """Return the number of answers that are trained on; `UnfitError` for no example."""
    messages = example.get("messages")
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        msg = "`messages` must be a list of objects with `role` and `content`"
        raise UnfitError(msg)
    return sum(map(is_learned, messages))


def is_learned(message: Mapping[str, Any]) -> bool:
    """Return whether a message is an answer that is trained on."""
    return message["role"] == "assistant" and message.get("weight") != 0


def _is_message(message: object) -> bool:
    return isinstance(message, Mapping) and isinstance(message.get("role"), str)


def _openai(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    yield EncodedRow(dict(example), count_learned(example))


def _trl_prompt_completion(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Consecutive answers are one completion, if they are trained on.
    messages = _texts(example)
    learned = [*map(is_learned, example["messages"]), False]
    start = 0
    for index in range(len(messages)):
        if not learned[index]:
            start = index + 1
        elif not learned[index + 1]:
            # Chat templates and TRL refuse a prompt without a user's message.
            if any(message["role"] == "user" for message in messages[:start]):
                completion = messages[start : index + 1]
                row = {"prompt": messages[:start], "completion": completion}
                yield EncodedRow(row, len(completion))
            start = index + 1


def _parquet(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Each row has the same keys in the same order: the table's schema.
    messages = [
        {**text, "name": message.get("name"), "weight": message.get("weight")}
        for text, message in zip(_texts(example), example["messages"], strict=True)
    ]
    yield EncodedRow({"messages": messages}, count_learned(example))


def _texts(example: Mapping[str, Any]) -> list[dict[str, str]]:
    count_learned(example)
    return [
        {
            "role": "system" if one["role"] == "developer" else one["role"],
            "content": _text(one.get("content")),
        }
        for one in example["messages"]
    ]


def _text(content: object) -> str:
    if not isinstance(content, str):
        msg = "a message must be text in this format"
        raise UnfitError(msg)
    return content


FORMATS: dict[str, DatasetFormat] = {
    "openai": DatasetFormat("openai", ".jsonl", _openai),
    "trl-prompt-completion": DatasetFormat(
        "trl-prompt-completion", ".jsonl", _trl_prompt_completion, row_is_example=False
    ),
    "parquet": DatasetFormat("parquet", PARQUET, _parquet),
}
"""The formats by name."""


# Parquet files, written and read by DuckDB


def require_duckdb() -> Any:
    """Return DuckDB, which writes and reads Parquet."""
    try:
        import duckdb
    except ImportError as error:
        feature = "Parquet"
        raise MissingExtraError(feature, "table") from error
    return duckdb


def lines_to_parquet(lines: Path, path: Path) -> None:
    """Write a Parquet file of the examples in a file of JSON lines."""
    rows = (
        f"read_json({_quoted(lines)}, format = 'newline_delimited', "
        f"columns = {{messages: '{_MESSAGES}'}}, "
        f"maximum_object_size = {_MAX_ROW_BYTES})"
    )
    target = str(path).replace("'", "''")
    msg = (
        "The examples cannot be written as Parquet: the disk is full, or one of them "
        "does not fit into a table. Write JSON lines."
    )
    with _database(lines.parent, msg) as database:
        database.execute(
            f"COPY (SELECT messages FROM {rows}) TO '{target}' (FORMAT parquet)"
        )
    path.chmod(0o600)


def parquet_to_lines(path: Path) -> Iterator[bytes]:
    """Yield the examples of a Parquet file, each as a line of JSON."""
    check_regular_file(path)
    msg = f"{path} is not a Parquet file of this set. Write the set again."
    with _database(path.parent, msg) as database:
        database.execute(f"SELECT messages FROM read_parquet({_quoted(path)})")
        while rows := database.fetchmany(_BATCH):
            for (messages,) in rows:
                yield json_line({"messages": messages})


@contextmanager
def _database(folder: Path, msg: str) -> Iterator[Any]:
    duckdb = require_duckdb()
    config = {
        "autoinstall_known_extensions": "false",
        "temp_directory": str(folder),
        "threads": "1",
    }
    try:
        with duckdb.connect(":memory:", config=config) as database:
            yield database
    except duckdb.Error:
        raise ExportFormatError(msg) from None  # DuckDB's errors quote the file.


def _quoted(path: Path) -> str:
    # DuckDB reads paths as patterns.
    escaped = re.sub(r"([*?\[])", r"[\1]", str(path))
    return "'" + escaped.replace("'", "''") + "'"

"""Dataset formats, which encode an example as rows.

OpenAI's format stores examples unchanged. The others only support text.
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

SPLIT_NAMES = ("train", "validation", "test")
PARQUET = ".parquet"

_BATCH_SIZE = 1_000
_MESSAGES_TYPE = "STRUCT(role VARCHAR, content VARCHAR, name VARCHAR, weight TINYINT)[]"
# The maximum size of a row that DuckDB reads.
_MAX_ROW_BYTES = 1 << 30


class EncodedRow(NamedTuple):
    """A row of a set, with its number of trainable answers."""

    row: dict[str, Any]
    answers: int


class UnsupportedExampleError(ValueError):
    """A format does not support an example; the message states the violated rule."""


class DatasetFormat(NamedTuple):
    """A file format for examples."""

    name: str
    suffix: str
    """The file name suffix."""

    encode: Callable[[Mapping[str, Any]], Iterator[EncodedRow]]
    row_is_example: bool = True
    """Whether each row is a complete example."""


def dataset_format(name: str) -> DatasetFormat:
    """Return a format by name; raise `ValueError` if it is unknown."""
    if name not in FORMATS:
        msg = f"Unknown format {name!r}. Choose one of {', '.join(FORMATS)}."
        raise ValueError(msg)
    return FORMATS[name]


def count_trainable(example: Mapping[str, Any]) -> int:
    """Return the number of trainable answers in an example.

    Raises `UnsupportedExampleError` if the input is not a valid example.
    """
    messages = example.get("messages")
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        msg = "`messages` must be a list of objects with `role` and `content`"
        raise UnsupportedExampleError(msg)
    return sum(map(is_trainable, messages))


def is_trainable(message: Mapping[str, Any]) -> bool:
    """Return whether a message is an answer to train on."""
    return message["role"] == "assistant" and message.get("weight") != 0


def _is_message(message: object) -> bool:
    return isinstance(message, Mapping) and isinstance(message.get("role"), str)


def _openai(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    yield EncodedRow(dict(example), count_trainable(example))


def _trl_prompt_completion(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Consecutive trainable answers become one completion.
    messages = _text_messages(example)
    trainable = [*map(is_trainable, example["messages"]), False]
    start = 0
    for index in range(len(messages)):
        if not trainable[index]:
            start = index + 1
            continue
        # Chat templates and TRL require a user message in the prompt.
        has_user = any(message["role"] == "user" for message in messages[:start])
        if has_user and not trainable[index + 1]:
            completion = messages[start : index + 1]
            row = {"prompt": messages[:start], "completion": completion}
            yield EncodedRow(row, len(completion))


def _parquet(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Each row needs the keys of the table's schema, in the same order.
    messages = [
        {**text, "name": message.get("name"), "weight": message.get("weight")}
        for text, message in zip(
            _text_messages(example), example["messages"], strict=True
        )
    ]
    yield EncodedRow({"messages": messages}, count_trainable(example))


def _text_messages(example: Mapping[str, Any]) -> list[dict[str, str]]:
    count_trainable(example)
    return [
        {
            "role": "system" if message["role"] == "developer" else message["role"],
            "content": _require_text(message.get("content")),
        }
        for message in example["messages"]
    ]


def _require_text(content: object) -> str:
    if not isinstance(content, str):
        msg = "a message must be text in this format"
        raise UnsupportedExampleError(msg)
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
    """Import DuckDB, which reads and writes Parquet."""
    try:
        import duckdb
    except ImportError as error:
        feature = "Parquet"
        raise MissingExtraError(feature, "table") from error
    return duckdb


def lines_to_parquet(lines: Path, path: Path) -> None:
    """Convert a JSON Lines file to Parquet."""
    rows = (
        f"read_json({_quote(lines)}, format = 'newline_delimited', "
        f"columns = {{messages: '{_MESSAGES_TYPE}'}}, "
        f"maximum_object_size = {_MAX_ROW_BYTES})"
    )
    target = str(path).replace("'", "''")
    msg = (
        "The examples cannot be written as Parquet: the disk is full, or an example "
        "does not fit the table schema. Write JSON Lines instead."
    )
    with _open_duckdb(lines.parent, msg) as database:
        database.execute(
            f"COPY (SELECT messages FROM {rows}) TO '{target}' (FORMAT parquet)"
        )
    path.chmod(0o600)


def parquet_to_lines(path: Path) -> Iterator[bytes]:
    """Yield the examples in a Parquet file as JSON Lines."""
    check_regular_file(path)
    msg = f"{path} is not a Parquet file of this set. Write the set again."
    with _open_duckdb(path.parent, msg) as database:
        database.execute(f"SELECT messages FROM read_parquet({_quote(path)})")
        while rows := database.fetchmany(_BATCH_SIZE):
            for (messages,) in rows:
                yield json_line({"messages": messages})


@contextmanager
def _open_duckdb(folder: Path, msg: str) -> Iterator[Any]:
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


def _quote(path: Path) -> str:
    # DuckDB treats paths as glob patterns.
    escaped = re.sub(r"([*?\[])", r"[\1]", str(path))
    return "'" + escaped.replace("'", "''") + "'"

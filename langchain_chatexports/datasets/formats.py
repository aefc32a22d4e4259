"""The formats of a set: functions from an example to its rows.

OpenAI's format supports everything. The others refuse examples if they would lose
something that is trained on, such as a tool call or an image.
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
    """A row of a set, and how much of its example it contains."""

    row: dict[str, Any]
    answers: int
    """The number of the example's answers that are trained on."""

    messages: int
    """The number of the example's messages up to the end of this row."""


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

    def file_of(self, part: str) -> str:
        """Return the name of a part's file."""
        return f"{part}{self.suffix}"


def dataset_format(name: str) -> DatasetFormat:
    """Return a format by its name; a `ValueError` lists the names."""
    if name not in FORMATS:
        msg = f"There is no format {name!r}: choose one of {', '.join(FORMATS)}."
        raise ValueError(msg)
    return FORMATS[name]


def messages_of(example: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the messages of an example; anything else is an `UnfitError`."""
    messages = example.get("messages")
    msg = "`messages` must be a list of objects with `role` and `content`"
    if not isinstance(messages, (list, tuple)):
        raise UnfitError(msg)
    for message in messages:
        if not (
            isinstance(message, (dict, Mapping))
            and isinstance(message.get("role"), str)
        ):
            raise UnfitError(msg)
    return list(messages)


def is_learned(message: Mapping[str, Any]) -> bool:
    """Return whether a message is an answer that is trained on."""
    return message["role"] == "assistant" and message.get("weight") != 0


def _openai(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    messages = messages_of(example)
    yield EncodedRow(dict(example), sum(map(is_learned, messages)), len(messages))


def _trl_prompt_completion(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Consecutive answers are one completion, if they are trained on.
    messages = _texts(example)
    learned = [is_learned(message) for message in example["messages"]]
    start = 0
    for index, is_answer in enumerate(learned):
        if not is_answer:
            start = index + 1
        elif index + 1 == len(learned) or not learned[index + 1]:
            # Chat templates and TRL refuse a prompt without a user's message.
            if any(message["role"] == "user" for message in messages[:start]):
                completion = messages[start : index + 1]
                row = {"prompt": messages[:start], "completion": completion}
                yield EncodedRow(row, len(completion), index + 1)
            start = index + 1


def _parquet(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Each row has the same keys in the same order: the table's schema.
    messages = [
        {**text, "name": message.get("name"), "weight": message.get("weight")}
        for text, message in zip(_texts(example), example["messages"], strict=True)
    ]
    learned = sum(map(is_learned, example["messages"]))
    yield EncodedRow({"messages": messages}, learned, len(messages))


def _texts(example: Mapping[str, Any]) -> list[dict[str, str]]:
    messages = messages_of(example)
    has_calls = any("tool_calls" in message for message in messages)
    roles = {message["role"] for message in messages}
    is_chat = roles <= {"system", "developer", "user", "assistant"}
    if example.get("tools") or example.get("functions") or has_calls or not is_chat:
        msg = "this format does not support tools"
        raise UnfitError(msg)
    return [
        {
            "role": "system" if one["role"] == "developer" else one["role"],
            "content": _plain_text(one.get("content")),
        }
        for one in messages
    ]


def _plain_text(content: Any) -> str:
    if isinstance(content, list) and all(
        isinstance(part, Mapping)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
        for part in content
    ):
        return "\n".join(part["text"] for part in content)
    if not isinstance(content, str):
        msg = "a message must be text in this format, without images"
        raise UnfitError(msg)
    return content


FORMATS: dict[str, DatasetFormat] = {
    one.name: one
    for one in (
        DatasetFormat("openai", ".jsonl", _openai),
        DatasetFormat(
            "trl-prompt-completion",
            ".jsonl",
            _trl_prompt_completion,
            row_is_example=False,
        ),
        DatasetFormat("parquet", PARQUET, _parquet),
    )
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
    duckdb = require_duckdb()
    rows = (
        f"read_json({_quoted(lines)}, format = 'newline_delimited', "
        f"columns = {{messages: '{_MESSAGES}'}}, "
        f"maximum_object_size = {_MAX_ROW_BYTES})"
    )
    target = str(path).replace("'", "''")
    try:
        with _database(lines.parent) as database:
            database.execute(
                f"COPY (SELECT messages FROM {rows}) TO '{target}' (FORMAT parquet)"
            )
    except duckdb.Error:
        msg = (
            f"{path.name} cannot be written as Parquet: the disk is full, or an "
            "example does not fit into a table. Write JSON lines."
        )
        raise ExportFormatError(msg) from None
    path.chmod(0o600)


def parquet_to_lines(path: Path) -> Iterator[bytes]:
    """Yield the examples of a Parquet file, each as a line of JSON."""
    check_regular_file(path)
    duckdb = require_duckdb()
    try:
        with _database(path.parent) as database:
            database.execute(f"SELECT messages FROM read_parquet({_quoted(path)})")
            while rows := database.fetchmany(_BATCH):
                for (messages,) in rows:
                    yield json_line({"messages": messages})
    except duckdb.Error:
        # DuckDB's errors quote the file.
        msg = f"{path} is not a Parquet file of this set. Write the set again."
        raise ExportFormatError(msg) from None


@contextmanager
def _database(folder: Path) -> Iterator[Any]:
    config = {
        "autoinstall_known_extensions": "false",
        "temp_directory": str(folder),
        "threads": "1",
    }
    with require_duckdb().connect(":memory:", config=config) as database:
        yield database


def _quoted(path: Path) -> str:
    # DuckDB reads paths as patterns.
    escaped = re.sub(r"([*?\[])", r"[\1]", str(path))
    return "'" + escaped.replace("'", "''") + "'"

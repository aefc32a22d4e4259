"""Ray data sinks that write examples as JSON lines or Parquet."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ray.data.datasource import BlockBasedFileDatasink

from langchain_chatexports.cluster.fetching import absolute, is_url, shown
from langchain_chatexports.datasets.formats.containers import parquet_schema
from langchain_chatexports.datasets.formats.trainer_formats import dataset_format
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from ray.data.block import BlockAccessor

__all__ = ["JsonLines", "ParquetRows"]


class _Files(BlockBasedFileDatasink):  # type: ignore[misc]  # Ray has no types.
    """Writes private files, atomically."""

    file_format: ClassVar[str]

    def __init__(self, path: str | Path, **options: Any) -> None:
        """Initialize the sink.

        Args:
            path: A folder that all machines can write to, or a URL; new or empty,
                unless there is a `mode`. On a disk, folder and files are readable by
                their owner only, and a file appears when it is whole.
            **options: The options of Ray's `BlockBasedFileDatasink`, such as
                `min_rows_per_file`, or `mode`, which says what becomes of the files
                that are there.
        """
        super().__init__(absolute(path), file_format=self.file_format, **options)
        self._is_local = not is_url(path)
        self._must_be_empty = "mode" not in options
        self._shown = shown(str(path))

    def on_write_start(self, *schema: pa.Schema | None) -> None:
        """Make the folder, for its owner only.

        Args:
            *schema: As Ray gives it; its older versions give none.

        Raises:
            ExportFormatError: If there are files of another run in it.
        """
        if self._must_be_empty and self._holds_files():
            msg = (
                f"{self._shown} holds files already, and examples of two runs would be "
                "in it twice. Name another folder, or say with `mode` what to do."
            )
            raise ExportFormatError(msg)
        self._must_be_empty = False  # Ray may ask again when it has begun.
        super().on_write_start(*schema)
        if self._is_local and self.has_created_dir:
            Path(self.path).chmod(0o700)

    def _holds_files(self) -> bool:
        from pyarrow.fs import FileSelector

        inside = FileSelector(self.path, allow_not_found=True)
        return bool(self.filesystem.get_file_info(inside))

    @contextmanager
    def open_output_stream(self, path: str) -> Iterator[pa.NativeFile]:
        """Open a file, on a disk for its owner only and aside until it is whole."""
        if not self._is_local:
            with super().open_output_stream(path) as file:
                yield file
            return
        target = Path(path)
        aside = target.with_name(f".{target.name}.part")
        # Made here, because Arrow makes files for everybody, and keeps a mode.
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT, 0o600))
        with super().open_output_stream(str(aside)) as file:
            yield file
        aside.replace(target)


class JsonLines(_Files):
    """Writes the examples of a dataset as JSON lines in OpenAI's chat format.

    `Dataset.write_json` writes a null for each key that another message has, such as
    `name` or `weight`, which readers refuse. Use it with
    `Dataset.write_datasink`.
    """

    file_format = "jsonl"

    def write_block_to_file(self, block: BlockAccessor, file: pa.NativeFile) -> None:
        """Write a block of examples, a line each."""
        for example in _examples(block):
            file.write(json_line(example))


class ParquetRows(_Files):
    """Writes the examples of a dataset as Parquet, as `--format parquet` does.

    All files have the same columns. Those of `Dataset.write_parquet` have what happens
    to be in their rows, such as no `weight` in one of them, and Hugging Face's
    `datasets` refuses to read them together. Use it with `Dataset.write_datasink`.
    """

    file_format = "parquet"

    def write_block_to_file(self, block: BlockAccessor, file: pa.NativeFile) -> None:
        """Write a block of examples, a row each."""
        import pyarrow as pa
        from pyarrow import parquet

        encode = dataset_format("parquet").encode
        # Through a line, whose text is clean: Arrow takes no halves of surrogates.
        rows = [
            json.loads(json_line(encoded.row))
            for example in _examples(block)
            for encoded in encode(example)
        ]
        table = pa.Table.from_pylist(rows, schema=parquet_schema())
        parquet.write_table(table, file)


def _examples(block: BlockAccessor) -> Iterator[dict[str, Any]]:
    for row in block.iter_rows(public_row_format=True):
        messages = [
            {"role": message["role"], "content": message["content"]}
            | _without_nulls(message)
            for message in row["messages"]
        ]
        yield {"messages": messages}


def _without_nulls(value: Any) -> Any:
    """Return a value without the keys that only other messages have."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value

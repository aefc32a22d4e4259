"""JSON lines from a Ray dataset, byte for byte as `write_jsonl` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.data.datasource import BlockBasedFileDatasink

from langchain_chatexports.cluster.fetching import absolute, is_url
from langchain_chatexports.finetuning.jsonl import json_line

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data.block import BlockAccessor

__all__ = ["JsonLines"]


class JsonLines(BlockBasedFileDatasink):  # type: ignore[misc]  # Ray has no types.
    """Writes the examples of a dataset as JSON lines in OpenAI's chat format.

    `Dataset.write_json` writes a null for each key that another message has, such as
    `name` or `weight`, and those are refused by who reads them. Use it with
    `Dataset.write_datasink`.
    """

    def __init__(self, path: str | Path, **options: Any) -> None:
        """Remember where to write, and make the folder, for its owner only.

        Args:
            path: A folder that all machines can write to, or a URL.
            **options: The options of Ray's `BlockBasedFileDatasink`.
        """
        if not is_url(path):
            Path(absolute(path)).mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(absolute(path), file_format="jsonl", **options)

    def write_block_to_file(self, block: BlockAccessor, file: pa.NativeFile) -> None:
        """Write a block of examples, a line each."""
        for row in block.iter_rows(public_row_format=True):
            messages = [_without_nulls(message) for message in row["messages"]]
            file.write(json_line({"messages": messages}))


def _without_nulls(message: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in message.items()
        if value is not None or key == "content"
    }

"""Reading of training files: JSON lines, with limits on their size."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 8 * 2**20
"""The maximum size of a line, which can take 30 times as much memory when parsed."""

MAX_LINES = 1_000_000
"""The maximum number of lines in a file."""


class JsonLinesError(ValueError):
    """A file that is not JSON lines; the text names the line."""


def read_examples(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read the JSON objects of a file, one per line; blank lines are skipped.

    It is split at line feeds only: text can contain U+2028.

    Raises:
        JsonLinesError: If a line is not a JSON object, or too long.
    """
    with Path(path).open("rb") as file:
        # Not `for line in file`: one line could fill the memory.
        for number in count(1):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_LINE_BYTES or number > MAX_LINES:
                msg = (
                    f"Line {number} is longer than {MAX_LINE_BYTES} bytes, or the file "
                    f"has more than {MAX_LINES} lines. Split it."
                )
                raise JsonLinesError(msg)
            if not line.strip():
                continue
            try:
                # Windows editors start a file with a byte order mark.
                value = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                msg = (
                    "Expected file to have JSONL format, where every line is a JSON "
                    f"dictionary. Line {number} is not a dictionary."
                )
                raise JsonLinesError(msg)
            yield value

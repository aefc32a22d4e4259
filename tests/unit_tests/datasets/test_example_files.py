import json
import os
import sys
from pathlib import Path

import pytest

from langchain_chatexports.datasets.example_files import (
    find_examples,
    find_splits,
    is_examples_file,
)
from langchain_chatexports.exceptions import ExportFormatError

EXAMPLE = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}) + "\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (EXAMPLE.encode(), True),
        (b'{"messages": [{"sender_name": "A", "timestamp_ms": 1}]}', False),
        (b'{"messages": []}\n', False),
        (b"{\n", False),
        (b"SQLite format 3\x00", False),
    ],
)
def test_examples_file_is_recognized_by_its_first_line(
    tmp_path: Path, content: bytes, expected: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert is_examples_file(path) is expected


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["test", "train", "validation"], ["train", "validation", "test"]),
        *((["train"], ["train"]), (["test", "validation"], []), ([], [])),
    ],
)
def test_set_needs_train_file(
    tmp_path: Path, files: list[str], parts: list[str]
) -> None:
    for name in files:
        (tmp_path / f"{name}.jsonl").write_text(EXAMPLE)
    assert find_splits(tmp_path) == {part: tmp_path / f"{part}.jsonl" for part in parts}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes.")
def test_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExportFormatError, match="is a pipe, not a file"):
        is_examples_file(tmp_path / "pipe")
    assert find_examples(tmp_path / "pipe") == (False, None)


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        (["mine"], "mine.jsonl", "mine.jsonl"),
        (["mine"], "", "mine.jsonl"),
        (["train", "test"], "", ""),
        (["train", "test"], "train.jsonl", "train.jsonl"),
        (["train", "test"], "test.jsonl", ""),
        (["test", "valid"], "", None),
        (["test"], "test.jsonl", None),
    ],
)
def test_held_out_examples_are_not_to_train_on(
    tmp_path: Path, files: list[str], path: str, expected: str | None
) -> None:
    for name in files:
        (tmp_path / f"{name}.jsonl").write_text(EXAMPLE)
    found = None if expected is None else tmp_path / expected
    assert find_examples(tmp_path / path) == (True, found)

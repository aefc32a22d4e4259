"""Files of training examples, and sets of them."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from langchain_chatexports._regular_files import open_regular_file, translate_os_errors
from langchain_chatexports._translation import Sentence
from langchain_chatexports.datasets.formats import SPLIT_NAMES
from langchain_chatexports.exceptions import ChatExportError

# mlx-lm's name of the validation split is `valid`.
_HELD_OUT_SPLITS = frozenset({*SPLIT_NAMES, "valid"} - {"train"})
_MAX_LINE_BYTES = 64 * 1024 * 1024
_REMEDY = Sentence("Change its permissions, or copy it elsewhere.")


def is_examples_file(path: str | Path) -> bool:
    """Return whether a file contains training examples (JSON Lines with `messages`)."""
    path = Path(path).expanduser()
    with translate_os_errors(path, _REMEDY):
        if path.is_dir():
            return False
        with open_regular_file(path) as file:
            line = file.readline(_MAX_LINE_BYTES)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    messages = first.get("messages") if isinstance(first, dict) else None
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(message, dict) and "role" in message for message in messages)
    )


def find_splits(path: str | Path) -> dict[str, Path]:
    """Return the files of a dataset, as written by `prepare --split`, by split.

    The splits are `train`, `validation` and `test`. Empty if the folder has no `train`
    file, which means that it is not a dataset.
    """
    folder = Path(path).expanduser()
    files = {split: folder / f"{split}.jsonl" for split in SPLIT_NAMES}
    existing = {split: file for split, file in files.items() if file.is_file()}
    return (
        existing if "train" in existing and is_examples_file(existing["train"]) else {}
    )


def find_examples(path: Path) -> tuple[bool, Path | None]:
    """Return whether there are examples at a path and those to train on.

    A set comes before its files, and held-out files are not for training.
    """
    files = [file for file in _list_files(path) if _is_readable_examples_file(file)]
    folder = path if path.is_dir() else path.parent
    candidates = [file for file in files if file.stem not in _HELD_OUT_SPLITS]
    if files and find_splits(folder) and (path.is_dir() or not candidates):
        candidates = [folder]
    return bool(files), next(iter(candidates), None)


def _list_files(path: Path) -> Iterator[Path]:
    yield from sorted(path.glob("*.jsonl")) if path.is_dir() else [path]


def _is_readable_examples_file(path: Path) -> bool:
    with suppress(ChatExportError):
        return is_examples_file(path)
    return False

"""What `chatexports finetune` trains on, and what it holds out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.recognition import set_parts
from langchain_chatexports.cli._console import reading, say
from langchain_chatexports.cli.prepare import prepare_with_speaker
from langchain_chatexports.datasets.example_files import read_prepared
from langchain_chatexports.datasets.training_data import to_training_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.datasets.training_data import Share, TrainingData

__all__ = ["parse_share", "read_examples", "read_training_data"]


def parse_share(text: str) -> Share:
    """Return the value of `--validation`; `None` for nothing.

    Raises:
        typer.BadParameter: If it is not a share.
    """
    if text in {"auto", "none"}:
        return "auto" if text == "auto" else None
    try:
        share = float(text)
    except ValueError:
        share = 0
    if not 0 < share < 1:
        msg = f"--validation must be auto, none or a share such as 0.1, not {text!r}."
        raise typer.BadParameter(msg)
    return share


def read_examples(
    paths: Sequence[Path], options: PrepareOptions
) -> tuple[Preparation, list[TracedExample]]:
    """Read exports, or files of examples, with progress.

    Args:
        paths: What was named.
        options: How sessions become examples.

    Returns:
        The preparation, and the newest of its examples, as many as the options say.
    """
    examples: list[TracedExample] = []

    def read(preparation: Preparation) -> None:
        with reading(preparation):
            counts: list[Counts] = []
            examples[:] = preparation.newest(preparation.traced(counts), counts)

    return prepare_with_speaker(paths, options, read), examples


def read_training_data(
    paths: Sequence[Path], options: PrepareOptions, share: Share
) -> TrainingData:
    """Read exports, files of examples or sets, and hold a part out for validation.

    Args:
        paths: What was named. Of a set the training part is read, and its validation
            part is what is held out.
        options: How sessions become examples.
        share: Which share to hold out of what has no validation part.

    Raises:
        TrainingDataError: If there are too few examples.
        typer.BadParameter: If a share is given for a set that has its own part.
    """
    sets = [set_parts(path) for path in paths]
    files = [parts.get("train", path) for path, parts in zip(paths, sets, strict=True)]
    kept_apart = [parts["validation"] for parts in sets if "validation" in parts]
    if kept_apart and isinstance(share, float):
        msg = "The set has a validation part: --validation is auto or none for it."
        raise typer.BadParameter(msg)
    done, examples = read_examples(files, options)
    for export, summary in done.summaries():
        say(
            f"{export}, {summary.sessions:,} sessions, "
            f"{summary.kept:,} of {summary.found:,} messages kept"
        )
    validation = None
    if kept_apart and share is not None:
        validation = [item for path in kept_apart for item in read_prepared(path)]
    data = to_training_data(done, examples, share, validation=validation)
    say(data)
    data.require_enough()
    return data

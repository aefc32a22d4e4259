"""What `chatexports finetune` trains on, what it holds out, and whose words it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.ledger import Ledger
from langchain_chatexports.chat_loaders.recognition import set_parts
from langchain_chatexports.cli._console import reading, say
from langchain_chatexports.cli.prepare import prepare_with_speaker
from langchain_chatexports.datasets.example_files import read_prepared
from langchain_chatexports.datasets.splits import hold_out_validation, split_examples
from langchain_chatexports.datasets.trace import speaker_of
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
    from langchain_chatexports.datasets.trace import TracedExample

__all__ = ["TrainingData", "names_of_job", "parse_share", "read_training_data"]

_Share: TypeAlias = "float | Literal['auto'] | None"

_MIN_EXAMPLES = 10
_MAX_LABEL_LENGTH = 512  # OpenAI's limit.


@dataclass(frozen=True)
class TrainingData:
    """What to train on, and whose words it is.

    Attributes:
        examples: The examples to train on.
        validation: The examples that are held out.
        preparation: The finished preparation that they came from.
        person: Whose voice it is, where that is known.
        source: What it was made from, in a few words.
    """

    examples: list[TrainingExample]
    validation: list[TrainingExample]
    preparation: Preparation
    person: str | None
    source: str


def parse_share(text: str) -> _Share:
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


def read_training_data(
    paths: Sequence[Path], options: PrepareOptions, share: _Share
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
    examples: list[TracedExample] = []

    def read(preparation: Preparation) -> None:
        with reading(preparation):
            ledger = Ledger()
            examples[:] = preparation.newest(preparation.traced(ledger), ledger)

    done = prepare_with_speaker(files, options, read)
    for export, summary in done.summaries():
        say(
            f"{export}, {summary.sessions:,} sessions, "
            f"{summary.kept:,} of {summary.found:,} messages kept"
        )
    person = options.ai_role or speaker_of(examples)
    exports = [f"{e.loader.platform} {e.path.name}" for e, _ in done.summaries()]
    repeated = 0
    if kept_apart and share is not None:
        validation = [item for path in kept_apart for item in read_prepared(path)]
    else:
        examples, validation, repeated = _held_out(examples, share)
    _say_examples(len(examples), len(validation), repeated)
    _require_enough(len(examples))
    return TrainingData(
        [item.example for item in examples],
        [item.example for item in validation],
        done,
        person,
        ", ".join(exports or [path.name for path in paths]),
    )


def names_of_job(person: str | None, source: str) -> tuple[str | None, dict[str, str]]:
    """Return the suffix and the metadata of a job on this machine.

    Args:
        person: Whose voice it learns.
        source: What its examples were made from.
    """
    from langchain_chatexports.local_server.storage.models import (
        PERSON_KEY,
        SOURCE_KEY,
        name_suffix,
    )

    suffix = name_suffix(person)
    # A number is no name, and may be a phone's.
    is_name = any(letter.isalpha() for letter in suffix)
    labels = {PERSON_KEY: person or "", SOURCE_KEY: source}
    kept = {key: text[:_MAX_LABEL_LENGTH] for key, text in labels.items() if text}
    return suffix if is_name else None, kept


def _held_out(
    examples: list[TracedExample], share: _Share
) -> tuple[list[TracedExample], list[TracedExample], int]:
    """Return examples for training and for validation, and how many are in neither."""
    if share is None:
        splits = None
    elif share == "auto":
        splits = hold_out_validation(examples)
    else:
        splits = split_examples(examples, validation=share, test=0, near=None)
    if splits is None:
        return examples, [], 0
    return splits.train, splits.validation, sum(splits.left_out.values())


def _say_examples(examples: int, validation: int, repeated: int) -> None:
    text = plural(examples, "example")
    if validation:
        text += f", {validation:,} more held out for validation"
    if repeated:
        why = plural(
            repeated,
            "left out because it repeats an older one",
            "left out because they repeat older ones",
        )
        text += f", {why}"
    say(text)


def _require_enough(examples: int) -> None:
    if examples < _MIN_EXAMPLES:
        msg = (
            f"{plural(examples, 'example is', 'examples are')} too few to train on: "
            f"at least {_MIN_EXAMPLES} are needed. Add exports, or make more examples "
            "of these: a smaller --size, --whole, or --keep-tail for short "
            "conversations."
        )
        raise TrainingDataError(msg)

"""Training data from exports or files of examples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports._terminal import one_line, plural
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.chat_loaders.suggestions import match_name
from langchain_chatexports.datasets.chat_filter import ChatFilter
from langchain_chatexports.datasets.dataset_writer import (
    DatasetOptions,
    PreparedDataset,
    write_prepared,
)
from langchain_chatexports.datasets.example_files import find_splits
from langchain_chatexports.datasets.person import MissedNamesError
from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.trace import TracedExample
from langchain_chatexports.datasets.trace_file import read_prepared
from langchain_chatexports.datasets.training_data import (
    MIN_EXAMPLES,
    HoldOut,
    TrainingData,
    to_training_data,
)
from langchain_chatexports.exceptions import (
    ExportFormatError,
    SenderNotFoundError,
    TrainingDataError,
)

_Result = TypeVar("_Result")

Paths: TypeAlias = "str | Path | Iterable[str | Path]"
ChooseSpeaker: TypeAlias = "Callable[[Mapping[str, int]], str]"
"""Chooses the person to imitate, given the number of messages by sender."""


def prepare(
    exports: Paths,
    choices: PrepareOptions | None = None,
    *,
    validation: HoldOut = "auto",
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = no_progress,
) -> TrainingData:
    """Read exports, files of examples or sets, and hold out a validation split.

    Names in `choices` match ignoring case and accents, or by a unique prefix.

    Args:
        exports: Exports, files of examples, or sets with their own training and
            validation splits.
        choices: The person, the chats, and the options of examples.
        validation: The fraction to hold out if there is no validation split; `"auto"`
            for a tenth if there is enough data, `None` for nothing.
        choose_speaker: Called if the owner is unknown and `choices` has no name.
        watch: Shows progress while exports are read.

    Returns:
        The examples, and the counts of their exports.

    Raises:
        SenderNotFoundError: If a name or the owner is not found.
        TrainingDataError: If there are no examples.
    """
    options = choices or PrepareOptions()
    if options.limit is not None and options.limit < MIN_EXAMPLES:
        msg = (
            f"The limit of {plural(options.limit, 'example')} is too low: training "
            f"needs at least {MIN_EXAMPLES}. Raise or omit --limit."
        )
        raise TrainingDataError(msg)
    paths = to_paths(exports)
    splits = [find_splits(path) for path in paths]
    validation_files = [
        files["validation"] for files in splits if "validation" in files
    ]
    preparation, examples = read_examples(
        paths, options, choose_speaker=choose_speaker, watch=watch
    )
    validation_examples = None
    if validation_files and validation is not None:
        validation_examples = [
            example for path in validation_files for example in read_prepared(path)
        ]
    return to_training_data(
        preparation, examples, validation, validation=validation_examples
    )


def read_examples(
    exports: Paths,
    choices: PrepareOptions | None = None,
    *,
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = no_progress,
) -> tuple[Preparation, list[TracedExample]]:
    """Return the examples from exports, files, or the training splits of sets."""
    files = [find_splits(path).get("train", path) for path in to_paths(exports)]

    def read(preparation: Preparation) -> list[TracedExample]:
        with watch_preparation(preparation, watch):
            return [*preparation.iter_examples([])]

    return _read(files, choices or PrepareOptions(), read, choose_speaker)


def write_examples(
    exports: Paths,
    output: str | Path,
    choices: PrepareOptions | None = None,
    *,
    set_options: DatasetOptions | None = None,
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = no_progress,
) -> PreparedDataset:
    """Write the examples of exports as a set, with its data card and trace.

    Args:
        exports: Exports, or files of examples.
        output: The file or folder to write.
        choices: The person, the chats, and the options of examples.
        set_options: The format of the set, and whether to split it.
        choose_speaker: As for `prepare`.
        watch: Shows progress.
    """
    set_options = set_options or DatasetOptions()
    set_options.check_extras()

    def write(preparation: Preparation) -> PreparedDataset:
        with watch_preparation(preparation, watch):
            return write_prepared(preparation, Path(output), set_options)

    options = set_options.adapt(choices or PrepareOptions())
    return _read(to_paths(exports), options, write, choose_speaker)[1]


def find_default_speakers(preparation: Preparation) -> list[tuple[Export, str]]:
    """Return the owners, who are imitated by default."""
    if preparation.options.ai:
        return []
    return [
        (export, one_line(str(summary.owner)))
        for export, summary in preparation.summaries()
    ]


def to_paths(exports: Paths) -> list[Path]:
    """Return one or several paths as a list."""
    paths = [exports] if isinstance(exports, (str, Path)) else exports
    return [Path(path).expanduser() for path in paths]


def watch_preparation(
    preparation: Preparation, watch: Watch
) -> AbstractContextManager[None]:
    """Return a context manager that shows the progress of a preparation."""
    if preparation.has_example_files:
        return watch("examples", lambda: preparation.examples, None)
    return watch(
        "messages",
        lambda: preparation.messages_read,
        preparation.estimate_message_count(),
    )


def _read(
    paths: Sequence[Path],
    options: PrepareOptions,
    use: Callable[[Preparation], _Result],
    choose_speaker: ChooseSpeaker | None,
) -> tuple[Preparation, _Result]:
    """Read exports; if a name is not found, correct it and read them again."""
    preparation = Preparation(paths, options)
    if preparation.has_example_files:
        _check_options_for_examples(options)
    try:
        result = use(preparation)
    except SenderNotFoundError as error:
        senders = preparation.senders()
        if not senders and options.chats.includes_all:
            path_list = ", ".join(map(str, paths))
            msg = (
                f"There are no messages to train on in {path_list}. "
                "Choose another chat."
            )
            raise TrainingDataError(msg) from None
        readings = preparation.readings
        # After an unknown chat name, no senders have been read.
        known_names = senders or {
            name for reading in readings for name in reading.names.found
        }
        missed_names = error.names if isinstance(error, MissedNamesError) else ()
        corrected_options = replace(
            options,
            ai=(*match_names(options.ai, known_names, readings), *missed_names),
            chats=correct_names(options.chats, readings, senders),
        )
        if corrected_options == options:
            # If a chat name is wrong, asking for a speaker would not help.
            has_unknown_chat = options.chats.has_unknown_names(readings)
            if options.ai or has_unknown_chat or not (choose_speaker and senders):
                raise
            owners = {
                summary.owner
                for _, summary in preparation.summaries()
                if summary.owner in senders
            }
            names = (choose_speaker(senders), *sorted(str(owner) for owner in owners))
            corrected_options = replace(options, ai=names)
        preparation = Preparation(paths, corrected_options)
        result = use(preparation)
    for path in preparation.exports_without_ai():
        msg = f"Skipped {path}: it has no messages from the chosen person."
        warnings.warn(msg, stacklevel=3)
    return preparation, result


def correct_names(
    chats: ChatFilter, readings: Collection[Reading], senders: Iterable[str] = ()
) -> ChatFilter:
    """Replace names with those in the exports; unknown names are not changed."""
    known_names = {name for reading in readings for name in reading.names.found}
    known_names.update(senders)
    return replace(
        chats,
        include=match_names(chats.include, known_names, readings),
        exclude=match_names(chats.exclude, known_names, readings),
    )


def match_names(
    names: Iterable[str], known_names: Collection[str], readings: Collection[Reading]
) -> tuple[str, ...]:
    """Replace names with those in the exports; unknown names are not changed."""

    def is_known(name: str) -> bool:
        return any(r.names.names_of(name) & {*known_names} for r in readings)

    return tuple(
        name if is_known(name) else match_name(name, known_names) or name
        for name in names
    )


def _check_options_for_examples(options: PrepareOptions) -> None:
    """Warn about ignored options; raise an error if chats are filtered."""
    if not options.chats.includes_all:
        msg = (
            "Examples cannot be filtered: --with, --no-groups, --exclude, --since and "
            "--until apply only to exports. To remove a person or a conversation: "
            "chatexports forget"
        )
        raise ExportFormatError(msg)
    if unused := options.unused_for_examples():
        ignored_options = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        msg = f"{ignored_options} ignored: applies only to exports."
        warnings.warn(msg, stacklevel=4)

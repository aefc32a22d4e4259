"""Training data from exports or files of examples."""

from __future__ import annotations

import warnings
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from langchain_chatexports._files import is_pipe
from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports._terminal import one_line
from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.datasets.card import (
    EXAMPLES,
    CardNotes,
    SourceFile,
    hash_source,
)
from langchain_chatexports.datasets.example_files import find_splits
from langchain_chatexports.datasets.formats import SPLIT_NAMES, FormatName
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.datasets.trace import TracedExample
from langchain_chatexports.datasets.trace_file import read_prepared
from langchain_chatexports.datasets.write import WrittenDataset, write_dataset
from langchain_chatexports.exceptions import (
    ExportFormatError,
    ExportWarning,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.workflows.names import correct_names
from langchain_chatexports.workflows.preparation import (
    Preparation,
    PrepareOptions,
    SeveralPeopleError,
)
from langchain_chatexports.workflows.training_data import (
    MIN_EXAMPLES,
    HoldOut,
    TrainingData,
    to_training_data,
)

_Result = TypeVar("_Result")

Paths: TypeAlias = "str | Path | Iterable[str | Path]"
ChooseSpeaker: TypeAlias = "Callable[[Mapping[str, int]], str]"
"""Chooses the person to imitate, given the number of messages by sender."""


@dataclass(frozen=True)
class DatasetOptions:
    """Options for writing a set."""

    format: FormatName = "openai"
    split: bool = False
    """Whether to split into train, validation and test."""

    def adapt(self, options: PrepareOptions) -> PrepareOptions:
        """Adapt prepare options: a split keeps the last messages of dialogues."""
        if not self.split or options.keep_tail is not None:
            return options
        return replace(options, keep_tail=True)


class PreparedDataset(NamedTuple):
    """The result of `write_prepared`."""

    preparation: Preparation
    dataset: WrittenDataset | None
    """The written set; `None` if it was written to a pipe."""

    empty_splits: tuple[str, ...] = ()
    """The names of held-out splits without examples."""

    repeated: int = 0
    """The number of examples skipped because they repeat older text."""

    @property
    def training_file(self) -> Path | None:
        """The file for local fine-tuning, if the set has one."""
        if self.dataset is None or self.dataset.format != "openai":
            return None
        path = self.dataset.path
        return path / next(iter(self.dataset.files)) if path.is_dir() else path


def prepare(
    exports: Paths,
    choices: PrepareOptions | None = None,
    *,
    validation: HoldOut = "auto",
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = no_progress,
) -> TrainingData:
    """Read exports, files of examples or sets and hold out a validation split.

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
        msg = Sentence(
            "The limit ({limit}) is too low: training needs at least {least} examples. "
            "Raise or omit `limit`.",
            limit=options.limit,
            least=MIN_EXAMPLES,
        )
        raise TrainingDataError(msg, parameters=("limit",))
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
    prefers_other: bool = False,
    watch: Watch = no_progress,
) -> tuple[Preparation, list[TracedExample]]:
    """Return the examples from exports, files, or the training splits of sets.

    Without a name, `prefers_other` imitates the other person of chats of two.
    """
    options = choices or PrepareOptions()
    files = [find_splits(path).get("train", path) for path in to_paths(exports)]

    def read(preparation: Preparation) -> list[TracedExample]:
        with watch_preparation(preparation, watch):
            return [*preparation.iter_examples([])]

    if prefers_other and not options.ai:
        with suppress(SeveralPeopleError):
            preparation = Preparation(files, options, other_person=set())
            preparation, examples = _read(preparation, read, choose_speaker)
            names = tuple(preparation.other_person or ())
            preparation.options = replace(preparation.options, ai=names)
            return preparation, examples
    return _read(Preparation(files, options), read, choose_speaker)


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

    def write(preparation: Preparation) -> PreparedDataset:
        with watch_preparation(preparation, watch):
            return write_prepared(preparation, Path(output), set_options)

    options = set_options.adapt(choices or PrepareOptions())
    preparation = Preparation(to_paths(exports), options)
    return _read(preparation, write, choose_speaker)[1]


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
    preparation: Preparation,
    use: Callable[[Preparation], _Result],
    choose_speaker: ChooseSpeaker | None,
) -> tuple[Preparation, _Result]:
    """Read exports; if a name is not found, correct it and read them again."""
    paths, options = preparation.paths, preparation.options
    if preparation.has_example_files:
        _check_options_for_examples(options)
    try:
        result = use(preparation)
    except SenderNotFoundError as error:
        senders = preparation.senders()
        if not senders and options.chats.includes_all:
            msg = Sentence(
                "There are no messages to train on in {paths}. Choose another chat.",
                paths=", ".join(map(str, paths)),
            )
            raise TrainingDataError(msg) from None
        readings = preparation.readings
        chats, ai = correct_names(options.chats, options.ai, readings, error, senders)
        corrected_options = replace(options, ai=ai, chats=chats)
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
        other_person = None if preparation.other_person is None else set[str]()
        preparation = Preparation(paths, corrected_options, other_person)
        result = use(preparation)
    for path in preparation.exports_without_ai():
        msg = Sentence(
            "Skipped {path}: it has no messages from the chosen person.", path=path
        )
        warnings.warn(msg, stacklevel=3)
    return preparation, result


def _check_options_for_examples(options: PrepareOptions) -> None:
    """Warn about ignored options; raise an error if chats are filtered."""
    if not options.chats.includes_all:
        msg = (
            "Examples cannot be filtered by chat: only exports can. To remove a person "
            "or a conversation: chatexports forget"
        )
        raise ExportFormatError(msg, parameters=options.chats.used_fields())
    if unused := options.unused_for_examples():
        names = ", ".join(f"`{name}`" for name in unused)
        msg = f"{names} ignored: applies only to exports."
        warnings.warn(ExportWarning(msg, parameters=unused), stacklevel=4)


def write_prepared(
    preparation: Preparation, output: Path, options: DatasetOptions
) -> PreparedDataset:
    """Write the examples to a file, a folder or a pipe."""
    counts: list[Counts] = []
    examples = preparation.iter_examples(counts)
    # Pass generators, since the exports are read while the set is written.
    notes = CardNotes(_hash_sources(preparation), _iter_passes(preparation), counts)
    empty_splits: list[str] = []
    repeated = 0
    dataset: WrittenDataset | None = None
    if is_pipe(output):
        if options.split or options.format != "openai":
            msg = (
                f"{output} is a pipe, which only supports JSON Lines. Omit `split` and "
                "`format`."
            )
            raise ExportFormatError(msg, parameters=("split", "format"))
        write_jsonl((item.example for item in examples), output)
    elif options.split:
        splits = split_examples(examples)
        dataset = write_dataset(splits, output, format=options.format, notes=notes)
        empty_splits = [
            name for name in SPLIT_NAMES[1:] if name not in splits.non_empty()
        ]
        repeated = splits.skipped.total()
    else:
        dataset = write_dataset(examples, output, format=options.format, notes=notes)
    if preparation.options.redaction:
        preparation.options.redaction.write_key_file()
    return PreparedDataset(preparation, dataset, tuple(empty_splits), repeated)


def _hash_sources(preparation: Preparation) -> Iterator[SourceFile]:
    if preparation.has_example_files:
        yield from (hash_source(p, platform=EXAMPLES) for p in preparation.paths)
    for export, reading in preparation.passes:
        platform = reading.summary().platform
        yield from (hash_source(path, platform=platform) for path in export.paths)


def _iter_passes(preparation: Preparation) -> Iterator[Reading]:
    # Evaluated lazily, since `passes` is replaced when reading begins.
    yield from preparation.readings

"""Training data from exports or files of examples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports._terminal import one_line, plural
from langchain_chatexports.chat_loaders.recognition import Export, set_parts
from langchain_chatexports.chat_loaders.suggestions import matching_name
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.set_writer import PreparedSet, SetOptions, write_set
from langchain_chatexports.datasets.trace import TracedExample
from langchain_chatexports.datasets.trace_file import read_prepared
from langchain_chatexports.datasets.training_data import (
    MIN_EXAMPLES,
    Share,
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
"""Returns the person whose voice to learn, from the numbers of messages by sender."""


def prepare(
    exports: Paths,
    choices: PrepareOptions | None = None,
    *,
    validation: Share = "auto",
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = unwatched,
) -> TrainingData:
    """Read exports, files of examples or sets, and hold out a part for validation.

    A name in `choices` may be written without regard to case and accents, or be the
    beginning of only one name.

    Args:
        exports: Exports; or files of examples, or sets, with their own training and
            validation parts.
        choices: The person, the chats, and the options of examples.
        validation: The share to hold out if there is no validation part; `"auto"` for a
            tenth of large enough data, `None` for nothing.
        choose_speaker: Called if the exports have no known owner, and `choices` no
            name.
        watch: Shows progress while exports are read.

    Returns:
        The examples, with the counts of their exports.

    Raises:
        SenderNotFoundError: If a name or the owner is not found.
        TrainingDataError: If there are no examples.
    """
    options = choices or PrepareOptions()
    if options.limit is not None and options.limit < MIN_EXAMPLES:
        msg = (
            f"The limit of {plural(options.limit, 'example')} is too low: at least "
            f"{MIN_EXAMPLES} are needed to train on. Raise --limit, or leave it out."
        )
        raise TrainingDataError(msg)
    paths = as_paths(exports)
    sets = [set_parts(path) for path in paths]
    held_out = [parts["validation"] for parts in sets if "validation" in parts]
    preparation, examples = read_examples(
        paths, options, choose_speaker=choose_speaker, watch=watch
    )
    given = None
    if held_out and validation is not None:
        given = [item for path in held_out for item in read_prepared(path)]
    return to_training_data(preparation, examples, validation, validation=given)


def read_examples(
    exports: Paths,
    choices: PrepareOptions | None = None,
    *,
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = unwatched,
) -> tuple[Preparation, list[TracedExample]]:
    """Return the examples of exports, files or sets, the training part of a set."""
    files = [set_parts(path).get("train", path) for path in as_paths(exports)]

    def read(preparation: Preparation) -> list[TracedExample]:
        with reading(preparation, watch):
            return [*preparation.traced([])]

    return _read(files, choices or PrepareOptions(), read, choose_speaker)


def write_examples(
    exports: Paths,
    output: str | Path,
    choices: PrepareOptions | None = None,
    *,
    wanted: SetOptions | None = None,
    choose_speaker: ChooseSpeaker | None = None,
    watch: Watch = unwatched,
) -> PreparedSet:
    """Write the examples of exports as a set, with its data card and trace.

    Args:
        exports: Exports, or files of examples.
        output: The file or folder to write.
        choices: The person, the chats, and the options of examples.
        wanted: The kind of set to write.
        choose_speaker: As for `prepare`.
        watch: Shows progress.
    """
    wanted = wanted or SetOptions()
    wanted.check_extras()

    def write(preparation: Preparation) -> PreparedSet:
        with reading(preparation, watch):
            return write_set(preparation, Path(output), wanted)

    options = wanted.adapted(choices or PrepareOptions())
    return _read(as_paths(exports), options, write, choose_speaker)[1]


def speakers(preparation: Preparation) -> list[tuple[Export, str]]:
    """Return the owners who become the AI by default."""
    if preparation.options.ai:
        return []
    return [
        (export, one_line(str(summary.owner)))
        for export, summary in preparation.summaries()
    ]


def as_paths(exports: Paths) -> list[Path]:
    """Return one path or several as a list."""
    paths = [exports] if isinstance(exports, (str, Path)) else exports
    return [Path(path).expanduser() for path in paths]


def reading(preparation: Preparation, watch: Watch) -> AbstractContextManager[None]:
    """Return a context that shows the progress of a preparation."""
    if preparation.reads_examples:
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
    """Read the exports; if names are corrected, read them again."""
    preparation = Preparation(paths, options)
    if preparation.reads_examples:
        _check_options_for_examples(options)
    try:
        result = use(preparation)
    except SenderNotFoundError:
        senders = preparation.senders()
        if not senders and options.chats.is_everything:
            named = ", ".join(str(path) for path in paths)
            msg = (
                f"There are no messages to learn from in {named}. Is it the right chat?"
            )
            raise TrainingDataError(msg) from None
        exports = preparation.exports
        # With an unknown name of a chat, no senders were read.
        known = senders or {name for one in exports for name in one.loader.names_found}
        meant = replace(
            options,
            ai=matching_names(options.ai, known, exports),
            chats=correct_names(options.chats, exports, senders),
        )
        if meant == options:
            # Another speaker does not help if the name of a chosen chat is wrong.
            is_unknown = options.chats.has_unknown_names(exports)
            if options.ai or is_unknown or not (choose_speaker and senders):
                raise
            owners = {s.owner for _, s in preparation.summaries() if s.owner in senders}
            names = (choose_speaker(senders), *sorted(str(owner) for owner in owners))
            meant = replace(options, ai=names)
        preparation = Preparation(paths, meant)
        result = use(preparation)
    for path in preparation.silent_exports():
        msg = f"{path} is skipped: nobody in it has the speaker's name."
        warnings.warn(msg, stacklevel=3)
    return preparation, result


def correct_names(
    chats: ChatChoice, exports: Collection[Export], senders: Iterable[str] = ()
) -> ChatChoice:
    """Return a choice with names as written in the exports.

    Unknown names are not changed.
    """
    known = {name for export in exports for name in export.loader.names_found}
    known.update(senders)
    return replace(
        chats,
        include=matching_names(chats.include, known, exports),
        exclude=matching_names(chats.exclude, known, exports),
    )


def matching_names(
    names: Iterable[str], known: Collection[str], exports: Iterable[Export]
) -> tuple[str, ...]:
    """Return names as written in exports; unknown ones are not changed."""

    def is_known(name: str) -> bool:
        return any(export.loader.names_of(name) & {*known} for export in exports)

    return tuple(
        name if is_known(name) else matching_name(name, known) or name for name in names
    )


def _check_options_for_examples(options: PrepareOptions) -> None:
    """Warn about options without effect on examples; raise an error for chats."""
    if not options.chats.is_everything:
        msg = (
            "These are examples; --with, --no-groups, --exclude, --since and --until "
            "are for exports. To remove a person or a conversation from examples: "
            "chatexports forget"
        )
        raise ExportFormatError(msg)
    if unused := options.unused_for_examples():
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        msg = f"{listed}: for exports only, and these are examples."
        warnings.warn(msg, stacklevel=4)

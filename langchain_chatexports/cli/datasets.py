"""`chatexports prepare`: a set for a trainer, with its card and its trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from langchain_chatexports._files import is_pipe
from langchain_chatexports.cli.console import counting, say
from langchain_chatexports.datasets.card import CardNotes, hash_source
from langchain_chatexports.datasets.deduplication import deduplicate_examples
from langchain_chatexports.datasets.formats import write_dataset
from langchain_chatexports.datasets.formats.trainers import FORMATS
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.preferences import edit_preferences, reaction_labels
from langchain_chatexports.datasets.prepared import facts_of_prepared
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.exceptions import (
    ExportFormatError,
    SenderNotFoundError,
    TrainingDataError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from langchain_chatexports.chat_loaders.counted_pass import CountedPass
    from langchain_chatexports.cli.preparation import Preparation, PrepareOptions
    from langchain_chatexports.datasets.card import SourceFile
    from langchain_chatexports.datasets.formats import FormatName, WrittenSet
    from langchain_chatexports.datasets.formats.write import AnyRecord
    from langchain_chatexports.datasets.splits import ExampleSplits
    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.steps import SessionTransform

__all__ = ["SetOptions", "SetWriter", "path_to_train_on", "set_options"]

_NEAR = 0.8
_PLAIN: FormatName = "openai"
_HELD_OUT = ("validation", "test")
_DEDUP = ("none", "exact", "near")
_PREFERENCES: dict[str, Callable[..., Iterator[Any]]] = {
    "openai-dpo": edit_preferences,
    "trl-dpo": edit_preferences,
    "trl-kto": reaction_labels,
}


@dataclass(frozen=True)
class SetOptions:
    """What kind of set to write.

    Attributes:
        format: The trainer's format.
        split: Whether to split into train, validation and test.
        dedup: Which repetitions to leave out: `none`, `exact` or `near`.
        consent: Who agreed to what, for the data card.
    """

    format: FormatName = "openai"
    split: bool = False
    dedup: str = "none"
    consent: str | None = None

    @property
    def is_preference(self) -> bool:
        """Whether the set holds pairs or labels, and no examples."""
        return self.format in _PREFERENCES

    @property
    def is_split(self) -> bool:
        """Whether the set has several parts: asked for, or the format's wish."""
        return self.split or FORMATS[self.format].needs_validation

    def adapted(self, options: PrepareOptions) -> PrepareOptions:
        """Return the options for sessions that go with the set's.

        What is split must be cut into conversations first, and these are short.
        """
        if not self.is_split:
            return options
        gap = "auto" if options.split_gap is None else options.split_gap
        return replace(options, split_gap=gap, keep_tail=True)


class SetWriter:
    """Writes what a preparation gives as a set, and remembers what was written."""

    def __init__(self, options: SetOptions, output: Path) -> None:
        """Write nothing yet."""
        self._written: WrittenSet | None = None
        self._warning = ""
        self._options = options
        self._output = output

    @property
    def written(self) -> WrittenSet | None:
        """What was written, once it is; `None` for what went into a pipe."""
        return self._written

    @property
    def warning(self) -> str:
        """What may surprise in what was written; empty if nothing does."""
        return self._warning

    def __call__(self, preparation: Preparation) -> None:
        """Read a preparation to its end and write the set."""
        if self._options.is_preference:
            self._write_preferences(preparation)
        else:
            self._write_examples(preparation)
        if preparation.options.redaction:
            preparation.options.redaction.write_key_file()

    def _write_examples(self, preparation: Preparation) -> None:
        notes = self._notes(preparation)
        examples = preparation.traced(notes.ledger)
        if preparation.reads_examples():
            notes.earlier = [facts_of_prepared(path) for path in preparation.paths]
        if self._options.dedup != "none":
            near = _NEAR if self._options.dedup == "near" else None
            examples = deduplicate_examples(examples, near=near, ledger=notes.ledger)
        with counting(examples, "examples", preparation.meter()) as counted:
            if is_pipe(self._output):
                self._pipe(counted)
            elif self._options.is_split:
                splits = split_examples(counted)
                self._write(splits, notes)
                self._warning = _warning_of_empty_parts(splits)
            else:
                self._write(counted, notes)

    def _pipe(self, examples: Iterable[TracedExample]) -> None:
        if self._options.is_split or self._options.format != _PLAIN:
            msg = f"{self._output} is no file, and takes plain examples only."
            raise ExportFormatError(msg)
        write_jsonl((item.example for item in examples), self._output)
        say(f"{self._output} is no file: there is no card and no trace beside it")

    def _write_preferences(self, preparation: Preparation) -> None:
        if preparation.reads_examples():
            msg = (
                "Edits and reactions stand in exports only, and these are examples. "
                "Name the exports."
            )
            raise ExportFormatError(msg)
        notes, options = self._notes(preparation), preparation.options

        # Of merged runs nobody knows which bubble was edited or liked.
        def bubbles(senders: Collection[str]) -> tuple[SessionTransform, ...]:
            redacting = options.redaction.steps() if options.redaction else ()
            return (*redacting, options.speaking(senders))

        make = _PREFERENCES[self._options.format]
        records = make(
            preparation.sessions(bubbles), system=options.system, ledger=notes.ledger
        )
        try:
            with counting(records, "preferences", preparation.meter()) as counted:
                self._write(counted, notes)
        except TrainingDataError:
            counts = notes.ledger.stage("Preferences")
            if counts.taken > counts.left_out["others"]:
                raise
            msg = "None of the sessions has a text by the AI."
            raise SenderNotFoundError(msg, preparation.senders()) from None

    def _notes(self, preparation: Preparation) -> CardNotes:
        # Read after the set is written: the passes begin when it is.
        return CardNotes(
            sources=_sources(preparation),
            passes=_passes(preparation),
            consent=self._options.consent,
        )

    def _write(
        self, records: Iterable[AnyRecord] | ExampleSplits, notes: CardNotes
    ) -> None:
        self._written = write_dataset(
            records, self._output, format=self._options.format, notes=notes
        )


def _warning_of_empty_parts(splits: ExampleSplits) -> str:
    empty = [name for name in _HELD_OUT if name not in splits.parts()]
    if not empty:
        return ""
    repeated = sum(splits.left_out.values())
    return (
        f"warning: {' and '.join(empty)}: nothing is left. {repeated:,} newer examples "
        "repeat texts of the older ones, and would test what was learned by heart. "
        "Training needs them not; to evaluate, add conversations, or let "
        "chatexports evaluate split the export itself."
    )


def _sources(preparation: Preparation) -> Iterator[SourceFile]:
    for export, counted in preparation.passes:
        platform = counted.summary().platform
        for path in export.paths:
            yield hash_source(path, platform=platform)


def _passes(preparation: Preparation) -> Iterator[CountedPass]:
    for _, counted in preparation.passes:
        yield counted


def set_options(format_name: str, *, split: bool, dedup: str) -> SetOptions:
    """Check what was typed.

    Raises:
        typer.BadParameter: If a word is not known, or two options do not go together.
    """
    import typer

    if format_name not in FORMATS:
        msg = f"There is no format {format_name!r}: choose one of {', '.join(FORMATS)}."
        raise typer.BadParameter(msg)
    if dedup not in _DEDUP:
        msg = f"--dedup must be one of {', '.join(_DEDUP)}, not {dedup!r}."
        raise typer.BadParameter(msg)
    options = SetOptions(cast("FormatName", format_name), split=split, dedup=dedup)
    if options.is_preference and (split or dedup != "none"):
        msg = f"--split and --dedup are for examples, and {format_name} holds none."
        raise typer.BadParameter(msg)
    return options


def path_to_train_on(written: WrittenSet) -> Path | None:
    """Return the file of a set that `chatexports finetune` can read, if it has one."""
    if written.format != _PLAIN:
        return None
    is_folder = written.path.is_dir()
    return written.path / next(iter(written.files)) if is_folder else written.path

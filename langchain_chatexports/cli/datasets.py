"""`chatexports prepare --format`: a set for a trainer, with its card and its trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from langchain_chatexports.cli.console import counting
from langchain_chatexports.exceptions import SenderNotFoundError, TrainingDataError
from langchain_chatexports.finetuning.card import CardNotes, hash_source
from langchain_chatexports.finetuning.deduplication import (
    DuplicateCounts,
    deduplicate_examples,
)
from langchain_chatexports.finetuning.examples import ExampleCounts
from langchain_chatexports.finetuning.preferences import (
    PreferenceCounts,
    edit_preferences,
    reaction_labels,
)
from langchain_chatexports.finetuning.provenance import trace_examples, traced
from langchain_chatexports.finetuning.splits import split_examples
from langchain_chatexports.finetuning.writers import write_dataset
from langchain_chatexports.finetuning.writers.formats import FORMATS
from langchain_chatexports.steps import MapAIMessages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from langchain_chatexports.cli.preparation import Preparation, PrepareOptions
    from langchain_chatexports.finetuning.splits import ExampleSplits
    from langchain_chatexports.finetuning.writers import FormatName, WrittenSet
    from langchain_chatexports.finetuning.writers.write import AnyRecord

__all__ = ["SetOptions", "SetWriter", "path_to_train_on", "set_options"]

_NEAR = 0.8
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
        """Give the options for sessions that go with the set's.

        What is split must be cut into conversations first, and these are short.
        """
        if not self.is_split:
            return options
        return replace(options, conversations=True, keep_tail=True)


class SetWriter:
    """Writes what a preparation gives as a set, and remembers what was written."""

    def __init__(self, options: SetOptions, output: Path) -> None:
        """Write nothing yet."""
        self._written: WrittenSet | None = None
        self._options = options
        self._output = output

    @property
    def written(self) -> WrittenSet:
        """What was written, once it is."""
        if self._written is None:
            msg = "nothing is written yet"
            raise RuntimeError(msg)
        return self._written

    def __call__(self, preparation: Preparation) -> None:
        """Read a preparation to its end and write the set."""
        if self._options.is_preference:
            self._write_preferences(preparation)
        else:
            self._write_examples(preparation)

    def _write_examples(self, preparation: Preparation) -> None:
        counts, duplicates = ExampleCounts(), DuplicateCounts()
        if preparation.reads_examples():
            # Prepared before: where they come from is not in them.
            examples = traced(preparation)
        else:
            keep_trailing = preparation.options.keep_trailing
            examples = trace_examples(
                preparation.sessions(), keep_trailing=keep_trailing, counts=counts
            )
        notes = self._notes(preparation)
        notes.counts = None if preparation.reads_examples() else counts
        if self._options.dedup != "none":
            near = _NEAR if self._options.dedup == "near" else None
            examples = deduplicate_examples(examples, near=near, counts=duplicates)
            notes.duplicates = duplicates
        with counting(examples, "examples") as counted:
            if self._options.is_split:
                self._write(split_examples(counted), notes)
            else:
                self._write(counted, notes)

    def _write_preferences(self, preparation: Preparation) -> None:
        # Of merged runs nobody knows which bubble was edited or liked.
        counts = PreferenceCounts()
        make = _PREFERENCES[self._options.format]
        records = make(preparation.sessions(_as_ai), counts=counts)
        notes = self._notes(preparation)
        notes.preferences = counts
        try:
            with counting(records, "preferences") as counted:
                self._write(counted, notes)
        except TrainingDataError:
            if counts.answers:
                raise
            msg = "None of the sessions has a text by the AI."
            raise SenderNotFoundError(msg, preparation.senders()) from None

    def _notes(self, preparation: Preparation) -> CardNotes:
        return CardNotes(
            sources=(
                hash_source(export.path, platform=export.loader.platform)
                for export, _ in preparation.passes
            ),
            passes=(counted for _, counted in preparation.passes),
            consent=self._options.consent,
        )

    def _write(
        self, records: Iterable[AnyRecord] | ExampleSplits, notes: CardNotes
    ) -> None:
        self._written = write_dataset(
            records, self._output, format=self._options.format, notes=notes
        )


def _as_ai(senders: Collection[str]) -> list[MapAIMessages]:
    return [MapAIMessages(sender=tuple(senders) or None)]


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
    """Give the file of a set that `chatexports finetune` can read, if it has one."""
    if written.format != "openai":
        return None
    is_folder = written.path.is_dir()
    return written.path / next(iter(written.files)) if is_folder else written.path

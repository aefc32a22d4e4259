"""Write a preparation as a set: examples or preferences, data card and trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports._files import is_pipe
from langchain_chatexports.chat_loaders.counts import Reading, sum_of
from langchain_chatexports.datasets.card import CardNotes, hash_source
from langchain_chatexports.datasets.deduplication import (
    deduplicate_examples,
    require_rensa,
)
from langchain_chatexports.datasets.example_files import facts_of_prepared
from langchain_chatexports.datasets.formats import write_dataset
from langchain_chatexports.datasets.formats.containers import require_pyarrow
from langchain_chatexports.datasets.formats.trainer_formats import FORMATS
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.preferences import (
    edit_preferences,
    reaction_labels,
)
from langchain_chatexports.datasets.replies import add_replies
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.exceptions import (
    ExportFormatError,
    SenderNotFoundError,
    TrainingDataError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from langchain_chatexports.chat_loaders.recognition import Export
    from langchain_chatexports.datasets.formats import FormatName, WrittenSet
    from langchain_chatexports.datasets.formats.write import AnyRecord
    from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
    from langchain_chatexports.datasets.splits import ExampleSplits
    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.steps import SessionTransform

__all__ = ["DEDUPLICATIONS", "PreparedSet", "SetOptions", "write_set"]

DEDUPLICATIONS = ("none", "exact", "near")
"""Which repetitions can be left out."""

_NEAR = 0.8
_PLAIN: FormatName = "openai"
_HELD_OUT = ("validation", "test")
_PREFERENCES: dict[str, Callable[..., Iterator[Any]]] = {
    "openai-dpo": edit_preferences,
    "trl-dpo": edit_preferences,
    "trl-kto": reaction_labels,
}
_MISSING: dict[Callable[..., Iterator[Any]], str] = {
    edit_preferences: "was edited in a way that keeps its original text",
    reaction_labels: "has a reaction that says yes or no",
}


@dataclass(frozen=True)
class SetOptions:
    """What kind of set to write.

    Attributes:
        format: The trainer's format.
        split: Whether to split into train, validation and test.
        dedup: Which repetitions to leave out, one of `DEDUPLICATIONS`.
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
        """Whether the set has several parts: asked for, or needed by the format."""
        return self.split or FORMATS[self.format].needs_validation

    @property
    def near(self) -> float | None:
        """From which share of common text on two texts count as the same."""
        return _NEAR if self.dedup == "near" else None

    def check_extras(self) -> None:
        """Check that the set can be written, before exports are read.

        Raises:
            MissingExtraError: If an extra is not installed.
        """
        if self.near is not None:
            require_rensa()
        if FORMATS[self.format].suffix == ".parquet":
            require_pyarrow()

    def adapted(self, options: PrepareOptions) -> PrepareOptions:
        """Return the options for sessions that go with the set's.

        Parts are counted in whole conversations, so nothing at their ends is left out.
        """
        if not self.is_split or options.keep_tail is not None:
            return options
        return replace(options, keep_tail=True)


class PreparedSet(NamedTuple):
    """What `write_set` has written.

    Attributes:
        written: The set; `None` for what went into a pipe.
        empty_parts: Parts that were to be held out and have no examples.
        repeated: Newer examples left out because they repeat texts of older ones.
    """

    written: WrittenSet | None
    empty_parts: tuple[str, ...] = ()
    repeated: int = 0

    @property
    def training_file(self) -> Path | None:
        """The file that a model can be fine-tuned on here, if the set has one."""
        if self.written is None or self.written.format != _PLAIN:
            return None
        path = self.written.path
        return path / next(iter(self.written.files)) if path.is_dir() else path


def write_set(
    preparation: Preparation, output: Path, options: SetOptions
) -> PreparedSet:
    """Read a preparation to its end and write the set.

    Args:
        preparation: The preparation.
        output: The file, folder or pipe to write.
        options: What kind of set to write.

    Raises:
        ExportFormatError: If the set cannot be made of these sources.
        TrainingDataError: If there is nothing to write.
    """
    if options.is_preference:
        result = _write_preferences(preparation, output, options)
    else:
        result = _write_examples(preparation, output, options)
    if preparation.options.redaction:
        preparation.options.redaction.write_key_file()
    return result


def _write_examples(
    preparation: Preparation, output: Path, options: SetOptions
) -> PreparedSet:
    notes = _notes(preparation, options)
    if not FORMATS[options.format].has_weights:
        # It cannot say that an answer is context only.
        preparation.options = replace(preparation.options, overlap_as_context=False)
    examples = preparation.traced(notes.ledger)
    if preparation.reads_examples():
        notes.earlier = [facts_of_prepared(path) for path in preparation.paths]
    if options.dedup != "none":
        examples = deduplicate_examples(
            examples, near=options.near, ledger=notes.ledger
        )
    examples = preparation.newest(examples, notes.ledger)
    replies = 0 if preparation.reads_examples() else preparation.options.replies
    if replies and not options.is_split:
        examples = iter(add_replies(examples, replies))
    if is_pipe(output):
        _write_to_pipe(examples, output, options)
        return PreparedSet(None)
    if not options.is_split:
        return PreparedSet(_write(examples, output, options, notes))
    splits = _with_replies(split_examples(examples, near=options.near), replies)
    written = _write(splits, output, options, notes)
    empty = tuple(name for name in _HELD_OUT if name not in splits.parts())
    return PreparedSet(written, empty, sum(splits.skipped.values()))


def _with_replies(splits: ExampleSplits, replies: int) -> ExampleSplits:
    """Show the replies of the training part in all prompts."""
    if not replies:
        return splits
    return replace(
        splits,
        train=add_replies(splits.train, replies),
        validation=add_replies(splits.validation, replies, training=splits.train),
        test=add_replies(splits.test, replies, training=splits.train),
    )


def _write_to_pipe(
    examples: Iterable[TracedExample], output: Path, options: SetOptions
) -> None:
    if options.is_split or options.format != _PLAIN:
        msg = f"{output} is not a file: leave --split and --format out."
        raise ExportFormatError(msg)
    write_jsonl((item.example for item in examples), output)


def _write_preferences(
    preparation: Preparation, output: Path, options: SetOptions
) -> PreparedSet:
    if preparation.reads_examples():
        msg = (
            "Edits and reactions are in exports only, and these are examples. "
            "Name the exports."
        )
        raise ExportFormatError(msg)
    notes, prepare = _notes(preparation, options), preparation.options

    # In a merged run it is unknown which of its messages was edited or liked.
    def unmerged(senders: Collection[str]) -> tuple[SessionTransform, ...]:
        return (
            *prepare.redaction_steps(),
            prepare.ai_step(senders),
            *prepare.label_steps(),
        )

    make = _PREFERENCES[options.format]
    records = make(
        preparation.sessions(unmerged),
        system=prepare.system_prompt(),
        ledger=notes.ledger,
    )
    try:
        written = _write(preparation.count(records), output, options, notes)
    except TrainingDataError:
        counts = sum_of(notes.ledger, "Preferences")
        if counts.kept:
            raise
        if counts.found > counts.skipped["others"]:
            missing = _MISSING[make]
            msg = f"There is nothing to write: no message by the AI {missing}."
            raise TrainingDataError(msg) from None
        msg = "None of the sessions has a text by the AI."
        raise SenderNotFoundError(msg, preparation.senders()) from None
    return PreparedSet(written)


def _notes(preparation: Preparation, options: SetOptions) -> CardNotes:
    # Generators: the passes begin, and are counted, while the set is written.
    return CardNotes(
        sources=(
            hash_source(path, platform=counted.summary().platform)
            for export, counted in _passes(preparation)
            for path in export.paths
        ),
        passes=(counted for _, counted in _passes(preparation)),
        consent=options.consent,
    )


def _passes(preparation: Preparation) -> Iterator[tuple[Export, Reading]]:
    # `passes` is replaced when the reading begins.
    yield from preparation.passes


def _write(
    records: Iterable[AnyRecord] | ExampleSplits,
    output: Path,
    options: SetOptions,
    notes: CardNotes,
) -> WrittenSet:
    return write_dataset(records, output, format=options.format, notes=notes)

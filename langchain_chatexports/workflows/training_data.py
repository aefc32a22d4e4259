"""Training examples with an optional validation split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_chatexports._translation import Sentence, ngettext
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.replies import extract_replies
from langchain_chatexports.datasets.splits import hold_out_validation, split_examples
from langchain_chatexports.datasets.trace import TracedExample, find_person
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.workflows.preparation import Preparation

HoldOut: TypeAlias = "float | Literal['auto'] | None"
"""Fraction of examples to hold out; `None` to hold out none."""

MIN_EXAMPLES = 10


@dataclass(frozen=True)
class TrainingData:
    """Training examples with an optional validation split."""

    examples: list[TrainingExample]
    validation: list[TrainingExample]
    repeated: int
    """The number of examples skipped because they repeat older text."""

    preparation: Preparation
    person: str | None
    source: str
    """A description of the exports."""

    def __str__(self) -> str:
        """Return a phrase with the example counts."""
        parts = [ngettext("{count} example", "{count} examples", len(self.examples))]
        if held_out := len(self.validation):
            more = "{count} more held out for validation"
            parts.append(ngettext(more, more, held_out))
        if self.repeated:
            parts.append(
                ngettext(
                    "{count} skipped because it repeats an older one",
                    "{count} skipped because they repeat older ones",
                    self.repeated,
                )
            )
        return ", ".join(parts)

    @property
    def has_enough_examples(self) -> bool:
        """Whether there are at least 10 examples to train on."""
        return len(self.examples) >= MIN_EXAMPLES

    @property
    def has_replies(self) -> bool:
        """Whether the person answers anybody; without that, a model only continues."""
        return any(reply for each in self.examples for reply in extract_replies(each))

    def check_size(self) -> None:
        """Raise an error if there are too few examples to train on."""
        if not self.has_enough_examples:
            msg = Sentence(
                "Not enough examples to train on: found {count}, need at least "
                "{least}. Add exports, or use a smaller `size` to get more examples.",
                count=len(self.examples),
                least=MIN_EXAMPLES,
            )
            raise TrainingDataError(msg, parameters=("size",))


def to_training_data(
    preparation: Preparation,
    examples: Sequence[TracedExample],
    hold_out: HoldOut,
    *,
    validation: Sequence[TracedExample] | None = None,
) -> TrainingData:
    """Hold out examples for validation, unless a validation split is given."""
    person = find_person(examples)
    sources = [f"{e.loader.platform} {e.path.name}" for e, _ in preparation.summaries()]
    repeated = 0
    if validation is None:
        splits = None
        if hold_out == "auto":
            splits = hold_out_validation(examples)
        elif hold_out is not None:
            splits = split_examples(examples, validation=hold_out, test=0)
        validation = splits.validation if splits else []
        examples = splits.train if splits else examples
        repeated = splits.skipped.total() if splits else 0
    return TrainingData(
        [item.example for item in examples],
        [item.example for item in validation],
        repeated,
        preparation,
        person,
        ", ".join(sources or [path.name for path in preparation.paths]),
    )

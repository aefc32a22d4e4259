"""Training data: examples, a validation part, and the person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.preparation import Preparation
from langchain_chatexports.datasets.splits import hold_out_validation, split_examples
from langchain_chatexports.datasets.trace import TracedExample, speaker_of
from langchain_chatexports.exceptions import TrainingDataError

Share: TypeAlias = "float | Literal['auto'] | None"
"""The share of the examples to hold out; `None` for nothing."""

MIN_EXAMPLES = 10


@dataclass(frozen=True)
class TrainingData:
    """Examples to train on, a validation part, and their person."""

    examples: list[TrainingExample]
    validation: list[TrainingExample]
    # Examples skipped because they repeat older ones.
    repeated: int
    preparation: Preparation
    person: str | None
    # The names of the exports, for people.
    source: str

    def __str__(self) -> str:
        """Return the numbers of examples, for people."""
        text = plural(len(self.examples), "example")
        if self.validation:
            text += f", {len(self.validation):,} more held out for validation"
        if self.repeated:
            one = "skipped because it repeats an older one"
            several = "skipped because they repeat older ones"
            text += f", {plural(self.repeated, one, several)}"
        return text

    @property
    def is_enough(self) -> bool:
        """Whether there are enough examples to train on: 10."""
        return len(self.examples) >= MIN_EXAMPLES

    def require_enough(self) -> None:
        """Raise an error if there are too few examples to train on."""
        if not self.is_enough:
            are_few = plural(len(self.examples), "example is", "examples are")
            msg = (
                f"{are_few} too few to train on: at least {MIN_EXAMPLES} are needed. "
                "Add exports, or make more examples of these with a smaller --size."
            )
            raise TrainingDataError(msg)


def to_training_data(
    preparation: Preparation,
    examples: Sequence[TracedExample],
    share: Share,
    *,
    validation: Sequence[TracedExample] | None = None,
) -> TrainingData:
    """Hold out a share of the examples, and find their person."""
    person = speaker_of(examples)
    sources = [f"{e.loader.platform} {e.path.name}" for e, _ in preparation.summaries()]
    repeated = 0
    if validation is None:
        splits = None
        if share == "auto":
            splits = hold_out_validation(examples)
        elif share is not None:
            splits = split_examples(examples, validation=share, test=0)
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

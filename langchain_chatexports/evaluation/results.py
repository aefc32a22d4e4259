"""Evaluation results as pydantic models, without message text.

A missing metric is `None`, never 0, and has a reason.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

from langchain_chatexports._translation import Sentence
from langchain_chatexports.evaluation.talk_measures import TalkFigures
from langchain_chatexports.report.numbers import number

_DIGITS = 4
_SIGNIFICANT = 0.05

Number = Annotated[float, PlainSerializer(lambda value: round(value, _DIGITS))]
Interval = tuple[Number, Number]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Measurement(_Model):
    """A value with its 95% interval."""

    value: Number
    interval: Interval


class DataInfo(_Model):
    """Sizes and language of the compared data."""

    train_dialogues: int
    heldout_dialogues: int
    heldout_turns: int
    language: str | None


class Figures(_Model):
    """Metrics of a contestant or of the person."""

    kind: Literal["person", "tuned", "few_shot", "base"]
    model: str | None = None
    bits_per_byte: Measurement | None = None
    told_apart: Measurement | None = None
    """How often a trained detector picks the real one of two replies: 0.5 by chance.
    The person is compared with their own earlier replies."""

    matched: Measurement | None = None
    """How often a reply can be told to belong to its message, of eight: 0.125 by
    chance. Only for the person and tuned models."""

    talk: TalkFigures


class Difference(_Model):
    """A paired difference of bits per byte: contestant `a` minus contestant `b`."""

    a: str
    b: str
    value: Number
    interval: Interval


class GuessCount(_Model):
    """Correct guesses in a subset of the pairs."""

    pairs: int
    right: int


class BlindResult(GuessCount):
    """The result of a blind test."""

    interval: Interval
    p: Number
    by_length: list[GuessCount]
    """Counts by combined reply length: shortest, middle and longest third."""

    @property
    def is_significant(self) -> bool:
        """Whether guesses are significantly better than chance."""
        return self.p < _SIGNIFICANT

    def describe(self) -> Sentence:
        """Return the result as a sentence."""
        values = {
            "right": self.right,
            "pairs": self.pairs,
            "expected": number(self.pairs / 2),
        }
        if self.is_significant:
            return Sentence(
                "{right} of {pairs} correct ({expected} expected by chance): you could "
                "tell the model from the person.",
                **values,
            )
        return Sentence(
            "{right} of {pairs} correct ({expected} expected by chance): you could "
            "not tell the model from the person.",
            **values,
        )

    def rows(self) -> list[tuple[str, str]]:
        """Return the statistics as table rows."""
        low, high = self.interval
        labels = ("Shortest third", "Middle third", "Longest third")
        return [
            *(
                (label, f"{count.right} of {count.pairs}")
                for label, count in zip(labels, self.by_length, strict=False)
            ),
            (
                "Estimated accuracy (95% interval)",
                f"{low:.0%} to {high:.0%}",
            ),
            ("Probability of this result by chance (p)", number(self.p, 2)),
        ]


class Evaluation(_Model):
    """The results of an evaluation."""

    format: Literal[2] = 2
    created: str
    seed: int
    temperature: Number
    max_tokens: int
    data: DataInfo
    figures: list[Figures]
    """Metrics by contestant, from the tuned model to the person."""

    loss_differences: list[Difference]
    blind: BlindResult | None
    reasons: dict[str, str]
    """Why a metric is missing, by metric."""

    def get(self, kind: str) -> Figures | None:
        """Return a contestant's metrics; `None` if it was not evaluated."""
        return next((row for row in self.figures if row.kind == kind), None)

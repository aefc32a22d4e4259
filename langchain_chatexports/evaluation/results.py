"""The results of an evaluation as pydantic models, without any message text.

A missing measure is `None`, never 0, and has a reason.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

from langchain_chatexports.evaluation.talk_measures import TalkFigures
from langchain_chatexports.report.numbers import number

_DIGITS = 4
_SIGNIFICANT = 0.05

Number = Annotated[float, PlainSerializer(lambda value: round(value, _DIGITS))]
Ends = tuple[Number, Number]


class _Finding(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Measured(_Finding):
    """A value with its 95 % interval."""

    value: Number
    interval: Ends


class DataInfo(_Finding):
    """The compared data."""

    train_conversations: int
    heldout_conversations: int
    heldout_turns: int
    language: str | None


class Figures(_Finding):
    """The measures of a contestant, or of the person."""

    kind: Literal["person", "tuned", "few_shot", "base", "wrong_person"]
    model: str | None = None
    bits_per_byte: Measured | None = None
    told_apart: Measured | None = None
    """How often a trained detector finds the real reply of two: 0.5 by chance. The
    person is compared with their own earlier replies."""

    talk: TalkFigures


class Difference(_Finding):
    """A paired difference of bits per byte: contestant `a` minus contestant `b`."""

    a: str
    b: str
    value: Number
    interval: Ends


class GuessCount(_Finding):
    """Right guesses among some of the pairs."""

    pairs: int
    right: int


class BlindFinding(GuessCount):
    """The result of a blind test."""

    interval: Ends
    p: Number
    by_length: list[GuessCount]
    """By length of the answers, in thirds, shortest first."""

    @property
    def is_told_apart(self) -> bool:
        """Whether the result is significant."""
        return self.p < _SIGNIFICANT

    def __str__(self) -> str:
        """Return the result in a sentence, for people."""
        could = "could" if self.is_told_apart else "could not"
        return (
            f"{self.right} of {self.pairs} right, guessing gives "
            f"{number(self.pairs / 2)}: you {could} tell the model from the person."
        )

    def rows(self) -> list[tuple[str, str]]:
        """Return the figures behind it, by name."""
        low, high = self.interval
        thirds = ("Shortest third", "Middle third", "Longest third")
        return [
            *(
                (what, f"{found.right} of {found.pairs}")
                for what, found in zip(thirds, self.by_length, strict=False)
            ),
            (
                "How often you would be right in many more pairs (95 %)",
                f"{low:.0%} to {high:.0%}",
            ),
            ("Probability that as many are right by luck (p)", number(self.p, 2)),
        ]


class Evaluation(_Finding):
    """All results."""

    format: Literal[2] = 2
    created: str
    seed: int
    temperature: Number
    max_tokens: int
    data: DataInfo
    figures: list[Figures]
    """The measures of the contestants, the tuned model first, and the person last."""

    loss_differences: list[Difference]
    blind: BlindFinding | None
    reasons: dict[str, str]
    """The reasons for missing measures, by measure."""

    def of(self, kind: str) -> Figures | None:
        """Return the figures of one kind."""
        return next((each for each in self.figures if each.kind == kind), None)

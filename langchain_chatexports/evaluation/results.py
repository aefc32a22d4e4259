"""What an evaluation found, as typed models; no message text is in them.

`None` stands for what was not measured, and `reasons` says why; it is never 0.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

__all__ = [
    "BlindFinding",
    "ContestantInfo",
    "ContestantScore",
    "Copies",
    "CopyRates",
    "DataInfo",
    "Difference",
    "Evaluation",
    "Guard",
    "Loss",
    "MeasureFinding",
    "NameRates",
    "OtherPerson",
    "PersonGuard",
    "Relevance",
    "Secrets",
    "Share",
    "Summary",
    "ValidationLoss",
]

_DIGITS = 4

Confidence = Literal["1", "2", "3"]
CONFIDENCE: tuple[Confidence, ...] = ("1", "2", "3")

Number = Annotated[float, PlainSerializer(lambda value: round(value, _DIGITS))]
Ends = tuple[Number, Number]


class _Finding(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OtherPerson(_Finding):
    """Somebody else of the export, without a name."""

    id: str
    turns: int


class DataInfo(_Finding):
    """What was compared."""

    train_conversations: int
    train_turns: int
    heldout_conversations: int
    heldout_turns: int
    trained_on_dropped: int
    """Held-out conversations that the model was trained on."""

    near_duplicates_dropped: int
    """Held-out turns that nearly stand in the training half."""

    forwarded_dropped: int
    """Held-out turns that the person only passed on."""

    others: list[OtherPerson]


class ContestantInfo(_Finding):
    """A model, and how it was asked."""

    name: str
    kind: Literal["base", "few_shot", "tuned"]
    model: str
    temperature: Number
    top_p: Number
    max_tokens: int
    prompt: str


class Loss(_Finding):
    """Bits per byte of the person's held-out turns."""

    contestant: str
    bits_per_byte: Number | None
    interval: Ends | None
    end_bits: Number | None
    turns: int
    reason: str | None = None


class ValidationLoss(_Finding):
    """What the job that made the tuned model says of its own validation file.

    No bits per byte: it depends on the tokenizer, and on another file.
    """

    contestant: Literal["tuned"]
    full_valid_loss: Number
    unit: Literal["nats per token"]
    step: int
    source: str
    """Where the job tells it."""


class Relevance(_Finding):
    """Bits per byte of the same replies behind their own and a foreign history."""

    contestant: str
    own_history: Number | None
    foreign_history: Number | None
    difference: Number | None
    """Foreign less own; a model that ignores what was said has none."""

    interval: Ends | None
    turns: int
    reason: str | None = None


class Difference(_Finding):
    """What two contestants differ by, in the same rounds."""

    a: str
    b: str
    value: Number
    interval: Ends


class ContestantScore(_Finding):
    """A contestant's distance from the person in one measure."""

    name: str
    value: Number | None
    interval: Ends | None
    score: Number | None
    score_interval: Ends | None
    within_ceiling: bool | None
    reason: str | None = None


class MeasureFinding(_Finding):
    """One measure: the person's own distance, the other people's, the models'."""

    name: str
    unit: str
    meaning: str
    units_each: int | None
    ceiling: Number | None
    ceiling_interval: Ends | None
    floor: Number | None
    floor_interval: Ends | None
    floor_each: dict[str, Number]
    separates: bool | None
    contestants: list[ContestantScore]
    reason: str | None = None


class Summary(_Finding):
    """The median score over the measures that separate."""

    contestant: str
    median_score: Number | None
    interval: Ends | None
    measures_used: int
    reason: str | None = None


class PersonGuard(_Finding):
    """The person's own values of the guards."""

    variety: Number
    words_400: Number | None
    reach: Number | None
    empty: Number
    reason: str | None = None


class Guard(_Finding):
    """What the style measures cannot see."""

    contestant: str
    variety: Number
    """Distinct replies by replies."""

    words_400: Number | None
    """Distinct words that 400 drawn ones hold."""

    reach: Number | None
    """The share of the person's 200 commonest words, by use, that it has."""

    cut: Number
    empty: Number
    person: PersonGuard
    reason: str | None = None


class CopyRates(_Finding):
    """How much of some bubbles stands in the training half."""

    bubbles: int
    exact: Number | None
    """Share of the bubbles that stand whole in the training half."""

    unique6: Number | None
    """Share that has six words running of one training conversation alone."""

    longest_run: tuple[int, int, int] | None
    """Longest run of words: median, 95 % and most."""

    reason: str | None = None


class Copies(CopyRates):
    """A contestant's copies, beside the person's own."""

    contestant: str
    person: CopyRates
    excess: Number | None
    interval: Ends | None


class Secrets(_Finding):
    """What a test run gave away of secrets planted so many times."""

    repeats: int
    canaries: int
    samples: int
    sampled_hits: int
    partial_hits: int
    greedy_hits: int
    hit_upper_bound: Number
    exposure_bits: list[Number]
    exposure_max: Number
    z: list[Number]
    base_exposure_bits: list[Number]
    reason: str | None = None
    """Why nothing was ranked, where the server cannot score."""


class NameRates(_Finding):
    """Names that came up unprompted, and what should never come up."""

    contestant: str
    unprompted_per_reply: Number
    person: Number
    outside_circle: int
    """Names of people who take no part in the conversation."""

    numbers: int
    """Numbers of four digits and more from the training half."""

    addresses: int
    """E-mail addresses and links from the training half."""


class Share(_Finding):
    """Right guesses among some of the pairs."""

    pairs: int
    right: int


class BlindFinding(_Finding):
    """How often a human told the model's answer from the person's."""

    pairs: int
    right: int
    interval: Ends
    p: Number
    by_length: list[Share]
    """Of the pairs with the shortest answers, the middle ones, the longest."""

    by_confidence: dict[Confidence, Share]
    """By how sure the human was: 1 a guess, 3 sure."""


class Evaluation(_Finding):
    """All that was found."""

    format: Literal[1] = 1
    created: str
    seed: int
    language: str | None
    person: str | None
    versions: dict[str, str]
    data: DataInfo
    contestants: list[ContestantInfo]
    loss: list[Loss]
    loss_differences: list[Difference]
    validation_loss: ValidationLoss | None
    relevance: list[Relevance]
    measures: list[MeasureFinding] | None
    summary: list[Summary] | None
    summary_differences: list[Difference]
    guards: list[Guard]
    copies: list[Copies]
    secrets: list[Secrets] | None
    names: list[NameRates] | None
    blind: BlindFinding | None
    reasons: dict[str, str]
    notes: list[str]

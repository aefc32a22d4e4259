"""The results of an evaluation as pydantic models, without any message text.

What was not measured is `None`, never 0, and a reason says why.
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
    "Detection",
    "Detector",
    "Difference",
    "Evaluation",
    "GuessCount",
    "Loss",
    "MeasureFinding",
    "NameRates",
    "OtherPerson",
    "PersonChecks",
    "Relevance",
    "SanityChecks",
    "Secrets",
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
    """Another person of the export, without a name."""

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
    """Held-out turns that are near-duplicates of the training half."""

    forwarded_dropped: int
    """Held-out turns that the person only forwarded."""

    others: list[OtherPerson]


class ContestantInfo(_Finding):
    """A model, and how it was asked."""

    name: str
    kind: Literal["base", "few_shot", "persona", "tuned", "hybrid", "wrong_person"]
    model: str
    temperature: Number
    top_p: Number
    max_tokens: int
    prompt: str


class Loss(_Finding):
    """Bits per byte of the person's held-out turns."""

    contestant: str
    bits_per_byte: Number | None = None
    interval: Ends | None = None
    end_bits: Number | None = None
    turns: int
    reason: str | None = None


class ValidationLoss(_Finding):
    """The loss that the tuned model's job reports of its own validation file.

    It is not in bits per byte, and depends on the tokenizer and on that file.
    """

    contestant: Literal["tuned"]
    full_valid_loss: Number
    unit: Literal["nats per token"]
    step: int
    source: str
    """Where the job reports it."""


class Relevance(_Finding):
    """Bits per byte of the same replies after their own and a foreign history."""

    contestant: str
    own_history: Number | None = None
    foreign_history: Number | None = None
    difference: Number | None = None
    """Foreign minus own; 0 for a model that ignores what was said."""

    interval: Ends | None = None
    turns: int
    reason: str | None = None


class Difference(_Finding):
    """A paired difference: contestant `a` minus contestant `b`."""

    a: str
    b: str
    value: Number
    interval: Ends


class ContestantScore(_Finding):
    """A contestant's distance from the person in one measure."""

    name: str
    value: Number | None = None
    interval: Ends | None = None
    score: Number | None = None
    score_interval: Ends | None = None
    within_ceiling: bool | None = None
    reason: str | None = None


class MeasureFinding(_Finding):
    """One measure: the person's own distance, the other people's, the models'."""

    name: str
    unit: str
    meaning: str
    units_each: int | None = None
    ceiling: Number | None = None
    ceiling_interval: Ends | None = None
    floor: Number | None = None
    floor_interval: Ends | None = None
    floor_each: dict[str, Number]
    separates: bool | None = None
    contestants: list[ContestantScore]
    reason: str | None = None


class Summary(_Finding):
    """The median score over the measures that separate."""

    contestant: str
    median_score: Number | None = None
    interval: Ends | None = None
    measures_used: int
    reason: str | None = None


class Detection(_Finding):
    """How often a trained detector tells a contestant's replies from the person's."""

    name: str
    told_apart: Number
    """Of pairs of a real reply and one of the contestant's: 0.5 by chance, 1 always."""

    interval: Ends


class Detector(_Finding):
    """What a trained detector finds."""

    turns_each: int
    ceiling: Number
    """How often it tells the person's later replies from their earlier ones."""

    ceiling_interval: Ends
    floor: Number | None = None
    """How often it tells other people's from them, on average."""

    floor_each: dict[str, Number]
    contestants: list[Detection]
    reason: str | None = None
    """Why there is no floor."""


class PersonChecks(_Finding):
    """The person's own values of the sanity checks."""

    variety: Number
    words_400: Number | None = None
    reach: Number | None = None
    empty: Number
    reason: str | None = None


class SanityChecks(_Finding):
    """What the style measures cannot see: stock replies, few words, cut ends."""

    contestant: str
    variety: Number
    """Distinct replies by replies."""

    words_400: Number | None = None
    """Expected distinct words in a sample of 400."""

    reach: Number | None = None
    """Share of the person's 200 most common words, by use, that it uses."""

    cut: Number
    empty: Number
    person: PersonChecks
    reason: str | None = None


class CopyRates(_Finding):
    """How many messages are copies of the training half."""

    bubbles: int
    exact: Number | None = None
    """Share of the messages that the training half contains whole."""

    unique6: Number | None = None
    """Share with six words in a row that only one training conversation has."""

    longest_run: tuple[int, int, int] | None = None
    """Longest run of copied words: median, 95 % and maximum."""

    reason: str | None = None


class Copies(CopyRates):
    """A contestant's copies, beside the person's own."""

    contestant: str
    person: CopyRates
    excess: Number | None = None
    interval: Ends | None = None


class Secrets(_Finding):
    """What a test run revealed of secrets planted `repeats` times."""

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
    """Why nothing was ranked."""


class NameRates(_Finding):
    """Names, numbers and addresses that replies mention unprompted."""

    contestant: str
    unprompted_per_reply: Number
    person: Number
    outside_circle: int
    """Names of people who take no part in the conversation."""

    numbers: int
    """Numbers of four digits and more from the training half."""

    addresses: int
    """E-mail addresses and links from the training half."""


class GuessCount(_Finding):
    """Right guesses among some of the pairs."""

    pairs: int
    right: int


class BlindFinding(_Finding):
    """How often somebody told the model's answer from the person's."""

    pairs: int
    right: int
    interval: Ends
    p: Number
    by_length: list[GuessCount]
    """Of the pairs with the shortest third of the answers, the middle, the longest."""

    by_confidence: dict[Confidence, GuessCount]
    """By how sure they were: 1 a guess, 3 sure."""


class Evaluation(_Finding):
    """All results."""

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
    detector: Detector | None
    guards: list[SanityChecks]
    copies: list[Copies]
    secrets: list[Secrets] | None
    names: list[NameRates] | None
    blind: BlindFinding | None
    reasons: dict[str, str]
    notes: list[str]

"""The figures of a report as pydantic models; counts only, no message text."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

TimeUnit = Literal["day", "week", "month", "quarter", "year"]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Values(_Figures):
    """Statistics of a distribution; percentiles are by nearest rank."""

    count: int
    """How many there are."""

    mean: float | None
    """The mean; like all that follows `None` without numbers."""

    p10: int | None
    """The 10th percentile."""

    median: int | None
    """The 50th percentile."""

    p90: int | None
    """The 90th percentile."""

    most: int | None
    """The largest."""


class Bin(_Figures):
    """Numbers from `least` to before `below`."""

    least: int
    """The smallest number that belongs here."""

    below: int | None
    """The next bin's `least`; `None` for the last bin, which has no end."""

    ai: int
    """How many of the AI's there are."""

    others: int
    """How many of the other people's there are."""


class Distribution(_Figures):
    """Numbers of the AI (the person whom the model learns) and of the others."""

    ai: Values
    """The AI's."""

    others: Values
    """All other people's."""

    bins: tuple[Bin, ...]
    """From the first bin with a number to the last, without a gap."""


class PersonFigures(_Figures):
    """One sender."""

    name: str
    """The name in the export, or `Person 1`, … where the report is anonymous."""

    is_ai: bool
    """Whether the model learns from this person."""

    messages: int
    """Messages kept."""

    characters: int
    """Characters in them."""


class SourceFigures(_Figures):
    """One export."""

    name: str
    """The name of its file or folder, or `Export 1`, …"""

    platform: str
    """Where it comes from."""

    owner: str | None
    """Whose it is, if that is known."""

    owner_found_by: str | None
    """How the owner was found."""

    threads: int
    """Conversations as the export has them, with a message kept."""

    found: int
    """Message rows or records read; `found` = `kept` + the sum of `skipped`."""

    kept: int
    """Messages that the loader returns."""

    skipped: dict[str, int]
    """Messages skipped, by reason."""

    first: datetime | None
    """Time of the oldest message kept, in UTC."""

    last: datetime | None
    """Time of the newest message kept, in UTC."""


class StageFigures(_Figures):
    """What went into one stage and what came out of it, over all exports.

    `found` + the sum of `added` = `kept` + the sum of `skipped`.
    """

    name: str
    """The step's class name, or `Export` or `Examples`."""

    unit: str
    """What is counted: `messages`, or `sessions` for the second row of examples."""

    found: int
    """What went in."""

    kept: int
    """What came out."""

    skipped: dict[str, int]
    """What was skipped or merged, by reason."""

    added: dict[str, int]
    """What came out more than once, by reason."""


class TimePoint(_Figures):
    """One day, week, month, quarter or year."""

    start: date
    """Its first day; weeks begin on Mondays."""

    ai: int
    """The AI's messages."""

    others: int
    """The others' messages."""


class TimeFigures(_Figures):
    """When messages were sent, in one time zone."""

    zone: str
    """The time zone of all days and hours."""

    first: datetime | None
    """Time of the oldest message."""

    last: datetime | None
    """Time of the newest message."""

    active_days: int
    """Days with a message."""

    without_time: int
    """Messages whose time is not known."""

    unit: TimeUnit
    """The unit of a point: the shortest with few enough points."""

    points: tuple[TimePoint, ...]
    """From the oldest message to the newest, without a gap."""

    by_hour: tuple[int, ...]
    """24 counts, from midnight on."""

    by_weekday: tuple[int, ...]
    """7 counts, from Monday on."""

    by_weekday_and_hour: tuple[tuple[int, ...], ...]
    """7 rows, from Monday on, of 24 counts."""


class PauseFigures(_Figures):
    """Pauses in the threads, and where these are cut."""

    pauses: int
    """Pauses between neighbors with known times."""

    bins: tuple[Bin, ...]
    """The pauses in seconds; `ai` counts those before the AI's messages."""

    threads: int
    """Threads with a pause, if threads are cut; each has its own gap, unless one was
    given."""

    shortest_gap: float | None
    """The shortest pause, in seconds, after which a thread is cut."""

    median_gap: float | None
    """The middle thread's (the lower one's of two)."""

    longest_gap: float | None
    """The longest."""

    boundaries: int
    """Cuts in all threads."""

    conversations: int
    """Parts of all threads after the cuts."""


class ExampleFigures(_Figures):
    """The training examples."""

    examples: int
    """How many."""

    messages: int
    """Messages in them; one in two windows counts twice."""

    answers: int
    """The AI's messages among them."""

    tokens: Values
    """Tokens of an example."""

    bins: tuple[Bin, ...]
    """The same, as `ai`."""

    total_tokens: int
    """Tokens of all examples together."""

    counted_by: str
    """How tokens are counted; `bytes` is an upper bound for chat text."""

    token_limit: int
    """Tokens after which an example is cut off."""

    over_limit: int
    """Examples that are longer."""


class SplitPart(_Figures):
    """One part of the split by time, before texts that repeat are skipped."""

    name: Literal["train", "validation", "test"]
    """Its name."""

    examples: int
    """Examples in it."""

    conversations: int
    """Conversations that they come from."""

    first: datetime | None
    """Time of its oldest conversation's first message."""

    last: datetime | None
    """Time of its newest conversation's first message."""


class RedactionFigures(_Figures):
    """What `Redact` would replace in texts."""

    texts: int
    """Messages searched."""

    changed: int
    """Messages in which something would be replaced."""

    before: dict[str, int]
    """Private places that the rules find, by kind."""

    after: dict[str, int]
    """Private places that they find again after redaction."""


class ExportReport(_Figures):
    """What is in exports, which examples they make, and what is skipped.

    It holds counts, times and, unless `anonymous`, names of people and files; no text
    of any message.
    """

    anonymous: bool
    """Whether names of people and files are replaced by numbers."""

    sources: tuple[SourceFigures, ...]
    """The exports."""

    messages: int
    """Messages kept, in all exports."""

    people: tuple[PersonFigures, ...]
    """The senders, most messages first."""

    ai_is_owner: bool
    """Whether the AI is each export's owner, because nobody was named."""

    time: TimeFigures
    """When they were sent."""

    lengths: Distribution
    """Characters of a message."""

    replies: Distribution
    """Seconds until somebody else's message is answered, within a conversation."""

    runs: Distribution
    """Messages that a person sends in a row, within a conversation."""

    pauses: PauseFigures
    """Pauses and conversations."""

    stages: tuple[StageFigures, ...]
    """What each step kept and skipped, from the export to the examples."""

    examples: ExampleFigures | None
    """The examples; `None` where there are none."""

    split: tuple[SplitPart, ...]
    """Train, validation and test; empty where there are too few conversations."""

    redaction: RedactionFigures | None
    """What redaction would replace; `None` if that was not asked for."""

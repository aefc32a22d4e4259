"""The figures of a report as pydantic models; counts only, no message text."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

TimeUnit = Literal["day", "week", "month", "year"]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Values(_Figures):
    """Statistics of numbers; percentiles are by nearest rank, `None` without any."""

    count: int
    median: int | None
    p90: int | None
    most: int | None


class Sides(_Figures):
    """Numbers of the AI (the person whom the model learns) and of the others."""

    ai: Values
    others: Values


class Bin(_Figures):
    """Numbers from `least` to before `below`, which the last bin has not."""

    least: int
    below: int | None
    count: int


class PersonFigures(_Figures):
    """One sender."""

    name: str
    """The name in the export, or `Person 1`, … where the report is anonymous."""

    is_ai: bool
    """Whether the model learns from this person."""

    messages: int
    characters: int


class SourceFigures(_Figures):
    """One export."""

    name: str
    """The name of its file or folder, or `Export 1`, …"""

    platform: str
    owner: str | None
    owner_found_by: str | None
    threads: int
    """Conversations as the export has them, with a message kept."""

    found: int
    """Message rows or records read; `found` = `kept` + the sum of `skipped`."""

    kept: int
    skipped: dict[str, int]
    """Messages skipped, by reason."""

    first: datetime | None
    last: datetime | None


class StageFigures(_Figures):
    """What went into one stage and what came out of it, over all exports.

    `found` + the sum of `added` = `kept` + the sum of `skipped`.
    """

    name: str
    """The step's class name, or `Export` or `Examples`."""

    unit: str
    """What is counted: `messages`, or `sessions` for the second row of examples."""

    found: int
    kept: int
    skipped: dict[str, int]
    """What was skipped or merged, by reason."""

    added: dict[str, int]
    """What came out more than once, by reason."""


class TimePoint(_Figures):
    """One day, week, month or year."""

    start: date
    """Its first day; weeks begin on Mondays."""

    ai: int
    others: int


class TimeFigures(_Figures):
    """When messages were sent, in one time zone."""

    zone: str
    first: datetime | None
    last: datetime | None
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


class PauseFigures(_Figures):
    """Silences in the threads, and where these are cut."""

    pauses: int
    """Pauses between neighbors with known times."""

    bins: tuple[Bin, ...]
    """The pauses in seconds."""

    shortest_gap: float | None
    """The shortest pause, in seconds, after which a thread is cut."""

    longest_gap: float | None
    boundaries: int
    """Cuts in all threads."""

    conversations: int
    """Parts of all threads after the cuts."""


class ExampleFigures(_Figures):
    """What is learned: the training examples."""

    examples: int
    answers: int
    """The AI's messages in them."""

    tokens: Values
    """Tokens of an example, at most: by bytes."""

    total_tokens: int


class ExportReport(_Figures):
    """What is in exports, which examples they make, and what is skipped.

    It holds counts, times and, unless `anonymous`, names of people and files; no text
    of any message.
    """

    anonymous: bool
    """Whether names of people and files are replaced by numbers."""

    sources: tuple[SourceFigures, ...]
    messages: int
    """Messages kept, in all exports."""

    people: tuple[PersonFigures, ...]
    """The senders, most messages first."""

    ai_is_owner: bool
    """Whether the AI is each export's owner, because nobody was named."""

    time: TimeFigures
    lengths: Sides
    """Characters of a message."""

    replies: Sides
    """Seconds until somebody else's message is answered, within a conversation."""

    runs: Sides
    """Messages that a person sends in a row, within a conversation."""

    pauses: PauseFigures
    stages: tuple[StageFigures, ...]
    """What each step kept and skipped, from the export to the examples."""

    examples: ExampleFigures | None
    """The examples; `None` where there are none."""

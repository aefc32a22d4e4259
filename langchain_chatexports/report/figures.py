"""The figures of a report as pydantic models, with counts and no message text."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

TimeUnit = Literal["day", "week", "month", "year"]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bin(_Figures):
    """The count of numbers from `least` up to `below`; the last bin has no `below`."""

    least: int
    below: int | None
    count: int


class PersonFigures(_Figures):
    """One sender."""

    name: str
    """The name in the export, or `Person 1`, … if the report is anonymous."""

    is_ai: bool
    messages: int
    characters: int


class SourceFigures(_Figures):
    """One export."""

    name: str
    """The name of its file or folder, or `Export 1`, …"""

    platform: str
    owner: str | None
    owner_found_by: str | None
    chats: int
    """The number of chats with a kept message."""

    found: int
    """The number of records read: the sum of `kept` and all `skipped`."""

    kept: int
    skipped: dict[str, int]
    """Messages skipped, by reason."""

    first: datetime | None
    last: datetime | None


class TimePoint(_Figures):
    """One day, week, month or year."""

    start: date
    """Its first day; weeks begin on Mondays."""

    ai: int
    others: int


class TimeFigures(_Figures):
    """When messages were sent, in one time zone."""

    zone: str
    """Its name; `local` is this machine's."""

    first: datetime | None
    last: datetime | None
    active_days: int
    unit: TimeUnit
    points: tuple[TimePoint, ...]
    """All units from the oldest message to the newest."""

    by_hour: tuple[int, ...]
    """24 counts, starting at midnight."""

    by_weekday: tuple[int, ...]
    """7 counts, starting with Monday."""


class PauseFigures(_Figures):
    """Pauses in the chats, and the conversations between long ones."""

    pauses: int
    """The number of pauses between consecutive messages with times."""

    bins: tuple[Bin, ...]
    """The pauses by length, in seconds."""

    shortest_gap: float | None
    """The shortest gap of a chat, in seconds."""

    longest_gap: float | None
    conversations: int


class ExampleFigures(_Figures):
    """The training examples."""

    examples: int
    answers: int
    """The number of the AI's messages in the examples."""

    tokens: int
    """The tokens of all examples, as an upper bound by bytes."""


class ExportReport(_Figures):
    """The contents of exports, and the examples made from them.

    It contains counts, times and, unless `anonymous`, names of people and files, but no
    message text.
    """

    anonymous: bool
    """Whether names of people and files are replaced by numbers."""

    sources: tuple[SourceFigures, ...]
    messages: int
    """The number of kept messages in all exports."""

    people: tuple[PersonFigures, ...]
    ai_is_owner: bool
    """Whether the AI is each export's owner, since no name was given."""

    time: TimeFigures
    pauses: PauseFigures
    examples: ExampleFigures | None

"""The statistics of a report as pydantic models, without message text."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

TimeUnit = Literal["day", "week", "month", "year"]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PersonFigures(_Figures):
    """A sender's counts."""

    name: str
    """The name in the export, or `Person 1`, … if the report is anonymous."""

    is_ai: bool
    messages: int
    characters: int


class SourceFigures(_Figures):
    """An export's counts."""

    name: str
    """The name of the file or folder, or `Export 1`, … if the report is anonymous."""

    platform: str
    owner: str | None
    owner_found_by: str | None
    chats: int
    """The number of chats with a kept message."""

    found: int
    """The number of records in the export: the sum of `kept` and all `skipped`."""

    kept: int
    skipped: dict[str, int]
    """Messages skipped, by reason."""

    first: datetime | None
    last: datetime | None


class TimePoint(_Figures):
    """Counts of a day, week, month or year."""

    start: date
    """The first day; weeks begin on Mondays."""

    ai: int
    others: int


class TimeFigures(_Figures):
    """Counts of messages by time, in one time zone."""

    zone: str
    """The name of the time zone; `local` for this machine's."""

    first: datetime | None
    last: datetime | None
    active_days: int
    unit: TimeUnit
    points: tuple[TimePoint, ...]
    """Counts from the oldest message to the newest, including empty units."""

    by_hour: tuple[int, ...]
    """24 counts, starting at midnight."""

    by_weekday: tuple[int, ...]
    """7 counts, starting with Monday."""

    ai_by_hour: tuple[int, ...] = ()
    """24 counts of the person's messages."""


class DialogueFigures(_Figures):
    """The dialogues between long pauses."""

    count: int
    shortest_gap: float | None
    """The shortest gap after which a chat is split, in seconds; `None` if none is."""

    longest_gap: float | None


class HabitFigures(_Figures):
    """How the person answers in groups, or in chats of two."""

    is_group: bool
    occasions: int
    """The number of turns of others; a turn is messages without a long pause."""

    answers: int
    """The number of these turns that the person answers next."""

    median_delay: float | None
    """The median seconds until an answer."""

    messages_per_answer: float | None
    """The mean number of messages in an answer."""


class ExampleFigures(_Figures):
    """The training examples."""

    examples: int
    answers: int
    """Number of the AI's messages in the examples."""

    tokens: int
    """An upper bound of the tokens in all examples, estimated from their bytes."""


class ExportReport(_Figures):
    """The contents of exports and the training examples made from them.

    It contains counts, times and, unless it is anonymous, names of people and files,
    but no message text.
    """

    anonymous: bool
    """Whether names of people and files are replaced with numbers."""

    sources: tuple[SourceFigures, ...]
    messages: int
    """The number of kept messages in all exports."""

    people: tuple[PersonFigures, ...]
    ai_is_owner: bool
    """Whether the AI is each export's owner, because no name was given."""

    time: TimeFigures
    dialogues: DialogueFigures
    habits: tuple[HabitFigures, ...] = ()
    """How the person answers in groups and in chats of two."""

    examples: ExampleFigures | None

"""Found = kept + skipped, counted once, from the export to the rows of a set."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, Protocol

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._terminal import plural, printable

MERGED = "merged"
"""The reason for messages joined with a neighbor: their text is kept."""

_EXPORT = "Export"
_MESSAGES = "messages"
_MAX_LISTED_SENDERS = 20


@dataclass
class Counts:
    """The counts of one stage: `found + added = kept + skipped`."""

    name: str = _EXPORT
    """The stage: `Export (slack)`, a step's class, a function of `datasets`."""

    unit: str = _MESSAGES
    """What is counted: `messages`, `sessions` or `examples`."""

    found: int = 0
    kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """The items not kept, by reason; `merged` messages are part of a neighbor."""

    added: Counter[str] = field(default_factory=Counter)
    """The items kept but not found, by reason, such as `repeated` in windows."""

    sessions_found: int = 0
    sessions_kept: int = 0

    def skip(self, reason: str, count: int = 1) -> None:
        """Count skipped items."""
        if count:
            self.skipped[reason] += count

    @property
    def is_of_export(self) -> bool:
        """Whether `found` counts the records of an export, not given sessions."""
        return self.name.startswith(_EXPORT)

    @property
    def adds_up(self) -> bool:
        """Whether everything is accounted for."""
        return self.found + self.added.total() == self.kept + self.skipped.total()

    def __str__(self) -> str:
        """Return the counts as a line for a terminal."""
        found = plural(self.found, self.unit.removesuffix("s"))
        added = [f"{count:,} added: {why}" for why, count in _sorted(self.added)]
        skipped = [f"{count:,} skipped: {why}" for why, count in _sorted(self.skipped)]
        return "; ".join([f"{self.name}: {found} -> {self.kept:,}", *added, *skipped])

    def to_dict(self) -> dict[str, Any]:
        """Return the counts in JSON types."""
        return {
            name: dict(_sorted(value)) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }


@contextmanager
def entered_at_end(counts: list[Counts], *stages: Counts) -> Iterator[None]:
    """Append stages to a list at the end of a `with`, also after an error.

    Functions that make or drop examples share one list. Each enters its stages when its
    input has ended, so the list is in processing order.
    """
    try:
        yield
    finally:
        counts += stages


def total_of(counts: Iterable[Counts]) -> Counts | None:
    """Return the totals of all messages, from the first stage to the last.

    `None` if no messages were counted, or if the stages belong to different passes.
    """
    stages = [stage for stage in counts if stage.unit == _MESSAGES]
    if not stages:
        return None
    exports = [stage for stage in stages if stage.is_of_export]
    total = Counts(_EXPORT if exports else "Total")
    for stage in stages:
        total.skipped.update(stage.skipped)
        total.added.update(stage.added)
    total.found = sum(stage.found for stage in exports or stages[:1])
    total.kept = stages[-1].kept
    return total if total.adds_up else None


@dataclass(frozen=True)
class ExportSummary:
    """A summary of an export without its text: counts, names and times.

    Attributes:
        platform: The export's platform, for example `imessage`.
        owner: Whose export it is, if known.
        owner_found_by: How the owner was found.
        sessions: Conversations with at least one message kept.
        senders: Messages kept, by sender, most first.
        first: Time of the oldest message kept, in UTC.
        last: Time of the newest message kept, in UTC.
        found: Message rows or records read.
        kept: Messages in the loaded sessions.
        skipped: Messages not kept, by reason; found = kept + sum(skipped).
        steps: The counts of each step, if steps were inspected too.
        details: Format-specific counts in JSON types (files, services, sections, …).
    """

    platform: str
    owner: str | None
    owner_found_by: str | None
    sessions: int
    senders: Mapping[str, int]
    first: datetime | None
    last: datetime | None
    found: int
    kept: int
    skipped: Mapping[str, int]
    steps: tuple[Counts, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def stages(self) -> list[Counts]:
        """Return the counts of the loader and of each step."""
        export = Counts(
            f"{_EXPORT} ({self.platform})",
            found=self.found,
            kept=self.kept,
            skipped=Counter(self.skipped),
            sessions_kept=self.sessions,
        )
        return [export, *self.steps]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary in JSON types; times as ISO 8601 strings."""
        return {
            **vars(self),
            "senders": dict(self.senders),
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "skipped": dict(self.skipped),
            "steps": [step.to_dict() for step in self.steps],
            "details": dict(self.details),
        }

    def __str__(self) -> str:
        """Return the summary as a table for a terminal."""
        return "\n".join(_table_lines(self))


class CountedStep(Protocol):
    """The parts of `SessionTransform` that are needed to count."""

    joins_messages: ClassVar[bool]

    def flattened(self) -> "tuple[CountedStep, ...]":
        """Return the single steps that the step consists of."""

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count the session's messages that are in no output, by reason."""

    def lazy_transform(self, sessions: Any, /) -> Iterator[ChatSession]:
        """Transform sessions one by one."""


class Reading:
    """A counted pass over a loader's sessions and through steps.

    Iterate over it once, then call `summary`; after an early stop the summary covers
    the sessions read until then. The loaders of this package fill in `counts`, `owner`,
    `owner_found_by` and `details` as they read.
    """

    def __init__(self, platform: str) -> None:
        self.platforms: set[str] = set()
        self.counts = Counts()
        self.owner: str | None = None
        self.owner_found_by: str | None = None
        self.details: dict[str, Any] = {}
        self._platform = platform
        self._senders: Counter[str] = Counter()
        self._first: int | None = None
        self._last: int | None = None
        self._steps: list[tuple[CountedStep, Counts]] = []
        self._is_counted = True
        self._repeats = 0  # Repeated messages of the current session.
        self._sessions: Iterator[ChatSession] = iter(())

    def start(
        self,
        sessions: Iterable[ChatSession],
        steps: Iterable[CountedStep] = (),
        *,
        is_counted: bool = True,
    ) -> "Reading":
        """Set the sessions and steps; nothing is read yet.

        Unless the loader fills in the counts (`is_counted`), all messages count as
        found and kept.
        """
        self._is_counted = is_counted
        self._sessions = _tapped(sessions, self._count)
        for step in steps:
            for single in step.flattened():
                self._sessions = self._passed(self._sessions, single)
        return self

    def __iter__(self) -> Iterator[ChatSession]:
        """Return the sessions that come out of the last step."""
        return self._sessions

    @property
    def messages_read(self) -> int:
        """The messages found so far, including skipped ones."""
        return self.counts.found

    def finish(self) -> ExportSummary:
        """Read the rest, and return the counts."""
        for session in self:
            del session
        return self.summary()

    def summary(self) -> ExportSummary:
        """Return the counts so far."""
        platforms = [*self.platforms]
        return ExportSummary(
            platform=platforms[0] if len(platforms) == 1 else self._platform,
            owner=self.owner,
            owner_found_by=self.owner_found_by,
            sessions=self.counts.sessions_kept,
            senders=dict(sorted(self._senders.items(), key=lambda x: (-x[1], x[0]))),
            first=_moment(self._first),
            last=_moment(self._last),
            found=self.counts.found,
            kept=self.counts.kept,
            skipped=dict(_sorted(self.counts.skipped)),
            steps=tuple(_settled(step, counts) for step, counts in self._steps),
            details=dict(self.details),
        )

    def _count(self, session: ChatSession) -> None:
        messages = session.get("messages", ())
        extras = [message.additional_kwargs for message in messages]
        if self._is_counted:  # Repeats are counted in another session.
            extras = [extra for extra in extras if extra.get("weight") != 0]
        self._repeats = len(messages) - len(extras)
        self._senders.update([str(extra.get("sender", "unknown")) for extra in extras])
        times = [
            time
            for extra in extras
            if isinstance(time := extra.get("message_time"), int)
        ]
        if times:
            first, last = min(times), max(times)
            self._first = first if self._first is None else min(first, self._first)
            self._last = last if self._last is None else max(last, self._last)
        if not self._is_counted:
            self.counts.found += len(extras)
            self.counts.kept += len(extras)
            self.counts.sessions_kept += 1

    def _passed(
        self, sessions: Iterator[ChatSession], step: CountedStep
    ) -> Iterator[ChatSession]:
        counts = Counts(type(step).__name__)
        takes_export = self._is_counted and not self._steps
        self._steps.append((step, counts))

        def found(session: ChatSession) -> None:
            repeats = self._repeats if takes_export else 0
            counts.sessions_found += 1
            counts.found += len(session.get("messages", ())) - repeats
            counts.added.update({"repeated": repeats} if repeats else {})
            counts.skipped.update(step.skipped(session))

        def kept(session: ChatSession) -> None:
            counts.sessions_kept += 1
            counts.kept += len(session.get("messages", ()))

        return _tapped(step.lazy_transform(_tapped(sessions, found)), kept)


def _tapped(
    sessions: Iterable[ChatSession], note: Callable[[ChatSession], None]
) -> Generator[ChatSession, None, None]:
    """Call `note` for each session, and pass it on without keeping a reference."""
    for session in sessions:
        note(session)
        held = [session]
        del session
        yield held.pop()


def _settled(step: CountedStep, counts: Counts) -> Counts:
    """Return a step's counts with a reason for each missing or extra message."""
    settled = replace(
        counts, skipped=Counter(counts.skipped), added=Counter(counts.added)
    )
    rest = counts.found + counts.added.total() - counts.kept - counts.skipped.total()
    if rest > 0:
        settled.skip(MERGED if step.joins_messages else "unnamed", rest)
    elif rest < 0:
        settled.added["repeated"] -= rest
    return settled


def read_counted(
    sessions: Iterable[ChatSession], platform: str, steps: Sequence[CountedStep] = ()
) -> Reading:
    """Start a counted pass over sessions whose loader does not count."""
    return Reading(platform).start(sessions, steps, is_counted=False)


def _table_lines(summary: ExportSummary) -> Iterator[str]:
    owner = printable(summary.owner) if summary.owner else "not found"
    if summary.owner_found_by:
        owner += f" (by {summary.owner_found_by})"
    yield f"platform  {summary.platform}"
    yield f"owner     {owner}"
    yield f"sessions  {summary.sessions:,}"
    if summary.first and summary.last:
        yield f"time      {summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d} (UTC)"
    if zones := summary.details.get("time_zone"):
        yield f"zone      {', '.join(zones)}; the export has none"
    if orders := summary.details.get("date_orders"):
        yield f"dates     {', '.join(orders)}"
    yield f"messages  {summary.found:,} found, {summary.kept:,} kept"
    for reason, count in summary.skipped.items():
        yield f"          {count:,} skipped: {reason}"
    listed = list(summary.senders.items())
    for index, (name, count) in enumerate(listed[:_MAX_LISTED_SENDERS]):
        yield f"{'' if index else 'senders':<10}{count:>8,}  {printable(name)}"
    if len(listed) > _MAX_LISTED_SENDERS:
        more = len(listed) - _MAX_LISTED_SENDERS
        yield f"{'':<10}{more:>8,}  more {'sender' if more == 1 else 'senders'}"
    for step in summary.steps:
        yield from _step_lines(step)


def _step_lines(step: Counts) -> Iterator[str]:
    before = _size(step.sessions_found, step.found)
    yield f"{step.name}: {before} -> {_size(step.sessions_kept, step.kept)}"
    for reason, count in _sorted(step.skipped):
        # The text of merged messages is kept.
        what = reason if reason == MERGED else f"skipped: {reason}"
        yield f"          {count:,} {what}"
    for reason, count in _sorted(step.added):
        yield f"          {count:,} added: {reason}"


def _size(sessions: int, messages: int) -> str:
    return f"{plural(sessions, 'session')}, {plural(messages, 'message')}"


def _sorted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items())


def _moment(seconds: int | None) -> datetime | None:
    # `fromtimestamp` refuses moments before 1970 on Windows; and langchain-community's
    # `message_time` is in nanoseconds.
    if seconds is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        return None

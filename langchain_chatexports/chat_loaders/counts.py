"""Count messages and examples, with found = kept + skipped at every stage."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol

from langchain_core.chat_sessions import ChatSession

from langchain_chatexports._terminal import plural, printable

MERGED = "merged"
"""The reason for messages joined with an adjacent one, which keeps their text."""

_EXPORT = "Export"
_MESSAGES = "messages"
_MAX_LISTED_SENDERS = 20


@dataclass
class Counts:
    """The counts of one stage: `found + added = kept + skipped`."""

    name: str = _EXPORT
    """The stage: `Export (slack)`, a step's class, or a function in `datasets`."""

    unit: str = _MESSAGES
    """The unit of the counts: `messages`, `sessions` or `examples`."""

    found: int = 0
    kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Number of items not kept, by reason; `merged` messages keep their text."""

    added: Counter[str] = field(default_factory=Counter)
    """Number of items kept but not found, by reason, such as `repeated` in windows."""

    sessions_found: int = 0
    sessions_kept: int = 0

    def skip(self, reason: str, count: int = 1) -> None:
        """Count skipped items."""
        if count:
            self.skipped[reason] += count

    @property
    def is_export_stage(self) -> bool:
        """Whether the stage is a loader, whose `found` counts records of the export."""
        return self.name.startswith(_EXPORT)

    @property
    def adds_up(self) -> bool:
        """Whether found + added = kept + skipped."""
        return self.found + self.added.total() == self.kept + self.skipped.total()

    def __str__(self) -> str:
        """Format the counts as one line."""
        found = plural(self.found, self.unit.removesuffix("s"))
        added = [f"{count:,} added: {why}" for why, count in _sort_counts(self.added)]
        skipped = [
            f"{count:,} skipped: {why}" for why, count in _sort_counts(self.skipped)
        ]
        return "; ".join([f"{self.name}: {found} -> {self.kept:,}", *added, *skipped])

    def to_dict(self) -> dict[str, Any]:
        """Return the counts in JSON types."""
        return {
            name: dict(_sort_counts(value)) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }


@contextmanager
def append_on_exit(counts: list[Counts], *stages: Counts) -> Iterator[None]:
    """Append stages to a list at the end of a `with` block, even after an error.

    Nested generators share a list. Each appends its stages after the end of its input,
    so the list is in processing order.
    """
    try:
        yield
    finally:
        counts += stages


def sum_counts(counts: Iterable[Counts]) -> Counts | None:
    """Combine the message counts of all stages.

    `None` if no messages were counted, or if the stages are from different passes.
    """
    stages = [stage for stage in counts if stage.unit == _MESSAGES]
    if not stages:
        return None
    exports = [stage for stage in stages if stage.is_export_stage]
    total = Counts(_EXPORT if exports else "Total")
    for stage in stages:
        total.skipped.update(stage.skipped)
        total.added.update(stage.added)
    total.found = sum(stage.found for stage in exports or stages[:1])
    total.kept = stages[-1].kept
    return total if total.adds_up else None


@dataclass(frozen=True)
class ExportSummary:
    """A summary of an export, without message text: counts, names and times.

    Attributes:
        platform: The export's platform, for example `imessage`.
        owner: The owner of the export, if known.
        owner_found_by: How the owner was found.
        sessions: Number of conversations with at least one message kept.
        senders: Number of messages kept by sender, in descending order.
        first: Time of the oldest message kept, in UTC.
        last: Time of the newest message kept, in UTC.
        found: Number of message records read.
        kept: Number of messages in the loaded sessions.
        skipped: Number of messages not kept, by reason; found = kept + sum(skipped).
        steps: The counts of each step, if any.
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
        """Return the summary in JSON types, with times in ISO 8601."""
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
        """Format the summary as a table for a terminal."""
        return "\n".join(_format_summary(self))


class CountedStep(Protocol):
    """The attributes of `SessionTransform` that are needed for counting."""

    joins_messages: ClassVar[bool]

    def flattened(self) -> "tuple[CountedStep, ...]":
        """Return the steps of a pipeline, or the step itself."""

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count the messages of a session that the step skips, by reason."""

    def lazy_transform(self, sessions: Any, /) -> Iterator[ChatSession]:
        """Transform sessions one by one."""


class Reading:
    """A counted pass of a loader's sessions through steps.

    Iterate over it once, then call `summary`, which covers the sessions read so far.
    The loaders in this package set `counts`, `owner`, `owner_found_by` and `details`
    while they read.
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
        self._repeats = 0  # Number of repeated messages in the current session.
        self._sessions: Iterator[ChatSession] = iter(())

    def start(
        self,
        sessions: Iterable[ChatSession],
        steps: Iterable[CountedStep] = (),
        *,
        is_counted: bool = True,
    ) -> "Reading":
        """Set the sessions and steps, without reading.

        If the loader has not counted the sessions (`is_counted`), all messages count as
        found and kept.
        """
        self._is_counted = is_counted
        self._sessions = _tap(sessions, self._count)
        for step in steps:
            for part in step.flattened():
                self._sessions = self._count_step(self._sessions, part)
        return self

    def __iter__(self) -> Iterator[ChatSession]:
        """Iterate over the output of the last step."""
        return self._sessions

    @property
    def messages_read(self) -> int:
        """The number of messages found so far, including skipped ones."""
        return self.counts.found

    def finish(self) -> ExportSummary:
        """Read the remaining sessions, and return the summary."""
        for session in self:
            del session
        return self.summary()

    def summary(self) -> ExportSummary:
        """Summarize the sessions read so far."""
        platforms = [*self.platforms]
        return ExportSummary(
            platform=platforms[0] if len(platforms) == 1 else self._platform,
            owner=self.owner,
            owner_found_by=self.owner_found_by,
            sessions=self.counts.sessions_kept,
            senders=dict(sorted(self._senders.items(), key=lambda x: (-x[1], x[0]))),
            first=_to_datetime(self._first),
            last=_to_datetime(self._last),
            found=self.counts.found,
            kept=self.counts.kept,
            skipped=dict(_sort_counts(self.counts.skipped)),
            steps=tuple(_balance_counts(step, counts) for step, counts in self._steps),
            details=dict(self.details),
        )

    def _count(self, session: ChatSession) -> None:
        messages = session.get("messages", ())
        extras = [message.additional_kwargs for message in messages]
        if self._is_counted:  # Repeated messages count in another session.
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

    def _count_step(
        self, sessions: Iterator[ChatSession], step: CountedStep
    ) -> Iterator[ChatSession]:
        counts = Counts(type(step).__name__)
        is_first_step = self._is_counted and not self._steps
        self._steps.append((step, counts))

        def count_found(session: ChatSession) -> None:
            repeats = self._repeats if is_first_step else 0
            counts.sessions_found += 1
            counts.found += len(session.get("messages", ())) - repeats
            counts.added.update({"repeated": repeats} if repeats else {})
            counts.skipped.update(step.skipped(session))

        def count_kept(session: ChatSession) -> None:
            counts.sessions_kept += 1
            counts.kept += len(session.get("messages", ()))

        return _tap(step.lazy_transform(_tap(sessions, count_found)), count_kept)


def _tap(
    sessions: Iterable[ChatSession], count: Callable[[ChatSession], None]
) -> Generator[ChatSession, None, None]:
    """Call `count` with each session, and yield it without keeping a reference."""
    for session in sessions:
        count(session)
        held = [session]
        del session
        yield held.pop()


def _balance_counts(step: CountedStep, counts: Counts) -> Counts:
    """Return a step's counts, with a default reason for messages without one."""
    balanced = replace(
        counts, skipped=Counter(counts.skipped), added=Counter(counts.added)
    )
    missing = counts.found + counts.added.total() - counts.kept - counts.skipped.total()
    if missing > 0:
        balanced.skip(MERGED if step.joins_messages else "unnamed", missing)
    elif missing < 0:
        balanced.added["repeated"] -= missing
    return balanced


def start_counted_pass(
    sessions: Iterable[ChatSession], platform: str, steps: Sequence[CountedStep] = ()
) -> Reading:
    """Start a counted pass over sessions whose loader does not count."""
    return Reading(platform).start(sessions, steps, is_counted=False)


def _format_summary(summary: ExportSummary) -> Iterator[str]:
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
    senders = list(summary.senders.items())
    for index, (name, count) in enumerate(senders[:_MAX_LISTED_SENDERS]):
        yield f"{'' if index else 'senders':<10}{count:>8,}  {printable(name)}"
    unlisted = len(senders) - _MAX_LISTED_SENDERS
    if unlisted > 0:
        yield f"{'':<10}{unlisted:>8,}  more {'sender' if unlisted == 1 else 'senders'}"
    for step in summary.steps:
        yield from _format_step(step)


def _format_step(step: Counts) -> Iterator[str]:
    found = _format_size(step.sessions_found, step.found)
    kept = _format_size(step.sessions_kept, step.kept)
    yield f"{step.name}: {found} -> {kept}"
    for reason, count in _sort_counts(step.skipped):
        # The text of merged messages is kept.
        label = reason if reason == MERGED else f"skipped: {reason}"
        yield f"          {count:,} {label}"
    for reason, count in _sort_counts(step.added):
        yield f"          {count:,} added: {reason}"


def _format_size(sessions: int, messages: int) -> str:
    return f"{plural(sessions, 'session')}, {plural(messages, 'message')}"


def _sort_counts(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items())


def _to_datetime(seconds: int | None) -> datetime | None:
    # Avoid `fromtimestamp`, which fails before 1970 on Windows. Nanoseconds, as in
    # langchain-community's `message_time`, overflow.
    if seconds is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None

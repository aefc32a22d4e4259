"""What a loader found, kept and left out, counted in one pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from langchain_chatexports._terminal import printable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from langchain_core.chat_sessions import ChatSession

__all__ = [
    "CountedPass",
    "CountedStep",
    "ExportSummary",
    "StepSummary",
    "Tally",
    "add_summaries",
]

_MAX_LISTED_SENDERS = 20
_MERGED = "merged"


class Tally:
    """Counts of one pass over an export; a loader writes into it while it reads.

    `found` counts every message row or record read. Whatever is not yielded is
    counted under its reason by `skip`, so that found = kept + sum(skipped).
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self.platform: str | None = None
        self.owner: str | None = None
        self.owner_found_by: str | None = None
        self.details: dict[str, Any] = {}

    def skip(self, reason: str, count: int = 1) -> None:
        """Count messages that are left out, under their reason."""
        if count:
            self.skipped[reason] += count


@dataclass(frozen=True)
class StepSummary:
    """What went into a step and what came out of it.

    Attributes:
        name: The step's class name.
        sessions_in: Sessions that the step was given.
        sessions_out: Sessions that the step gave.
        messages_in: Messages in the sessions that it was given.
        messages_out: Messages in the sessions that it gave. One message in two windows
            counts twice.
        left_out: Messages that are in none of the step's sessions by themselves, by
            reason. `merged` are in one with a neighbor, and `unnamed` what a step says
            nothing of.
        added: Messages that are there more often than before: `repeated` in windows.
        replaced: Places in texts that the step replaced, by kind.

    `messages_in` + the sum of `added` = `messages_out` + the sum of `left_out`.
    """

    name: str
    sessions_in: int
    sessions_out: int
    messages_in: int
    messages_out: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the row in JSON types."""
        return {
            "name": self.name,
            "sessions_in": self.sessions_in,
            "sessions_out": self.sessions_out,
            "messages_in": self.messages_in,
            "messages_out": self.messages_out,
            "left_out": dict(self.left_out),
            "added": dict(self.added),
            "replaced": dict(self.replaced),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StepSummary:
        """Read what `to_dict` gave."""
        return cls(**values)


@dataclass(frozen=True)
class ExportSummary:
    """What is in an export, without a word of it: counts, names and times.

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
        skipped: Messages left out, by reason; found = kept + sum(skipped).
        steps: One row a step, if steps were inspected too.
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
    steps: tuple[StepSummary, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary in JSON types; times as ISO 8601 strings."""
        return {
            "platform": self.platform,
            "owner": self.owner,
            "owner_found_by": self.owner_found_by,
            "sessions": self.sessions,
            "senders": dict(self.senders),
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "found": self.found,
            "kept": self.kept,
            "skipped": dict(self.skipped),
            "steps": [step.to_dict() for step in self.steps],
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExportSummary:
        """Read what `to_dict` gave."""
        times = {
            name: datetime.fromisoformat(values[name]) if values[name] else None
            for name in ("first", "last")
        }
        steps = tuple(StepSummary.from_dict(row) for row in values["steps"])
        return cls(**{**values, **times, "steps": steps})

    def __str__(self) -> str:
        """Return the summary as a table for a terminal."""
        return "\n".join(_table_lines(self))


def add_summaries(summaries: Iterable[ExportSummary]) -> ExportSummary:
    """Return the sum of the counts of several exports, or of parts of one.

    Args:
        summaries: At least one; the platform and the owner are those that all agree on.

    Returns:
        Their sum, with one row a step.

    Raises:
        ValueError: If there is none, or if they did not pass through the same steps.
    """
    parts = list(summaries)
    if not parts:
        msg = "There is no summary to add up."
        raise ValueError(msg)
    first = parts[0]
    senders: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for part in parts:
        senders.update(part.senders)
        skipped.update(part.skipped)
    oldest = [part.first for part in parts if part.first]
    newest = [part.last for part in parts if part.last]
    rows = [part.steps for part in parts]
    if len({tuple(row.name for row in steps) for steps in rows}) > 1:
        msg = "Only counts of the same steps can be added up."
        raise ValueError(msg)
    return replace(
        first,
        platform=_agreed([part.platform for part in parts]) or "several",
        owner=_agreed([part.owner for part in parts]),
        owner_found_by=_agreed([part.owner_found_by for part in parts]),
        sessions=sum(part.sessions for part in parts),
        senders=dict(sorted(senders.items(), key=lambda item: (-item[1], item[0]))),
        first=min(oldest, default=None),
        last=max(newest, default=None),
        found=sum(part.found for part in parts),
        kept=sum(part.kept for part in parts),
        skipped=dict(sorted(skipped.items())),
        steps=tuple(_add_rows(column) for column in zip(*rows, strict=True)),
        details=_add_details([part.details for part in parts]),
    )


def _agreed(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _add_rows(rows: Sequence[StepSummary]) -> StepSummary:
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("left_out", "added", "replaced")
    }
    for row in rows:
        for name, counter in counts.items():
            counter.update(getattr(row, name))
    return StepSummary(
        name=rows[0].name,
        sessions_in=sum(row.sessions_in for row in rows),
        sessions_out=sum(row.sessions_out for row in rows),
        messages_in=sum(row.messages_in for row in rows),
        messages_out=sum(row.messages_out for row in rows),
        **{name: dict(sorted(counter.items())) for name, counter in counts.items()},
    )


def _add_details(details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add numbers, add counts by name, and unite lists."""
    added: dict[str, Any] = {}
    for one in details:
        for key, value in one.items():
            before = added.get(key)
            if before is None:
                added[key] = value
            elif isinstance(value, int):
                added[key] = before + value
            elif isinstance(value, list):
                added[key] = sorted({*before, *value})
            else:
                total = Counter(before)
                total.update(value)
                added[key] = dict(sorted(total.items()))
    return added


def _table_lines(summary: ExportSummary) -> Iterator[str]:
    owner = printable(summary.owner) if summary.owner else "not found"
    if summary.owner_found_by:
        owner += f" (by {summary.owner_found_by})"
    yield f"platform  {summary.platform}"
    yield f"owner     {owner}"
    yield f"sessions  {summary.sessions:,}"
    if summary.first and summary.last:
        yield f"time      {summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d} (UTC)"
    yield f"messages  {summary.found:,} found, {summary.kept:,} kept"
    for reason, count in summary.skipped.items():
        yield f"          {count:,} left out: {reason}"
    listed = list(summary.senders.items())
    for index, (name, count) in enumerate(listed[:_MAX_LISTED_SENDERS]):
        yield f"{'' if index else 'senders':<10}{count:>8,}  {printable(name)}"
    if len(listed) > _MAX_LISTED_SENDERS:
        yield f"{'':<10}{len(listed) - _MAX_LISTED_SENDERS:>8,}  more senders"
    for step in summary.steps:
        yield (
            f"{step.name}: {step.sessions_in:,} sessions, {step.messages_in:,} messages"
            f" -> {step.sessions_out:,} sessions, {step.messages_out:,} messages"
        )
        for reason, count in step.left_out.items():
            # Of what is merged, nothing is lost.
            what = reason if reason == _MERGED else f"left out: {reason}"
            yield f"          {count:,} {what}"
        for reason, count in step.added.items():
            yield f"          {count:,} added: {reason}"
        for kind, count in step.replaced.items():
            yield f"          {count:,} replaced: {kind}"


@dataclass
class _Tap:
    """Counts the sessions that pass one point of a pipe."""

    sessions: int = 0
    messages: int = 0

    def watch(
        self, sessions: Iterable[ChatSession]
    ) -> Generator[ChatSession, None, None]:
        for session in sessions:
            self.sessions += 1
            self.messages += len(session.get("messages", ()))
            held = [session]
            del session
            yield held.pop()


@dataclass
class _People:
    """Counts senders and times of the sessions that a loader gives."""

    senders: Counter[str] = field(default_factory=Counter)
    first: int | None = None
    last: int | None = None

    def watch(
        self, sessions: Iterable[ChatSession]
    ) -> Generator[ChatSession, None, None]:
        for session in sessions:
            self._count([m.additional_kwargs for m in session.get("messages", ())])
            held = [session]
            del session
            yield held.pop()

    def _count(self, extras: Sequence[Mapping[str, Any]]) -> None:
        self.senders.update([str(extra.get("sender", "unknown")) for extra in extras])
        found = (extra.get("message_time") for extra in extras)
        moments = [moment for moment in found if isinstance(moment, int)]
        if moments:
            first, last = min(moments), max(moments)
            self.first = first if self.first is None else min(first, self.first)
            self.last = last if self.last is None else max(last, self.last)


class CountedStep(Protocol):
    """What a pass asks of a step: `SessionTransform` has it."""

    joins_messages: ClassVar[bool]

    def flattened(self) -> tuple[CountedStep, ...]:
        """Return the single steps that the step consists of."""

    def left_out(self, session: ChatSession) -> Mapping[str, int]:
        """Count the session's messages that are in no output, by reason."""

    def noting_transform(
        self, sessions: Iterable[ChatSession], notes: Counter[str]
    ) -> Iterator[ChatSession]:
        """Transform sessions, and count what is replaced in texts."""


class CountedPass:
    """One pass over sessions, through steps if there are any, counted on the way.

    Iterate it (once), then ask for the `summary`; after an early stop the summary
    covers what was read until then.
    """

    def __init__(
        self,
        sessions: Iterable[ChatSession],
        *,
        platform: str,
        tally: Tally | None,
        steps: Iterable[CountedStep] = (),
    ) -> None:
        """Put taps between the steps.

        Args:
            sessions: The sessions of a loader that writes into `tally`.
            platform: The platform to report, unless the tally has one.
            tally: The counts that the loader writes; `None` for a loader that has
                none: everything it gives then counts as found and kept.
            steps: The steps to pass the sessions through, in order; a pipeline is
                counted step by step.
        """
        self._platform = platform
        self._tally = tally
        self._source, self._people = _Tap(), _People()
        self._rows: list[_Row] = []
        current: Iterator[ChatSession] = self._people.watch(
            self._source.watch(sessions)
        )
        before = self._source
        for step in chain.from_iterable(step.flattened() for step in steps):
            row = _Row(step, before, _Tap())
            taken = _watch_left_out(step, current, row.left_out)
            current = row.after.watch(step.noting_transform(taken, row.replaced))
            self._rows.append(row)
            before = row.after
        self._sessions = current

    def __iter__(self) -> Iterator[ChatSession]:
        """Return the sessions that come out of the last step."""
        return self._sessions

    @property
    def messages_read(self) -> int:
        """The messages found so far, those that are left out included."""
        return self._source.messages if self._tally is None else self._tally.found

    def finish(self) -> ExportSummary:
        """Read what is left, and return the counts."""
        for session in self:
            del session
        return self.summary()

    def summary(self) -> ExportSummary:
        """Return the counts of what was read so far."""
        counts = self._tally or Tally()
        messages = self._source.messages
        senders = sorted(self._people.senders.items(), key=lambda x: (-x[1], x[0]))
        return ExportSummary(
            platform=counts.platform or self._platform,
            owner=counts.owner,
            owner_found_by=counts.owner_found_by,
            sessions=self._source.sessions,
            senders=dict(senders),
            first=_moment(self._people.first),
            last=_moment(self._people.last),
            found=messages if self._tally is None else counts.found,
            kept=messages,
            skipped=dict(sorted(counts.skipped.items())),
            steps=tuple(row.summary() for row in self._rows),
            details=dict(counts.details),
        )


@dataclass
class _Row:
    """A step between two taps."""

    step: CountedStep
    before: _Tap
    after: _Tap
    left_out: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)

    def summary(self) -> StepSummary:
        left_out, added = Counter(self.left_out), Counter[str]()
        rest = self.before.messages - self.after.messages - left_out.total()
        if rest > 0:
            left_out[_MERGED if self.step.joins_messages else "unnamed"] += rest
        elif rest < 0:
            added["repeated"] = -rest
        return StepSummary(
            name=type(self.step).__name__,
            sessions_in=self.before.sessions,
            sessions_out=self.after.sessions,
            messages_in=self.before.messages,
            messages_out=self.after.messages,
            left_out=dict(sorted(left_out.items())),
            added=dict(added),
            replaced=dict(sorted(self.replaced.items())),
        )


def _watch_left_out(
    step: CountedStep, sessions: Iterable[ChatSession], left_out: Counter[str]
) -> Iterator[ChatSession]:
    for session in sessions:
        left_out.update(step.left_out(session))
        held = [session]
        del session
        yield held.pop()


def _moment(seconds: int | None) -> datetime | None:
    # `fromtimestamp` refuses moments before 1970 on Windows; and langchain-community's
    # `message_time` is in nanoseconds.
    if seconds is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        return None

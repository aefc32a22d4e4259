"""One pass over sessions, through steps, counted on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Protocol

from langchain_chatexports.chat_loaders.ledger import (
    MERGED,
    ExportSummary,
    StepSummary,
    Tally,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from langchain_core.chat_sessions import ChatSession

__all__ = ["CountedPass", "CountedStep"]


class CountedStep(Protocol):
    """What a pass needs of a step; `SessionTransform` has it."""

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
        """Initialize the pass; nothing is read yet.

        Args:
            sessions: The sessions of a loader that writes into `tally`.
            platform: The platform to report, unless the tally has one.
            tally: The counts that the loader writes; `None` for a loader that has
                none: all its messages then count as found and kept.
            steps: The steps to pass the sessions through, in order; a pipeline is
                counted step by step.
        """
        self._platform = platform
        self._tally = tally
        self._source = _SourceTap()
        self._rows: list[_Row] = []
        self._sessions: Iterator[ChatSession] = _watched(sessions, self._source.count)
        before: _Tap = self._source
        for step in chain.from_iterable(step.flattened() for step in steps):
            row = _Row(step, before)
            self._sessions = row.passed(self._sessions)
            self._rows.append(row)
            before = row.after

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
        source = self._source
        senders = sorted(source.senders.items(), key=lambda x: (-x[1], x[0]))
        return ExportSummary(
            platform=counts.platform or self._platform,
            owner=counts.owner,
            owner_found_by=counts.owner_found_by,
            sessions=source.sessions,
            senders=dict(senders),
            first=_moment(source.first),
            last=_moment(source.last),
            found=source.messages if self._tally is None else counts.found,
            kept=source.messages,
            skipped=dict(sorted(counts.skipped.items())),
            steps=tuple(row.summary() for row in self._rows),
            details=dict(counts.details),
        )


def _watched(
    sessions: Iterable[ChatSession], count: Callable[[ChatSession], None]
) -> Generator[ChatSession, None, None]:
    for session in sessions:
        count(session)
        held = [session]
        del session
        yield held.pop()  # The consumer is the only one to hold it.


@dataclass
class _Tap:
    """Counts of the sessions that pass one point of a pipe."""

    sessions: int = 0
    messages: int = 0

    def count(self, session: ChatSession) -> None:
        self.sessions += 1
        self.messages += len(session.get("messages", ()))


@dataclass
class _SourceTap(_Tap):
    """Counts of the sessions of a loader, with their senders and times."""

    senders: Counter[str] = field(default_factory=Counter)
    first: int | None = None
    last: int | None = None

    def count(self, session: ChatSession) -> None:
        super().count(session)
        extras = [m.additional_kwargs for m in session.get("messages", ())]
        self.senders.update([str(extra.get("sender", "unknown")) for extra in extras])
        found = (extra.get("message_time") for extra in extras)
        moments = [moment for moment in found if isinstance(moment, int)]
        if moments:
            first, last = min(moments), max(moments)
            self.first = first if self.first is None else min(first, self.first)
            self.last = last if self.last is None else max(last, self.last)


@dataclass
class _Row:
    """A step between two taps."""

    step: CountedStep
    before: _Tap
    after: _Tap = field(default_factory=_Tap)
    left_out: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)

    def passed(self, sessions: Iterator[ChatSession]) -> Iterator[ChatSession]:
        taken = _watched(sessions, self._count_left_out)
        given = self.step.noting_transform(taken, self.replaced)
        return _watched(given, self.after.count)

    def _count_left_out(self, session: ChatSession) -> None:
        self.left_out.update(self.step.left_out(session))

    def summary(self) -> StepSummary:
        left_out, added = Counter(self.left_out), Counter[str]()
        rest = self.before.messages - self.after.messages - left_out.total()
        if rest > 0:
            left_out[MERGED if self.step.joins_messages else "unnamed"] += rest
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


def _moment(seconds: int | None) -> datetime | None:
    # `fromtimestamp` refuses moments before 1970 on Windows; and langchain-community's
    # `message_time` is in nanoseconds.
    if seconds is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        return None

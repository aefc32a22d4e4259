"""One pass over sessions, through steps, counted on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from langchain_chatexports.chat_loaders.ledger import (
    MERGED,
    ExportSummary,
    StepSummary,
    Tally,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from langchain_core.chat_sessions import ChatSession

__all__ = ["CountedPass", "CountedStep"]


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

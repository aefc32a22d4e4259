"""Counts of what was found, kept and left out, from an export to the rows of a set."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports._terminal import plural, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from langchain_chatexports.exceptions import ChatExportError

__all__ = [
    "MERGED",
    "ExportSummary",
    "Ledger",
    "Stage",
    "StepSummary",
    "Tally",
    "Total",
    "add_summaries",
]

MERGED = "merged"
"""The reason of messages that were joined with a neighbor: their text is kept."""

_EXPORT = "Export"
_MESSAGES = "messages"
_MAX_LISTED_SENDERS = 20
_MAX_WARNINGS = 20
_BY_REASON = ("left_out", "added", "replaced")


@dataclass
class Stage:
    """What went into one stage and what came out of it, counted in one unit.

    `taken` + the sum of `added` = `given` + the sum of `left_out`.
    """

    name: str
    unit: str = _MESSAGES
    taken: int = 0
    given: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """What did not come out, by reason."""

    added: Counter[str] = field(default_factory=Counter)
    """What came out and did not go in, by reason."""

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count what is left out under its reason."""
        if count:
            self.left_out[reason] += count

    def add(self, other: Stage) -> None:
        """Add the counts of another stage, whatever its name."""
        self.taken += other.taken
        self.given += other.given
        self.left_out.update(other.left_out)
        self.added.update(other.added)

    @property
    def adds_up(self) -> bool:
        """Whether everything is accounted for."""
        return self.taken + self.added.total() == self.given + self.left_out.total()

    def __str__(self) -> str:
        """Return the stage as a line for a terminal."""
        taken = plural(self.taken, self.unit.removesuffix("s"))
        line = f"{self.name}: {taken} -> {self.given:,}"
        added = [f"{count:,} added: {why}" for why, count in _sorted(self.added)]
        left = [f"{count:,} left out: {why}" for why, count in _sorted(self.left_out)]
        return "; ".join([line, *added, *left])

    def to_dict(self) -> dict[str, Any]:
        """Return the stage in JSON types."""
        return {
            "name": self.name,
            "unit": self.unit,
            "in": self.taken,
            "out": self.given,
            "left_out": dict(_sorted(self.left_out)),
            "added": dict(_sorted(self.added)),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stage:
        """Build it from the result of `to_dict`."""
        return cls(
            values["name"],
            values["unit"],
            values["in"],
            values["out"],
            Counter(values["left_out"]),
            Counter(values["added"]),
        )


class Total(NamedTuple):
    """The messages of all stages together: `found` + `added` = `kept` + `left_out`."""

    found: int
    kept: int
    left_out: Mapping[str, int]
    added: Mapping[str, int]
    is_of_export: bool
    """Whether `found` are an export's; otherwise those of the sessions given."""

    def __str__(self) -> str:
        """Return the sum as a line for a terminal."""
        found = "in the exports" if self.is_of_export else "in the conversations given"
        parts = [f"{self.found:,} {found}"]
        parts += [f"{count:,} {reason}" for reason, count in self.added.items()]
        left = [f"{count:,} {reason}" for reason, count in self.left_out.items()]
        return f"{' + '.join(parts)} = {' + '.join([f'{self.kept:,} kept', *left])}"


@dataclass
class Ledger:
    """The stages that messages, sessions and examples went through, in order.

    Give one ledger to all functions that make or drop examples. Each enters its stages
    when its input has ended, so the stages stand in the order in which data passed.
    """

    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def entering(self, *stages: Stage) -> Iterator[None]:
        """Enter stages at the end of a `with`, also after an error or an early stop."""
        try:
            yield
        finally:
            self.stages += stages

    def stage(self, name: str, unit: str = _MESSAGES) -> Stage:
        """Return the sum of the stages of one name and unit; zero if there is none."""
        total = Stage(name, unit)
        for stage in self.stages:
            if (stage.name, stage.unit) == (name, unit):
                total.add(stage)
        return total

    @property
    def total(self) -> Total | None:
        """What became of the messages.

        `None` if there are none, or the stages do not follow on each other: they were
        counted in different passes, for example.
        """
        stages = [stage for stage in self.stages if stage.unit == _MESSAGES]
        if not stages:
            return None
        exports = [stage for stage in stages if stage.name.startswith(_EXPORT)]
        found = sum(stage.taken for stage in exports or stages[:1])
        total = Stage("Total", taken=found, given=stages[-1].given)
        for stage in stages:
            total.left_out.update(stage.left_out)
            total.added.update(stage.added)
        if not total.adds_up:
            return None
        left_out, added = dict(_sorted(total.left_out)), dict(_sorted(total.added))
        return Total(found, total.given, left_out, added, bool(exports))

    def __str__(self) -> str:
        """Return the stages as lines for a terminal."""
        return "\n".join(map(str, self.stages))

    def to_list(self) -> list[dict[str, Any]]:
        """Return the stages in JSON types."""
        return [stage.to_dict() for stage in self.stages]

    @classmethod
    def from_list(cls, values: Iterable[Mapping[str, Any]]) -> Ledger:
        """Build it from the result of `to_list`."""
        return cls([Stage.from_dict(one) for one in values])


class Tally:
    """Counts of one pass over an export; a loader writes into it while it reads.

    `found` counts every message row or record read. Whatever is not yielded is
    counted under its reason by `skip`, so that found = kept + sum(skipped).
    """

    def __init__(self) -> None:
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self.platform: str | None = None
        self.owner: str | None = None
        self.owner_found_by: str | None = None
        self.details: dict[str, Any] = {}
        self._warnings = 0

    def skip(self, reason: str, count: int = 1) -> None:
        """Count messages that are left out, under their reason."""
        if count:
            self.skipped[reason] += count

    def leave_out_file(self, error: ChatExportError, *, is_quiet: bool = False) -> None:
        """Count a file that cannot be read as one record, and warn of it.

        Args:
            error: Which file, and why.
            is_quiet: Count without a warning.
        """
        self.found += 1
        self.skip("unreadable")
        if is_quiet:
            return
        self._warnings += 1
        if self._warnings <= _MAX_WARNINGS:
            warnings.warn(f"Left out: {error}", stacklevel=3)
        elif self._warnings == _MAX_WARNINGS + 1:
            warnings.warn("Left out: further files that cannot be read.", stacklevel=3)


@dataclass(frozen=True)
class StepSummary:
    """What went into a step and what came out of it.

    Attributes:
        name: The step's class name.
        sessions_in: Sessions that went into the step.
        sessions_out: Sessions that came out of it.
        messages_in: Messages in the sessions that went in.
        messages_out: Messages in the sessions that came out. A message in two windows
            counts twice.
        left_out: Messages that did not come out by themselves, by reason. `merged`
            messages came out in one with a neighbor; `unnamed` are those for which the
            step gives no reason.
        added: Messages that came out more than once: `repeated` in windows.
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
        counts = {name: dict(getattr(self, name)) for name in _BY_REASON}
        return {**vars(self), **counts}

    def stage(self) -> Stage:
        """Return what became of the messages."""
        return Stage(
            self.name,
            taken=self.messages_in,
            given=self.messages_out,
            left_out=Counter(self.left_out),
            added=Counter(self.added),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StepSummary:
        """Build it from the result of `to_dict`."""
        return cls(**values)


@dataclass(frozen=True)
class ExportSummary:
    """What is in an export, without its text: counts, names and times.

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
        """Build it from the result of `to_dict`."""
        times = {
            name: datetime.fromisoformat(values[name]) if values[name] else None
            for name in ("first", "last")
        }
        steps = tuple(StepSummary.from_dict(row) for row in values["steps"])
        return cls(**{**values, **times, "steps": steps})

    def stages(self) -> Iterator[Stage]:
        """Yield what became of the messages in the loader and in each step."""
        yield Stage(
            f"{_EXPORT} ({self.platform})",
            taken=self.found,
            given=self.kept,
            left_out=Counter(self.skipped),
        )
        for step in self.steps:
            yield step.stage()

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
        skipped=dict(_sorted(skipped)),
        steps=tuple(_add_rows(column) for column in zip(*rows, strict=True)),
        details=_add_details([part.details for part in parts]),
    )


def _agreed(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _add_rows(rows: Sequence[StepSummary]) -> StepSummary:
    messages = Stage(rows[0].name)
    replaced: Counter[str] = Counter()
    for row in rows:
        messages.add(row.stage())
        replaced.update(row.replaced)
    return StepSummary(
        name=messages.name,
        sessions_in=sum(row.sessions_in for row in rows),
        sessions_out=sum(row.sessions_out for row in rows),
        messages_in=messages.taken,
        messages_out=messages.given,
        left_out=dict(_sorted(messages.left_out)),
        added=dict(_sorted(messages.added)),
        replaced=dict(_sorted(replaced)),
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
    yield from _clock_lines(summary.details)
    yield f"messages  {summary.found:,} found, {summary.kept:,} kept"
    for reason, count in summary.skipped.items():
        yield f"          {count:,} left out: {reason}"
    listed = list(summary.senders.items())
    for index, (name, count) in enumerate(listed[:_MAX_LISTED_SENDERS]):
        yield f"{'' if index else 'senders':<10}{count:>8,}  {printable(name)}"
    if len(listed) > _MAX_LISTED_SENDERS:
        more = len(listed) - _MAX_LISTED_SENDERS
        yield f"{'':<10}{more:>8,}  more {'sender' if more == 1 else 'senders'}"
    for step in summary.steps:
        before = _size(step.sessions_in, step.messages_in)
        yield f"{step.name}: {before} -> {_size(step.sessions_out, step.messages_out)}"
        for reason, count in step.left_out.items():
            # Of what is merged, nothing is lost.
            what = reason if reason == MERGED else f"left out: {reason}"
            yield f"          {count:,} {what}"
        for reason, count in step.added.items():
            yield f"          {count:,} added: {reason}"
        for kind, count in step.replaced.items():
            yield f"          {count:,} replaced: {kind}"


def _clock_lines(details: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the local times of an export were read."""
    if zones := details.get("time_zone"):
        yield f"zone      {', '.join(zones)}; the export has none"
    if orders := details.get("date_orders"):
        yield f"dates     {', '.join(orders)}"


def _size(sessions: int, messages: int) -> str:
    return f"{plural(sessions, 'session')}, {plural(messages, 'message')}"


def _sorted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items())

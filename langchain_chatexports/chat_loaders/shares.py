"""Read an export in several parts, and put their counts together again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.accounting import StepSummary
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_chatexports.chat_loaders.accounting import ExportSummary

__all__ = ["WHOLE", "Share", "add_summaries", "changed_meanwhile"]


@dataclass(frozen=True)
class Share:
    """The `index`-th of `count` parts of an export's conversations."""

    index: int
    count: int

    @property
    def is_first(self) -> bool:
        """Whether it is the part that counts what belongs to no conversation."""
        return self.index == 0

    def of(self, weights: Sequence[int]) -> range:
        """Give the conversations of this part.

        The parts are neighbors, so that they give one after another what the whole
        gives, and of about the same weight.

        Args:
            weights: The size of each conversation, in any unit.
        """
        if self.count == 1:
            return range(len(weights))
        ends = list(accumulate(weights))
        total = ends[-1] if ends else 0
        # Each conversation is in the part that its middle is in (the very end is in the
        # last one).
        parts = (
            min((2 * end - weight) * self.count // max(2 * total, 1), self.count - 1)
            for end, weight in zip(ends, weights, strict=True)
        )
        mine = [number for number, part in enumerate(parts) if part == self.index]
        return range(mine[0], mine[-1] + 1) if mine else range(0)


WHOLE = Share(0, 1)


def changed_meanwhile() -> ExportFormatError:
    """Build the error for parts that were read of different states of an export."""
    msg = (
        "An export was changed while it was read, so its parts may not fit together. "
        "Run it again, or read a copy."
    )
    return ExportFormatError(msg)


def add_summaries(summaries: Iterable[ExportSummary]) -> ExportSummary:
    """Add up the counts of an export's parts, or of several exports.

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

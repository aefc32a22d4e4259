"""Count messages and examples, with found = kept + skipped at every stage."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from langchain_chatexports._terminal import pad, plural, printable, text_width
from langchain_chatexports._translation import _, ngettext, number, translated

MERGED = "merged"
"""The reason for messages joined with an adjacent one, which keeps their text."""

_EXPORT = "Export"
_MESSAGES = "messages"
_MAX_LISTED_SENDERS = 20
_LABEL_WIDTH = 10


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
        added = [f"{count:,} added: {why}" for why, count in sort_counts(self.added)]
        skipped = [
            f"{count:,} skipped: {why}" for why, count in sort_counts(self.skipped)
        ]
        return "; ".join([f"{self.name}: {found} -> {self.kept:,}", *added, *skipped])

    def to_dict(self) -> dict[str, Any]:
        """Return the counts in JSON types."""
        return {
            name: dict(sort_counts(value)) if isinstance(value, Counter) else value
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
    """A summary of an export, without message text: counts, names and times."""

    platform: str
    """The export's platform, for example `imessage`."""

    owner: str | None
    """The owner of the export, if known."""

    owner_found_by: str | None
    """How the owner was found."""

    sessions: int
    """Number of conversations with at least one message kept."""

    senders: Mapping[str, int]
    """Number of messages kept by sender, in descending order."""

    first: datetime | None
    """Time of the oldest message kept, in UTC."""

    last: datetime | None
    """Time of the newest message kept, in UTC."""

    found: int
    """Number of message records read."""

    kept: int
    """Number of messages in the loaded sessions."""

    skipped: Mapping[str, int]
    """Number of messages not kept, by reason; found = kept + sum(skipped)."""

    steps: tuple[Counts, ...] = ()
    """The counts of each step, if any."""

    details: Mapping[str, Any] = field(default_factory=dict)
    """Format-specific counts in JSON types (files, services, sections, …)."""

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


def _format_summary(summary: ExportSummary) -> Iterator[str]:
    rows: list[tuple[str, str]] = []
    owner = printable(summary.owner) if summary.owner else _("not found")
    if method := summary.owner_found_by:
        owner = _("{owner} (by {method})", owner=owner, method=_(method))
    rows.append((_("platform"), summary.platform))
    rows.append((_("owner"), owner))
    rows.append((_("sessions"), number(summary.sessions)))
    if summary.first and summary.last:
        first, last = (f"{day:%Y-%m-%d}" for day in (summary.first, summary.last))
        rows.append((_("time"), _("{first} to {last} (UTC)", first=first, last=last)))
    if zones := summary.details.get("time_zone"):
        names = ", ".join(str(translated(zone)) for zone in zones)
        rows.append((_("zone"), _("{zones}; the export has none", zones=names)))
    if orders := summary.details.get("date_orders"):
        rows.append((_("dates"), ", ".join(map(_, orders))))
    found, kept = summary.found, summary.kept
    counts = _("{found} found, {kept} kept", found=found, kept=kept)
    rows.append((_("messages"), counts))
    for reason, count in summary.skipped.items():
        # The words are listed in `scripts/update_catalogs.py`.
        skipped = _("{number} skipped: {reason}", number=count, reason=_(reason))
        rows.append(("", skipped))
    senders = list(summary.senders.items())
    for index, (name, count) in enumerate(senders[:_MAX_LISTED_SENDERS]):
        label = "" if index else _("senders")
        rows.append((label, f"{number(count):>8}  {printable(name)}"))
    unlisted = len(senders) - _MAX_LISTED_SENDERS
    if unlisted > 0:
        more = ngettext("more sender", "more senders", unlisted)
        rows.append(("", f"{number(unlisted):>8}  {more}"))
    width = max(_LABEL_WIDTH, *(text_width(label) + 2 for label, _text in rows))
    for label, text in rows:
        yield f"{pad(label, width)}{text}"
    for step in summary.steps:
        yield from _format_step(step)


def _format_step(step: Counts) -> Iterator[str]:
    found = _format_size(step.sessions_found, step.found)
    kept = _format_size(step.sessions_kept, step.kept)
    yield f"{step.name}: {found} -> {kept}"
    for reason, count in sort_counts(step.skipped):
        # The text of merged messages is kept.
        label = reason if reason == MERGED else f"skipped: {reason}"
        yield f"          {count:,} {label}"
    for reason, count in sort_counts(step.added):
        yield f"          {count:,} added: {reason}"


def _format_size(sessions: int, messages: int) -> str:
    return f"{plural(sessions, 'session')}, {plural(messages, 'message')}"


def sort_counts(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the counts by reason."""
    return sorted(counts.items())

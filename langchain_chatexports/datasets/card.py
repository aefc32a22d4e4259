"""The data card of a set: sources, counts and consent, without any message text."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from langchain_chatexports._regular_files import MAX_FOLDER_DEPTH, open_regular_file
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import (
    MERGED,
    Counts,
    ExportSummary,
    Reading,
    total_of,
)
from langchain_chatexports.datasets.card_reasons import REASONS, stage_in_words
from langchain_chatexports.exceptions import ExportNotFoundError

_BLOCK = 1 << 20
# Media are named and measured, not read: they can be a hundred gigabytes.
_HASHED_SUFFIXES = frozenset(
    {".csv", ".db", ".html", ".htm", ".json", ".jsonl", ".parquet", ".txt", ".zip"}
)
_NO_CONSENT_NOTE = (
    "No note was given. What other people wrote is theirs, too: ask before you train "
    "on it, and do not publish the set or a model made from it without their leave."
)
_NOT_REDACTED = (
    "None. Texts stand as they were written: names, numbers and addresses of people "
    "may be in them."
)


@dataclass(frozen=True)
class SourceFile:
    """An export that a set was made from, without its path, which may hold a name."""

    platform: str
    sha256: str
    size: int

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return {"platform": self.platform, "sha256": self.sha256, "bytes": self.size}


@dataclass
class CardNotes:
    """What the user knows of a set: where it comes from, and who agreed.

    The counts are read after the set is written, so the pass and the counts of the
    very examples that are being written can be given.
    """

    sources: Iterable[SourceFile] = ()
    """The exports, from `hash_source`."""

    passes: Iterable[Reading | ExportSummary] = ()
    """The counted passes over the exports, or their finished summaries."""

    counts: list[Counts] = field(default_factory=list)
    """The list that was given to `trace_examples`, `deduplicate_examples` and so on:
    what became of the sessions and examples, behind the export's steps."""

    consent: str | None = None
    """Who agreed to what."""

    earlier: Iterable[Mapping[str, Any]] = ()
    """The facts of the cards of the sets that this one is made from."""

    def to_dict(self) -> dict[str, Any]:
        """Return the card's facts in JSON types, as far as they are counted."""
        summaries = [_summary(counted) for counted in self.passes]
        counted = [stage for found in summaries for stage in found.stages()]
        steps = [step for summary in summaries for step in summary.steps]
        names = list(dict.fromkeys(step.name for step in steps))
        replaced = sum((Counter(step.replaced) for step in steps), Counter[str]())
        facts = {
            "sources": [source.to_dict() for source in self.sources],
            "people": len({name for found in summaries for name in found.senders}),
            "first": min((_iso(s.first) for s in summaries if s.first), default=None),
            "last": max((_iso(s.last) for s in summaries if s.last), default=None),
            "steps": names,
            "redacted": "Redact" in names,
            "replaced": dict(sorted(replaced.items())),
            "consent": self.consent,
            "stages": [stage.to_dict() for stage in (*counted, *self.counts)],
        }
        earlier = list(self.earlier)
        return _joined([*earlier, facts]) if earlier else facts


def hash_source(path: str | Path, *, platform: str = "unknown") -> SourceFile:
    """Hash an export, to identify it in a card without naming it.

    A file is hashed as it is (of an SQLite database, its write-ahead log too); of a
    folder, the names and sizes of all files and the content of those that hold text.

    Args:
        path: The export.
        platform: What to call it in the card.

    Returns:
        Its hash and its size in bytes.

    Raises:
        ExportNotFoundError: If there is nothing at the path.
    """
    path = Path(path).expanduser()
    if not path.exists():
        msg = f"There is nothing at {path} to hash. Check the path."
        raise ExportNotFoundError(msg)
    total = hashlib.sha256()
    size = 0
    files = sorted(_files_below(path)) if path.is_dir() else ()
    for file in files:
        length = file.stat().st_size
        name = file.relative_to(path).as_posix()
        is_text = file.suffix.lower() in _HASHED_SUFFIXES
        digest = _hash_files([file]) if is_text else ""
        total.update(f"{name}\0{length}\0{digest}\n".encode("utf-8", "surrogatepass"))
        size += length
    if path.is_dir():
        return SourceFile(platform, total.hexdigest(), size)
    log = path.with_name(f"{path.name}-wal")
    parts = [path, log] if log.is_file() and log.stat().st_size else [path]
    size = sum(part.stat().st_size for part in parts)
    return SourceFile(platform, _hash_files(parts), size)


def card_markdown(facts: Mapping[str, Any]) -> str:
    """Render the facts of a card as Markdown."""
    return "\n".join(_card_lines(facts)) + "\n"


def _card_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "# Data card"
    yield ""
    yield f"Format: `{facts['format']}`. Written by langchain-chatexports."
    yield ""
    yield "| file | rows | bytes | SHA-256 |"
    yield "|---|---:|---:|---|"
    for name, file in facts["files"].items():
        size, digest = file["bytes"], file["sha256"]
        yield f"| `{name}` | {file['rows']:,} | {size:,} | `{digest}` |"
    yield from _origin_lines(facts)
    yield from _accounting_lines([*map(Counts.from_dict, facts["stages"])])
    yield from _section("Redaction", _redaction(facts))
    yield from _section("Consent", facts.get("consent") or _NO_CONSENT_NOTE)
    forgotten = facts.get("forgotten", 0)
    if forgotten:
        rows = "row was" if forgotten == 1 else "rows were"
        text = f"{forgotten:,} {rows} taken out on request after the set was written."
        yield from _section("Forgotten", text)


def _origin_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from _section("Sources")
    sources = facts.get("sources", ())
    if not sources:
        yield "Not named."
    for source in sources:
        yield (
            f"- {source['platform']}: {source['bytes']:,} bytes, SHA-256 "
            f"`{source['sha256']}`"
        )
    if facts.get("first") and facts.get("last"):
        yield ""
        when = f"{facts['first']:.10} to {facts['last']:.10} (UTC)"
        people = plural(facts["people"], "person", "people")
        yield f"Messages of {people}, {when}."


def _accounting_lines(counts: list[Counts]) -> Iterator[str]:
    yield from _section("Accounting")
    total = total_of(counts)
    if total is None:
        yield "The rows below were not counted in one pass: they have no total."
    else:
        yield from _total_lines(total)
    yield ""
    yield "Counts by stage. In each row: in + added = out + skipped."
    yield ""
    yield from _stage_lines(counts)
    met = {r for stage in counts for r in (*stage.skipped, *stage.added)}
    if met & REASONS.keys():
        yield ""
        yield "What the words mean:"
        yield ""
        for reason in sorted(met & REASONS.keys()):
            yield f"- `{reason}`: {REASONS[reason]}"


def _total_lines(total: Counts) -> Iterator[str]:
    found = "in the exports" if total.is_of_export else "in the conversations given"
    yield "| messages | |"
    yield "|---|---:|"
    yield f"| {found} | {total.found:,} |"
    for reason, count in total.added.items():
        yield f"| added: `{reason}` | + {count:,} |"
    for reason, count in total.skipped.items():
        verb = MERGED if reason == MERGED else f"skipped: `{reason}`"
        yield f"| {verb} | - {count:,} |"
    yield f"| **in the examples** | **{total.kept:,}** |"


def _stage_lines(stages: Iterable[Counts]) -> Iterator[str]:
    yield "| stage | of | in | added | out | skipped |"
    yield "|---|---|---:|---|---:|---|"
    for stage in stages:
        yield (
            f"| {stage_in_words(stage.name)} | {stage.unit} | {stage.found:,} "
            f"| {_reasons(stage.added)} | {stage.kept:,} "
            f"| {_reasons(stage.skipped)} |"
        )


def _section(title: str, *lines: str) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield from lines


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "0"


def _redaction(facts: Mapping[str, Any]) -> str:
    if not facts.get("redacted"):
        return _NOT_REDACTED
    replaced = facts.get("replaced") or {}
    counts = f" Places in texts: {_reasons(replaced)}." if replaced else ""
    return (
        "Names, numbers, addresses and secrets that the rules find were replaced."
        f"{counts} Rules miss some: read a sample before the set leaves your hands."
    )


def _joined(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join the facts of sets with those of the set that is made from them."""
    notes = dict.fromkeys(card["consent"] for card in cards if card.get("consent"))
    replaced = sum((Counter(card.get("replaced", {})) for card in cards), Counter())
    return {
        "sources": [source for card in cards for source in card.get("sources", ())],
        "people": max(card.get("people", 0) for card in cards),
        "first": min((c["first"] for c in cards if c.get("first")), default=None),
        "last": max((c["last"] for c in cards if c.get("last")), default=None),
        "steps": list(
            dict.fromkeys(s for card in cards for s in card.get("steps", ()))
        ),
        "redacted": any(card.get("redacted") for card in cards),
        "replaced": dict(sorted(replaced.items())),
        "consent": " ".join(notes) or None,
        "stages": [stage for card in cards for stage in card.get("stages", ())],
    }


def _summary(counted: Reading | ExportSummary) -> ExportSummary:
    summary = getattr(counted, "summary", None)
    return summary() if callable(summary) else counted  # type: ignore[return-value] # a pass has the method, a summary is one


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        if len(Path(folder).relative_to(root).parts) >= MAX_FOLDER_DEPTH:
            folders.clear()
        yield from filter(Path.is_file, (Path(folder, name) for name in names))


def _hash_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with open_regular_file(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()

"""The data card of a set: sources, counts and consent, without any message text."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

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


class SourceFile(msgspec.Struct, frozen=True):
    """An export that a set was made from, without its path, which may hold a name."""

    platform: str
    sha256: str
    size: int


class FileFacts(msgspec.Struct, frozen=True):
    """A file of a set."""

    rows: int
    size: int
    sha256: str


class CardFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a card says; it is kept in the header of the trace."""

    sources: list[SourceFile] = []
    people: int = 0
    first: str | None = None
    last: str | None = None
    redacted: bool = False
    replaced: dict[str, int] = {}
    consent: str | None = None
    stages: list[Counts] = []
    files: dict[str, FileFacts] = {}
    forgotten: int = 0


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

    earlier: Iterable[CardFacts] = ()
    """The facts of the sets that this one is made from."""

    def facts(self) -> CardFacts:
        """Return the card's facts, as far as they are counted."""
        earlier = list(self.earlier)
        found = [
            one.summary() if isinstance(one, Reading) else one for one in self.passes
        ]
        stages = [stage for summary in found for stage in summary.stages()]
        replaced: Counter[str] = Counter()
        for counts in (*(e.replaced for e in earlier), *(s.replaced for s in stages)):
            replaced.update(counts)
        firsts = [one.first.isoformat() for one in found if one.first]
        lasts = [one.last.isoformat() for one in found if one.last]
        consents = dict.fromkeys([*(one.consent for one in earlier), self.consent])
        people = {name for summary in found for name in summary.senders}
        return CardFacts(
            sources=[*(s for one in earlier for s in one.sources), *self.sources],
            people=max([len(people), *(one.people for one in earlier)]),
            first=min([*firsts, *(e.first for e in earlier if e.first)], default=None),
            last=max([*lasts, *(e.last for e in earlier if e.last)], default=None),
            redacted=any(one.redacted for one in earlier)
            or any(stage.name == "Redact" for stage in stages),
            replaced=dict(sorted(replaced.items())),
            consent=" ".join(filter(None, consents)) or None,
            stages=[*(s for one in earlier for s in one.stages), *stages, *self.counts],
        )


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
    if not path.is_dir():
        log = path.with_name(f"{path.name}-wal")
        parts = [path, log] if log.is_file() and log.stat().st_size else [path]
        size = sum(part.stat().st_size for part in parts)
        return SourceFile(platform, hash_files(parts), size)
    total = hashlib.sha256()
    size = 0
    for file in sorted(_files_below(path)):
        length = file.stat().st_size
        name = file.relative_to(path).as_posix()
        is_text = file.suffix.lower() in _HASHED_SUFFIXES
        digest = hash_files([file]) if is_text else ""
        total.update(f"{name}\0{length}\0{digest}\n".encode("utf-8", "surrogatepass"))
        size += length
    return SourceFile(platform, total.hexdigest(), size)


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of files, one behind the other."""
    digest = hashlib.sha256()
    for path in paths:
        with open_regular_file(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        if len(Path(folder).relative_to(root).parts) >= MAX_FOLDER_DEPTH:
            folders.clear()
        yield from filter(Path.is_file, (Path(folder, name) for name in names))


def card_markdown(facts: CardFacts, format_name: str) -> str:
    """Render the facts of a card as Markdown."""
    return "\n".join(_card_lines(facts, format_name)) + "\n"


def _card_lines(facts: CardFacts, format_name: str) -> Iterator[str]:
    yield "# Data card"
    yield ""
    yield f"Format: `{format_name}`. Written by langchain-chatexports."
    yield ""
    yield "| file | rows | bytes | SHA-256 |"
    yield "|---|---:|---:|---|"
    for name, file in facts.files.items():
        yield f"| `{name}` | {file.rows:,} | {file.size:,} | `{file.sha256}` |"
    yield from _section("Sources")
    if not facts.sources:
        yield "Not named."
    for source in facts.sources:
        yield f"- {source.platform}: {source.size:,} bytes, SHA-256 `{source.sha256}`"
    if facts.first and facts.last:
        yield ""
        people = plural(facts.people, "person", "people")
        yield f"Messages of {people}, {facts.first:.10} to {facts.last:.10} (UTC)."
    yield from _accounting_lines(facts.stages)
    yield from _section("Redaction", _redaction(facts))
    yield from _section("Consent", facts.consent or _NO_CONSENT_NOTE)
    if facts.forgotten:
        rows = plural(facts.forgotten, "row was", "rows were")
        text = f"{rows} taken out on request after the set was written."
        yield from _section("Forgotten", text)


def _accounting_lines(stages: list[Counts]) -> Iterator[str]:
    yield from _section("Accounting")
    total = total_of(stages)
    if total is None:
        yield "The rows below were not counted in one pass: they have no total."
    else:
        yield from _total_lines(total)
    yield ""
    yield "Counts by stage. In each row: in + added = out + skipped."
    yield ""
    yield "| stage | of | in | added | out | skipped |"
    yield "|---|---|---:|---|---:|---|"
    for stage in stages:
        yield (
            f"| {stage_in_words(stage.name)} | {stage.unit} | {stage.found:,} "
            f"| {_reasons(stage.added)} | {stage.kept:,} "
            f"| {_reasons(stage.skipped)} |"
        )
    met = {r for stage in stages for r in (*stage.skipped, *stage.added)}
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


def _section(title: str, *lines: str) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield from lines


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "0"


def _redaction(facts: CardFacts) -> str:
    if not facts.redacted:
        return _NOT_REDACTED
    counts = f" Places in texts: {_reasons(facts.replaced)}." if facts.replaced else ""
    return (
        "Names, numbers, addresses and secrets that the rules find were replaced."
        f"{counts} Rules miss some: read a sample before the set leaves your hands."
    )

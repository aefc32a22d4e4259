"""The data card of a set: its sources and counts, without message text."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import (
    MERGED,
    Counts,
    ExportSummary,
    sum_counts,
)
from langchain_chatexports.chat_loaders.folder_files import walk_files
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.exceptions import ExportNotFoundError

REASONS = {
    "auto_reply": "sent automatically",
    "bot": "by bots and apps",
    "bulk": "newsletters and automatic mail",
    "channel": "in one-way channels",
    "deleted": "deleted",
    "draft": "never sent",
    "duplicate": "found twice",
    "empty": "without text",
    "encrypted": "encrypted",
    "excluded": "excluded by options",
    "failed": "never delivered",
    "forgotten": "removed on request",
    "forwarded": "only forwarded",
    "group": "excluded by the group filter",
    "invitation": "only an invitation",
    "lone": "the only message in a dialogue",
    "media": "media without text",
    "merged": "joined with the previous message",
    "older_text": "repeated from older examples",
    "no_assistant": "without a message from the AI",
    "no_prompt": "without a user message before",
    "not_downloaded": "never downloaded",
    "not_trained": "excluded from training (weight 0)",
    "older": "older than the newest examples kept",
    "orphan": "not in any conversation",
    "participants": "not with the selected people",
    "reaction": "sent as a reaction",
    "repeated": "in two windows",
    "section": "in a section that is not read",
    "spam": "spam",
    "system": "written by the app",
    "system_prompt": "system prompts",
    "tail": "left over at the end",
    "trailing": "after the last answer",
    "undated": "without a date",
    "unnamed": "skipped by other steps",
    "unreadable": "unreadable",
    "unsent": "unsent",
}
"""Descriptions of the reasons to skip or add messages, shown after a count."""

_BLOCK_BYTES = 1 << 20
_CONSENT = (
    "Other people's messages belong to them: get their consent before you train on the "
    "set, and before you publish it or a model trained on it."
)
_REDACTED = (
    "Detected names, numbers, addresses and secrets were replaced. Detection is not "
    "perfect: read a sample before you share the set."
)
_NOT_REDACTED = (
    "None. The text is unchanged and may contain people's names, numbers and addresses."
)
EXAMPLES = "examples"
"""The platform name of sources that are example files."""

_UNKNOWN_REDACTION = "None here: see the data cards of the source examples."


def describe_reason(name: str) -> str:
    """Return the description of a reason to skip or add messages."""
    return REASONS.get(name, name.replace("_", " "))


class SourceFile(msgspec.Struct, frozen=True):
    """A source of a set, without its path, which may be private."""

    platform: str
    sha256: str
    size: int


class FileMetadata(msgspec.Struct, frozen=True):
    """Size and hash of a file in a set."""

    rows: int
    size: int
    sha256: str


class CardMetadata(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Data card metadata, stored in the trace header."""

    sources: list[SourceFile] = []
    people: int = 0
    first_time: str | None = msgspec.field(name="first", default=None)
    last_time: str | None = msgspec.field(name="last", default=None)
    redacted: bool = False
    stages: list[Counts] = []
    files: dict[str, FileMetadata] = {}
    forgotten: int = 0


@dataclass
class CardNotes:
    """Sources and counts for the data card of a set.

    Counts are read after the set is written, so they may change until then.
    """

    sources: Iterable[SourceFile] = ()
    """The exports, from `hash_source`."""

    passes: Iterable[Reading | ExportSummary] = ()
    """The counted passes over the exports, or their summaries."""

    counts: list[Counts] = field(default_factory=list)
    """The list passed as `counts` to `trace_examples`."""

    def metadata(self) -> CardMetadata:
        """Return the card's metadata."""
        summaries = [p.summary() if isinstance(p, Reading) else p for p in self.passes]
        stages = [stage for summary in summaries for stage in summary.stages()]
        start_times = [s.first.isoformat() for s in summaries if s.first]
        end_times = [s.last.isoformat() for s in summaries if s.last]
        return CardMetadata(
            sources=[*self.sources],
            people=len({name for summary in summaries for name in summary.senders}),
            first_time=min(start_times, default=None),
            last_time=max(end_times, default=None),
            redacted=any(stage.name == "Redact" for stage in stages),
            stages=[*stages, *self.counts],
        )


def hash_source(path: str | Path, *, platform: str = "unknown") -> SourceFile:
    """Hash an export, to identify it in a card without its name.

    A file hash covers the content, including the write-ahead log of an SQLite database.
    A folder hash covers only file names and sizes, since exports can exceed a hundred
    gigabytes.

    Args:
        path: The export.
        platform: The platform name shown in the card.

    Raises:
        ExportNotFoundError: If the path does not exist.
    """
    path = Path(path).expanduser()
    if not path.exists():
        msg = f"{path} does not exist. Check the path."
        raise ExportNotFoundError(msg)
    if not path.is_dir():
        log = path.with_name(f"{path.name}-wal")
        files = [path, log] if log.is_file() and log.stat().st_size else [path]
        size = sum(file.stat().st_size for file in files)
        return SourceFile(platform, hash_files(files), size)
    total = hashlib.sha256()
    size = 0
    # Names may belong to pipes and broken links.
    for file in sorted(filter(Path.is_file, walk_files(path, lambda _: None))):
        length = file.stat().st_size
        name = file.relative_to(path).as_posix()
        total.update(f"{name}\0{length}\n".encode("utf-8", "surrogatepass"))
        size += length
    return SourceFile(platform, total.hexdigest(), size)


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 hash of the concatenated files."""
    digest = hashlib.sha256()
    for path in paths:
        with open_regular_file(path) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def card_markdown(metadata: CardMetadata, format_name: str) -> str:
    """Render a data card as Markdown."""
    lines = [
        "# Data card",
        "",
        f"Format: `{format_name}`. Written by langchain-chatexports.",
        "",
        "| file | rows | bytes | SHA-256 |",
        "|---|---:|---:|---|",
    ]
    for name, file in metadata.files.items():
        lines.append(f"| `{name}` | {file.rows:,} | {file.size:,} | `{file.sha256}` |")
    has_examples = any(source.platform == EXAMPLES for source in metadata.sources)
    unredacted = _UNKNOWN_REDACTION if has_examples else _NOT_REDACTED
    sections = {
        "Sources": _source_lines(metadata),
        "Message counts": _count_lines(metadata.stages),
        "Redaction": [_REDACTED if metadata.redacted else unredacted],
        "Consent": [_CONSENT],
    }
    if metadata.forgotten:
        rows = plural(metadata.forgotten, "row was", "rows were")
        sections["Removed on request"] = [f"{rows} removed after the set was written."]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section]
    return "\n".join(lines) + "\n"


def _source_lines(metadata: CardMetadata) -> Iterator[str]:
    if not metadata.sources:
        yield "Unknown."
    for source in metadata.sources:
        yield f"- {source.platform}: {source.size:,} bytes, SHA-256 `{source.sha256}`"
    first, last = metadata.first_time, metadata.last_time
    if first and last:
        people = plural(metadata.people, "person", "people")
        yield ""
        yield f"Messages from {people}, {first:.10} to {last:.10} (UTC)."


def _count_lines(stages: list[Counts]) -> Iterator[str]:
    total = sum_counts(stages)
    if total is None:
        yield "There is no total, since the stages were counted in different passes."
        yield ""
        yield from (f"- {stage}" for stage in stages)
        return
    label = "in the exports" if total.is_export_stage else "in the sessions"
    yield "| messages | |"
    yield "|---|---:|"
    yield f"| {label} | {total.found:,} |"
    for reason, count in total.added.items():
        yield f"| added: {describe_reason(reason)} | + {count:,} |"
    for reason, count in total.skipped.items():
        prefix = "" if reason == MERGED else "skipped: "
        yield f"| {prefix}{describe_reason(reason)} | - {count:,} |"
    yield f"| **in the examples** | **{total.kept:,}** |"

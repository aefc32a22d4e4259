"""The data card of a set: sources and counts, without message text."""

import hashlib
import os
from collections.abc import Iterable, Iterator
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
from langchain_chatexports.exceptions import ExportNotFoundError

REASONS = {
    "auto_reply": "sent automatically",
    "bot": "by bots and apps",
    "channel": "in one-way channels",
    "deleted": "deleted",
    "draft": "never sent",
    "duplicate": "found twice",
    "empty": "without text",
    "excluded": "excluded by options",
    "forgotten": "removed on request",
    "group": "in groups, or not in groups, as selected",
    "lone": "alone in a conversation",
    "media": "media without text",
    "merged": "joined with the message before",
    "older_text": "repeated from older examples",
    "no_assistant": "without a message by the AI",
    "no_prompt": "before the first message",
    "not_trained": "nothing to learn from",
    "older": "older than the newest examples asked for",
    "orphan": "in no conversation",
    "participants": "not with the selected people",
    "reaction": "sent as a reaction",
    "repeated": "in two windows",
    "section": "in a section that is not read",
    "spam": "spam",
    "system": "written by the app",
    "system_prompt": "system prompts",
    "tail": "left over at the end",
    "trailing": "after the last answer",
    "unnamed": "skipped by other steps",
    "unreadable": "unreadable",
    "unsent": "unsent",
}
"""The reasons to skip or add messages, as they are shown after a count."""

_BLOCK = 1 << 20
_CONSENT = (
    "The messages of other people are theirs: ask them before you train on the set, "
    "and do not publish it, or a model trained on it, without consent."
)
_REDACTED = (
    "Names, numbers, addresses and secrets that the rules find were replaced. Rules "
    "miss some: read a sample before you share the set."
)
_NOT_REDACTED = (
    "None. Texts are unchanged: they may contain names, numbers and addresses of "
    "people."
)
EXAMPLES = "examples"
"""The platform of a source that is a file of examples."""

_UNKNOWN = "None here: see the data cards of the examples that were given."


def short_reason(name: str) -> str:
    """Return the reason to skip messages, in words."""
    return REASONS.get(name, name.replace("_", " "))


class SourceFile(msgspec.Struct, frozen=True):
    """An export that a set was made from, without its path, which may be private."""

    platform: str
    sha256: str
    size: int


class FileFacts(msgspec.Struct, frozen=True):
    """A file of a set."""

    rows: int
    size: int
    sha256: str


class CardFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The facts of a card, stored in the header of the trace."""

    sources: list[SourceFile] = []
    people: int = 0
    first: str | None = None
    last: str | None = None
    redacted: bool = False
    stages: list[Counts] = []
    files: dict[str, FileFacts] = {}
    forgotten: int = 0


@dataclass
class CardNotes:
    """Information about a set for its data card: sources and counts.

    Counts are read after the set is written, so you can pass those of the examples that
    are being written.
    """

    sources: Iterable[SourceFile] = ()
    """The exports, from `hash_source`."""

    passes: Iterable[Reading | ExportSummary] = ()
    """The counted passes over the exports, or their summaries."""

    counts: list[Counts] = field(default_factory=list)
    """The list that was passed as `counts` to `trace_examples`."""

    def facts(self) -> CardFacts:
        """Return the card's facts."""
        found = [
            one.summary() if isinstance(one, Reading) else one for one in self.passes
        ]
        stages = [stage for summary in found for stage in summary.stages()]
        firsts = [one.first.isoformat() for one in found if one.first]
        lasts = [one.last.isoformat() for one in found if one.last]
        return CardFacts(
            sources=[*self.sources],
            people=len({name for summary in found for name in summary.senders}),
            first=min(firsts, default=None),
            last=max(lasts, default=None),
            redacted=any(stage.name == "Redact" for stage in stages),
            stages=[*stages, *self.counts],
        )


def hash_source(path: str | Path, *, platform: str = "unknown") -> SourceFile:
    """Hash an export, to identify it in a card without its name.

    The hash covers the content of a file (with the write-ahead log of an SQLite
    database), or the names and sizes of all files in a folder, which can be a hundred
    gigabytes.

    Args:
        path: The export.
        platform: The name of its platform in the card.

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
        total.update(f"{name}\0{length}\n".encode("utf-8", "surrogatepass"))
        size += length
    return SourceFile(platform, total.hexdigest(), size)


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the concatenated files."""
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
    lines = [
        "# Data card",
        "",
        f"Format: `{format_name}`. Written by langchain-chatexports.",
        "",
        "| file | rows | bytes | SHA-256 |",
        "|---|---:|---:|---|",
    ]
    for name, file in facts.files.items():
        lines.append(f"| `{name}` | {file.rows:,} | {file.size:,} | `{file.sha256}` |")
    is_of_examples = any(one.platform == EXAMPLES for one in facts.sources)
    unredacted = _UNKNOWN if is_of_examples else _NOT_REDACTED
    sections = {
        "Sources": _source_lines(facts),
        "Accounting": _accounting_lines(facts.stages),
        "Redaction": [_REDACTED if facts.redacted else unredacted],
        "Consent": [_CONSENT],
    }
    if facts.forgotten:
        rows = plural(facts.forgotten, "row was", "rows were")
        sections["Forgotten"] = [
            f"{rows} removed on request after the set was written."
        ]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section]
    return "\n".join(lines) + "\n"


def _source_lines(facts: CardFacts) -> Iterator[str]:
    if not facts.sources:
        yield "Not given."
    for source in facts.sources:
        yield f"- {source.platform}: {source.size:,} bytes, SHA-256 `{source.sha256}`"
    if facts.first and facts.last:
        people = plural(facts.people, "person", "people")
        yield ""
        yield f"Messages of {people}, {facts.first:.10} to {facts.last:.10} (UTC)."


def _accounting_lines(stages: list[Counts]) -> Iterator[str]:
    total = total_of(stages)
    if total is None:
        yield "There is no total, since the stages were counted in different passes."
        yield ""
        yield from (f"- {stage}" for stage in stages)
        return
    found = "in the exports" if total.is_of_export else "in the conversations given"
    yield "| messages | |"
    yield "|---|---:|"
    yield f"| {found} | {total.found:,} |"
    for reason, count in total.added.items():
        yield f"| added: {short_reason(reason)} | + {count:,} |"
    for reason, count in total.skipped.items():
        verb = "" if reason == MERGED else "skipped: "
        yield f"| {verb}{short_reason(reason)} | - {count:,} |"
    yield f"| **in the examples** | **{total.kept:,}** |"

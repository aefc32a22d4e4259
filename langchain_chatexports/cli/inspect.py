"""`chatexports inspect`: a summary of an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.chat_loaders.suggestions import matching_name
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    print_line,
    show,
    show_progress,
    show_table,
)
from langchain_chatexports.cli._options import (
    AsJson,
    Paths,
    SourceOptions,
    command,
    default_export,
    read_exports,
    unused_path,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice


@command
def inspect(
    paths: Paths = None, *, chats: SourceOptions, as_json: AsJson = False
) -> None:
    """Summarize an export: owner, senders, skipped messages.

    It reads the whole export (about 100,000 messages per second), writes nothing, and
    prints the command that makes examples of it.

    For example:
        chatexports inspect chat.db --people friends.vcf
        chatexports inspect facebook-1.zip facebook-2.zip
    """
    paths = default_export(paths)
    exports, summaries = read_exports(paths, chats, _read)
    if as_json:
        pairs = zip(exports, summaries, strict=True)
        print_json(
            [
                {"path": str(export.path), "format": export.format, **summary.to_dict()}
                for export, summary in pairs
            ]
        )
        return
    for export, summary in zip(exports, summaries, strict=True):
        show(export)
        show_table(summary)
        show()
    output = unused_path("examples.jsonl", paths)
    _print_next([*paths, *chats.words()], output, exports, summaries)


def _read(
    exports: list[Export], chosen: ChatChoice, _: object
) -> tuple[list[Export], list[ExportSummary]]:
    summaries = [_summary(export) for export in exports]
    chosen.check_names(exports)
    return exports, summaries


def _summary(export: Export) -> ExportSummary:
    counted = export.loader.read()
    total = export.loader.estimate_message_count()
    with show_progress("messages", lambda: counted.messages_read, total):
        return counted.finish()


def _print_next(
    arguments: Sequence[object],
    output: Path,
    exports: Sequence[Export],
    summaries: Sequence[ExportSummary],
) -> None:
    with_messages = {e: s for e, s in zip(exports, summaries, strict=True) if s.kept}
    if not with_messages:
        print_line("There are no messages to learn from.")
        return
    person = _proposed_speaker(with_messages.values())
    words: list[str] = []
    if all(summary.owner == person for summary in with_messages.values()):
        print_line(
            f"The model learns the voice of {person}; to learn another one, use --ai."
        )
    else:
        names = {e: _name_in(summary, person) for e, summary in with_messages.items()}
        words = [w for n in dict.fromkeys(names.values()) if n for w in ("--ai", n)]
        print_line("Whose voice should the model learn? Name one person with --ai.")
        missing = [export.path.name for export, name in names.items() if not name]
        if missing:
            where = ", ".join(missing)
            print_line(f"Nobody in {where} is named {person}: add their name there.")
    print_line(f"Next: {command_line('prepare', *arguments, *words, '-o', output)}")


def _proposed_speaker(summaries: Iterable[ExportSummary]) -> str:
    """Return the owner, or without owners the sender, with the most messages."""
    owners: Counter[str] = Counter()
    senders: Counter[str] = Counter()
    for summary in summaries:
        senders.update(summary.senders)
        owner = summary.owner or ""
        owners += Counter({owner: summary.senders.get(owner, 0)})
    return (owners or senders).most_common(1)[0][0]


def _name_in(summary: ExportSummary, person: str) -> str | None:
    """Return a person's name in an export, which may have only a part of it."""
    if name := matching_name(person, summary.senders):
        return name
    shorter = [name for name in summary.senders if matching_name(name, [person])]
    return shorter[0] if len(shorter) == 1 else None

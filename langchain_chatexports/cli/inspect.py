"""`chatexports inspect`: what is in an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.chat_loaders.suggestions import matching_name
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    say,
    show,
    show_table,
    watching,
)
from langchain_chatexports.cli._options import (
    AsJson,
    Paths,
    SourceOptions,
    command,
    free_place,
    own_messages_or,
    read_exports,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice


@command
def inspect(
    paths: Paths = None,
    *,
    chats: SourceOptions,
    as_json: AsJson = False,
) -> None:
    """Show what is in an export: whose it is, who writes, what is skipped and why.

    It reads all of the export, about 100,000 messages a second, writes nothing, and
    ends with the command that makes examples of it.

    For example:
        chatexports inspect chat.db --people friends.vcf
        chatexports inspect facebook-1.zip facebook-2.zip
    """
    paths = own_messages_or(paths)
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
    output = free_place("examples.jsonl", paths)
    _say_next([*paths, *chats.words()], output, exports, summaries)


def _read(
    exports: list[Export], chosen: ChatChoice
) -> tuple[list[Export], list[ExportSummary]]:
    summaries = [_summary(export) for export in exports]
    chosen.check_names(exports)
    return exports, summaries


def _summary(export: Export) -> ExportSummary:
    counted = export.loader.read()
    total = export.loader.estimate_message_count()
    with watching("messages", lambda: counted.messages_read, total):
        return counted.finish()


def _say_next(
    arguments: Sequence[object],
    output: Path,
    exports: Sequence[Export],
    summaries: Sequence[ExportSummary],
) -> None:
    if not any(summary.kept for summary in summaries):
        say("There are no messages to learn from.")
        return
    person = _proposed_speaker(summaries)
    words: list[str] = []
    if all(summary.owner == person for summary in summaries):
        say(f"The model learns the voice of {person}; for somebody else, use --ai.")
    else:
        names = [_name_in(summary, person) for summary in summaries]
        words = [w for name in dict.fromkeys(names) if name for w in ("--ai", name)]
        say("Whose voice should the model learn? Name one person with --ai.")
        missing = [e for e, name in zip(exports, names, strict=True) if name is None]
        if missing:
            where = ", ".join(export.path.name for export in missing)
            say(f"Nobody is called {person} in {where}: add their name there.")
    say(f"Next: {command_line('prepare', *arguments, *words, '-o', output)}")


def _proposed_speaker(summaries: Sequence[ExportSummary]) -> str:
    """Return the owner who wrote most, or who wrote most where no owner is known."""
    owners: Counter[str] = Counter()
    senders: Counter[str] = Counter()
    for summary in summaries:
        senders.update(summary.senders)
        if summary.owner in summary.senders:
            owners[str(summary.owner)] += summary.senders[summary.owner]
    return (owners or senders).most_common(1)[0][0]


def _name_in(summary: ExportSummary, person: str) -> str | None:
    """Return what a person is called in an export: the name, or a part of it."""
    if name := matching_name(person, summary.senders):
        return name
    shorter = [name for name in summary.senders if matching_name(name, [person])]
    return shorter[0] if len(shorter) == 1 else None

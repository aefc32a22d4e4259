"""`chatexports inspect`: what is in an export."""

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
    heard = {e: s for e, s in zip(exports, summaries, strict=True) if s.kept}
    if not heard:
        say("There are no messages to learn from.")
        return
    person = _proposed_speaker(heard.values())
    words: list[str] = []
    if all(summary.owner == person for summary in heard.values()):
        say(f"The model learns the voice of {person}; for somebody else, use --ai.")
    else:
        names = {e: _name_in(summary, person) for e, summary in heard.items()}
        words = [w for n in dict.fromkeys(names.values()) if n for w in ("--ai", n)]
        say("Whose voice should the model learn? Name one person with --ai.")
        missing = [export.path.name for export, name in names.items() if not name]
        if missing:
            where = ", ".join(missing)
            say(f"Nobody is called {person} in {where}: add their name there.")
    say(f"Next: {command_line('prepare', *arguments, *words, '-o', output)}")


def _proposed_speaker(summaries: Iterable[ExportSummary]) -> str:
    """Return the owner who wrote most, or who wrote most where no owner is known."""
    owners: Counter[str] = Counter()
    senders: Counter[str] = Counter()
    for summary in summaries:
        senders.update(summary.senders)
        owner = summary.owner or ""
        owners += Counter({owner: summary.senders.get(owner, 0)})
    return (owners or senders).most_common(1)[0][0]


def _name_in(summary: ExportSummary, person: str) -> str | None:
    """Return what a person is called in an export: the name, or a part of it."""
    if name := matching_name(person, summary.senders):
        return name
    shorter = [name for name in summary.senders if matching_name(name, [person])]
    return shorter[0] if len(shorter) == 1 else None

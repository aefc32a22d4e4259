"""`chatexports inspect`: a summary of an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.recognition import Export
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
    _print_next([*paths, *chats.words()], output, summaries)


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
    arguments: Sequence[object], output: Path, summaries: Sequence[ExportSummary]
) -> None:
    summaries = [summary for summary in summaries if summary.kept]
    if not summaries:
        print_line("There are no messages to learn from.")
        return
    owners = [summary.owner for summary in summaries]
    words: list[str] = []
    if all(owners):
        whose = ", ".join(dict.fromkeys(map(str, owners)))
        print_line(
            f"The model learns the voice of {whose}; to learn another one, use --ai."
        )
    else:
        messages: Counter[str] = Counter()
        for summary in summaries:
            messages.update(summary.senders)
        person = next(filter(None, owners), None) or messages.most_common(1)[0][0]
        words = ["--ai", person]
        print_line("Whose voice should the model learn? Name one person with --ai.")
    print_line(f"Next: {command_line('prepare', *arguments, *words, '-o', output)}")

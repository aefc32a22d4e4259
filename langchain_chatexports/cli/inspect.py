"""`chatexports inspect`: summarize an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.reading import Reading
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
    find_unused_path,
    read_exports,
    resolve_paths,
)


@command
def inspect(
    paths: Paths = None, *, chats: SourceOptions, as_json: AsJson = False
) -> None:
    """Summarize an export: owner, senders, skipped messages.

    This reads the whole export (about 100,000 messages per second), writes nothing, and
    prints the next command, which prepares training examples.

    For example:
        chatexports inspect chat.db --people friends.vcf
        chatexports inspect facebook-1.zip facebook-2.zip
    """
    paths = resolve_paths(paths)
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
    output = find_unused_path("examples.jsonl", paths)
    _print_next_command([*paths, *chats.to_arguments()], output, summaries)


def _read(
    exports: list[Export], readings: list[Reading], _: object
) -> tuple[list[Export], list[ExportSummary]]:
    pairs = zip(exports, readings, strict=True)
    return exports, [_summarize(export, reading) for export, reading in pairs]


def _summarize(export: Export, reading: Reading) -> ExportSummary:
    total = export.loader.estimate_message_count()
    with show_progress("messages", lambda: reading.messages_read, total):
        return reading.inspect()


def _print_next_command(
    arguments: Sequence[object], output: Path, summaries: Sequence[ExportSummary]
) -> None:
    summaries = [summary for summary in summaries if summary.kept]
    if not summaries:
        print_line("No messages to train on.")
        return
    owners = [summary.owner for summary in summaries]
    options: list[str] = []
    if all(owners):
        names = ", ".join(dict.fromkeys(map(str, owners)))
        print_line(
            f"The model will imitate {names}; use --ai to choose another person."
        )
    else:
        messages: Counter[str] = Counter()
        for summary in summaries:
            messages.update(summary.senders)
        person = next(filter(None, owners), None) or messages.most_common(1)[0][0]
        options = ["--ai", person]
        print_line("Whom should the model imitate? Choose the person with --ai.")
    print_line(f"Next: {command_line('prepare', *arguments, *options, '-o', output)}")

"""`chatexports inspect`: summarize an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    print_line,
    say,
    show,
    show_progress,
    show_table,
)
from langchain_chatexports.cli._options import (
    AsJson,
    Paths,
    SourceOptions,
    command,
    find_partner,
    read_exports,
    resolve_paths,
)


@command
def inspect(
    paths: Paths = None, *, chats: SourceOptions, as_json: AsJson = False
) -> None:
    """Summarize an export: owner, senders, skipped messages.

    This reads the whole export (about 100,000 messages per second), writes nothing, and
    prints the next commands.

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
    _print_next_commands([*paths, *chats.to_arguments()], summaries)


def _read(
    exports: list[Export], readings: list[Reading], _: object
) -> tuple[list[Export], list[ExportSummary]]:
    pairs = zip(exports, readings, strict=True)
    return exports, [_summarize(export, reading) for export, reading in pairs]


def _summarize(export: Export, reading: Reading) -> ExportSummary:
    total = export.loader.estimate_message_count()
    with show_progress("messages", lambda: reading.messages_read, total):
        return reading.inspect()


def _print_next_commands(
    arguments: Sequence[object], summaries: Sequence[ExportSummary]
) -> None:
    summaries = [summary for summary in summaries if summary.kept]
    if not summaries:
        say("No messages to train on.")
        return
    owners = [*filter(None, (summary.owner for summary in summaries))]
    messages: Counter[str] = Counter()
    for summary in summaries:
        messages.update(summary.senders)
    ranked = [name for name, _ in messages.most_common()]
    # In a chat of two, users want to talk to the other person.
    person = find_partner(summaries) or (owners or ranked)[0]
    words = [*arguments, "--ai", person]
    say("To talk to {person} now, without training:", person=person)
    print_line(f"  {command_line('chat', *words)}")
    say("To train a model that writes in the same way, in up to an hour:")
    print_line(f"  {command_line('finetune', *words)}")
    if len(ranked) > 1:
        say("For another person in these chats, change the name after --ai.")

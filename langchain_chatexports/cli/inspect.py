"""`chatexports inspect`: what is in an export."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from langchain_chatexports._terminal import one_line
from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.recognition import Export
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
    _say_next([*paths, *chats.words()], output, summaries)


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
    arguments: Sequence[object], output: Path, summaries: Sequence[ExportSummary]
) -> None:
    if not any(summary.kept for summary in summaries):
        say("There are no messages to learn from.")
        return
    words = ["prepare", *arguments]
    voices = [
        summary.owner if summary.owner in summary.senders else None
        for summary in summaries
    ]
    if None in voices:
        # Keep the owners that are known; suggest one of them, or else the main sender,
        # where the owner is not.
        known = dict.fromkeys(voice for voice in voices if voice)
        names: list[str] = []
        for voice, summary in zip(voices, summaries, strict=True):
            senders = summary.senders
            here = (name for name in (*known, *senders) if name in senders)
            names += [voice] if voice else islice(here, 1)
        for name in dict.fromkeys(names):
            words += ["--ai", name]
        say("Whose voice should the model learn? Name one of the senders with --ai.")
    else:
        owners = one_line(", ".join(dict.fromkeys(map(str, voices))))
        say(f"The model learns the voice of {owners}; for somebody else, use --ai.")
    say(f"Next: {command_line(*words, '-o', output)}")

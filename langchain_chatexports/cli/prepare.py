"""`chatexports prepare`: from exports to a set of examples, with its card and trace."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    print_line,
    show_progress,
    speaker_chooser,
)
from langchain_chatexports.cli._options import (
    AsJson,
    ExampleOptions,
    Force,
    Paths,
    SourceOptions,
    command,
    default_export,
    refuse_to_overwrite,
    refuse_to_replace,
)
from langchain_chatexports.datasets.formats import FORMATS, FormatName
from langchain_chatexports.datasets.preparation import Preparation
from langchain_chatexports.datasets.set_writer import PreparedSet, SetOptions


@command
def prepare(
    paths: Paths = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The file, or the set, to write."
        ),
    ],
    options: ExampleOptions,
    chats: SourceOptions,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Replace names and private numbers; OUTPUT.key can undo it.",
        ),
    ] = False,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            autocompletion=lambda: [*FORMATS],
            metavar="FORMAT",
            help="openai (JSON lines), trl-prompt-completion or parquet.",
        ),
    ] = "openai",
    split: Annotated[
        bool,
        typer.Option(
            "--split", help="Split into train, validation and test (the newest chats)."
        ),
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Turn exports into training examples, as JSON lines in OpenAI's chat format.

    A data card beside them accounts for every message and has no text. With the trace,
    `chatexports forget` can remove people from the examples again.

    For example:
        chatexports prepare chat.db -o examples.jsonl
        chatexports prepare export.zip --ai "Harry Potter" --split -o set
    """
    from langchain_chatexports.workflows.prepare import speakers, write_examples

    # One conversation is a million objects at most, and the process ends soon.
    gc.set_threshold(1_000_000, 20, 100)
    paths = default_export(paths)
    choices = options.prepare_options(chats)
    refuse_to_overwrite(output, paths)
    refuse_to_replace(output, force=force)
    if format_name not in FORMATS:
        msg = f"There is no format {format_name!r}: choose one of {', '.join(FORMATS)}."
        raise typer.BadParameter(msg)
    if redact:
        from langchain_chatexports.datasets.redaction import Redaction, default_key_file
        from langchain_chatexports.redaction.phones import check_extra

        check_extra()  # Before exports are read.
        redaction = Redaction(default_key_file(output), watch=show_progress)
        choices = replace(choices, redaction=redaction)
    done, result = write_examples(
        paths,
        output,
        choices,
        wanted=SetOptions(cast("FormatName", format_name), split=split),
        choose_speaker=speaker_chooser(),
        watch=show_progress,
    )
    for export, owner in speakers(done):
        print_line(f"{export.path.name}: {owner} speaks as the AI (the export's owner)")
    if as_json:
        _print_json(done, result, output)
    else:
        _print_summary(done, result)
    _print_warnings(result, output)
    if as_json or result.written is None:
        return
    if choices.redaction:
        key_file = choices.redaction.key_file
        print_line(f"key: {key_file} (whoever has it can undo the redaction)")
    if result.training_file:
        print_line(f"Next: {command_line('finetune', output)}")


def _print_json(done: Preparation, result: PreparedSet, output: Path) -> None:
    values = {"examples": done.examples, "path": str(output)}
    values |= result.written.to_dict() if result.written else {}
    print_json({**values, "exports": done.summaries_to_dicts()})


def _print_summary(done: Preparation, result: PreparedSet) -> None:
    if (written := result.written) is None:
        print_line(f"{plural(done.examples, 'example')} written")
        return
    print_line(written.accounting(conversations=done.conversations))
    print_line(f"Written: {written.path}")
    print_line(f"Data card: {written.card}; trace: {written.trace}")


def _print_warnings(result: PreparedSet, output: Path) -> None:
    if result.written is None:
        print_line(f"{output} is not a file: no card and no trace are written")
    if result.empty_parts:
        parts = " and ".join(result.empty_parts)
        skipped = plural(result.repeated, "newer example")
        print_line(
            f"warning: {parts}: no examples are left. {skipped} repeating texts of "
            "older ones would test only what was memorized. You can still train; to "
            "evaluate, add conversations."
        )

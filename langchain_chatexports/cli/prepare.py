"""`chatexports prepare`: from exports to a set of examples, with its card and trace."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

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
    check,
    check_output,
    command,
    default_export,
    flag,
    option,
    print_owners,
)
from langchain_chatexports.datasets.formats import FORMATS, FormatName
from langchain_chatexports.datasets.redaction import Redaction, default_key_file
from langchain_chatexports.datasets.set_writer import SetOptions
from langchain_chatexports.redaction.phones import check_extra
from langchain_chatexports.workflows import write_examples


@command
def prepare(
    paths: Paths = None,
    *,
    output: Annotated[
        Path, option("FILE", "The file, or the set, to write.", "-o", "--output")
    ],
    options: ExampleOptions,
    chats: SourceOptions,
    redact: Annotated[
        bool,
        flag("--redact", "Replace names and private numbers; OUTPUT.key can undo it."),
    ] = False,
    format_name: Annotated[
        str,
        option(
            "FORMAT",
            "openai (JSON lines), trl-prompt-completion or parquet.",
            "--format",
        ),
    ] = "openai",
    split: Annotated[
        bool,
        flag("--split", "Split into train, validation and test (the newest chats)."),
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Turn exports into training examples.

    They are JSON lines in OpenAI's chat format. A data card accounts for every message,
    without text; the trace lets `chatexports forget` remove people.

    For example:
        chatexports prepare chat.db -o examples.jsonl
        chatexports prepare export.zip --ai "Harry Potter" --split -o set
    """
    # One conversation is a million objects at most, and the process ends soon.
    gc.set_threshold(1_000_000, 20, 100)
    paths = default_export(paths)
    choices = options.prepare_options(chats)
    check_output(output, paths, force=force)
    formats = ", ".join(FORMATS)
    no_format = f"There is no format {format_name!r}: choose one of {formats}."
    check((format_name not in FORMATS, no_format))
    if redact:
        check_extra()  # Before exports are read.
        redaction = Redaction(default_key_file(output), watch=show_progress)
        choices = replace(choices, redaction=redaction)
    result = write_examples(
        paths,
        output,
        choices,
        wanted=SetOptions(cast("FormatName", format_name), split=split),
        choose_speaker=speaker_chooser(),
        watch=show_progress,
    )
    done, written = result.preparation, result.written
    print_owners(done)
    if as_json:
        values = written.to_dict() if written else {}
        exports = done.summaries_to_dicts()
        print_json(
            {
                "examples": done.examples,
                "path": str(output),
                **values,
                "exports": exports,
            }
        )
    elif written is None:
        examples = plural(done.examples, "example")
        print_line(f"{examples} written; no card and no trace: {output} is not a file")
    else:
        print_line(written.accounting(conversations=done.conversations))
        print_line(f"Written: {written.path}")
        print_line(f"Data card: {written.card}; trace: {written.trace}")
    if result.empty_parts:
        parts = " and ".join(result.empty_parts)
        skipped = plural(result.repeated, "newer example")
        print_line(
            f"warning: {parts}: no examples are left, because {skipped} repeat texts "
            "of older ones. You can still train; to evaluate, add conversations."
        )
    if as_json or written is None:
        return
    if choices.redaction:
        key_file = choices.redaction.key_file
        print_line(f"key: {key_file} (whoever has it can undo the redaction)")
    if result.training_file:
        print_line(f"Next: {command_line('finetune', output)}")

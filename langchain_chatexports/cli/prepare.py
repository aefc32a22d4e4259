"""`chatexports prepare`: turn exports into examples, with a data card and a trace."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

from langchain_chatexports.cli._console import (
    command_line,
    get_speaker_chooser,
    print_json,
    print_line,
    say,
    say_count,
    show_progress,
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
    flag,
    option,
    print_owners,
    resolve_paths,
)
from langchain_chatexports.datasets.formats import FORMATS, FormatName
from langchain_chatexports.redaction.phones import check_extra
from langchain_chatexports.workflows import write_examples
from langchain_chatexports.workflows.prepare import DatasetOptions
from langchain_chatexports.workflows.redaction import Redaction, default_key_file


@command
def prepare(
    paths: Paths = None,
    *,
    output: Annotated[
        Path, option("FILE", "The file or folder to write.", "-o", "--output")
    ],
    options: ExampleOptions,
    chats: SourceOptions,
    redact: Annotated[
        bool,
        flag("--redact", "Replace names and private data; OUTPUT.key can undo it."),
    ] = False,
    format_name: Annotated[
        str,
        option(
            "FORMAT",
            "openai or trl-prompt-completion.",
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

    The examples are JSON Lines in OpenAI's chat format. A data card counts every
    message, without its text; a trace lets `chatexports forget` remove people.

    For example:
        chatexports prepare chat.db -o examples.jsonl
        chatexports prepare export.zip --ai "Harry Potter" --split -o set
    """
    # A session has at most a million objects, and the process exits soon.
    gc.set_threshold(1_000_000, 20, 100)
    paths = resolve_paths(paths)
    choices = options.to_prepare_options(chats)
    check_output(output, paths, force=force)
    formats = ", ".join(FORMATS)
    message = f"Unknown format {format_name!r}; choose one of {formats}."
    check((format_name not in FORMATS, message))
    if redact:
        check_extra()  # Fail before reading the exports.
        redaction = Redaction(default_key_file(output), watch=show_progress)
        choices = replace(choices, redaction=redaction)
    result = write_examples(
        paths,
        output,
        choices,
        set_options=DatasetOptions(cast("FormatName", format_name), split=split),
        choose_speaker=get_speaker_chooser(),
        watch=show_progress,
    )
    preparation, written = result.preparation, result.dataset
    print_owners(preparation)
    if as_json:
        values = written.to_dict() if written else {}
        exports = preparation.summaries_to_dicts()
        print_json(
            {
                "examples": preparation.examples,
                "path": str(output),
                **values,
                "exports": exports,
            }
        )
    elif written is None:
        say_count(
            "Wrote {count} example; no data card and trace, because {path} is not a "
            "file",
            "Wrote {count} examples; no data card and trace, because {path} is not a "
            "file",
            preparation.examples,
            path=output,
        )
    else:
        print_line(written.summary(dialogues=preparation.dialogues))
        say("Wrote {path}", path=written.path)
        say("Data card: {card}; trace: {trace}", card=written.card, trace=written.trace)
    if result.empty_splits:
        say_count(
            "warning: no examples in {parts}, because {count} newer one repeats the "
            "text of older ones. You can train, but evaluation needs more dialogues.",
            "warning: no examples in {parts}, because {count} newer ones repeat the "
            "text of older ones. You can train, but evaluation needs more dialogues.",
            result.repeated,
            parts=", ".join(result.empty_splits),
        )
    if as_json or written is None:
        return
    if choices.redaction:
        say(
            "Key: {path} (anyone with this file can undo the redaction)",
            path=choices.redaction.key_file,
        )
    if result.training_file:
        say("Next: {command}", command=command_line("finetune", output))

"""`chatexports redact`: replace names and private numbers, or undo it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import is_examples_file
from langchain_chatexports.cli._console import print_json, print_line, show_progress
from langchain_chatexports.cli._options import (
    AsJson,
    Force,
    SourceOptions,
    check_output,
    command,
    flag,
    option,
    read_exports,
)
from langchain_chatexports.datasets.redaction import (
    Redaction,
    default_key_file,
    redact_exports,
    undo_redaction,
)
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.redaction.phones import check_extra


@command
def redact(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Exports, as for prepare; with --undo, a redacted file.",
            readable=False,
        ),
    ],
    *,
    output: Annotated[
        Path, option("FILE", "The JSONL file to write.", "-o", "--output")
    ],
    key: Annotated[
        Path | None,
        option(
            "FILE",
            "The key file, which can undo the redaction; created if needed.",
            show_default="OUTPUT.key",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        option("NAME", "Another name to replace, such as a nickname; may be repeated."),
    ] = None,
    chats: SourceOptions,
    undo: Annotated[
        bool,
        flag("--undo", "Restore the originals; needs the key file of the redaction."),
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Replace names and private numbers in a copy, or undo it.

    The copy is a table (JSON lines) that every command reads. Keep the key file: it can
    undo the redaction, and with it the next export gets the same stand-ins.

    For example:
        chatexports redact chat.db -o redacted.jsonl
        chatexports redact --undo redacted.jsonl -o restored.jsonl
    """
    check_output(output, paths, force=force)
    done: dict[str, Any]
    if undo:
        if len(paths) > 1 or name or chats.words():
            msg = "--undo takes one file and its --key."
            raise typer.BadParameter(msg)
        key_file = key or default_key_file(paths[0])
        undo_redaction(paths[0], output, key_file)
        done = {"kind": "restored"}
    else:
        check_extra()  # Before exports are read.
        key_file = key or default_key_file(output)
        redaction = Redaction(key_file, names=name or (), watch=show_progress)
        done = _redact_files(paths, output, redaction, chats)
    if as_json:
        print_json({**done, "output": str(output), "key": str(key_file)})
        return
    _print_done(done, output, key_file)


def _redact_files(
    paths: Sequence[Path], output: Path, redaction: Redaction, chats: SourceOptions
) -> dict[str, Any]:
    for path in paths:
        if is_examples_file(path):
            msg = (
                f"{path} holds examples. Redact the export, or write redacted examples "
                "of it: chatexports prepare --redact"
            )
            raise ExportFormatError(msg)
    return read_exports(
        paths,
        chats,
        lambda exports, chosen, _: redact_exports(
            exports, output, redaction, chats=chosen
        ),
    )


def _print_done(done: Mapping[str, Any], output: Path, key_file: Path) -> None:
    if done["kind"] == "restored":
        print_line(f"{output}: written, with the original names and numbers")
        return
    print_line(f"{output}: {plural(done['rows'], 'row')} ({done['kind']})")
    for kind, count in done.get("replaced", {}).items():
        print_line(f"  {count:,} replaced in texts: {kind}")
    print_line(f"key: {key_file} (whoever has it can undo the redaction)")
    print_line("The rules miss some names and numbers: read a sample before sharing.")

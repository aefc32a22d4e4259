"""`chatexports redact`: replace names and private numbers, or undo it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._chat_options import (
    ChatOptions,
    Contacts,
    People,
    ReadingOptions,
    open_exports,
    refuse_chats_of_examples,
)
from langchain_chatexports.cli._console import print_json, say
from langchain_chatexports.cli._example_options import RedactionOptions
from langchain_chatexports.cli._options import (
    AsJson,
    Force,
    command,
    refuse_to_overwrite,
    refuse_to_replace,
)
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_chatexports.chat_loaders.recognition import Export
    from langchain_chatexports.datasets.chat_choice import ChatChoice
    from langchain_chatexports.datasets.redaction import Redaction

__all__ = ["redact"]


@command
def redact(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Exports, as for prepare, or one JSONL file of examples; with --undo, "
            "a file with stand-ins in it.",
            show_default=False,
            readable=False,
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The JSONL file to write."),
    ],
    options: RedactionOptions,
    contacts: Contacts = None,
    people: People = None,
    chats: ChatOptions,
    reading: ReadingOptions,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo",
            help="Put back what was replaced; needs the key file of the redaction.",
        ),
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a copy in which stand-ins replace names and private numbers, or undo it.

    The copy of an export is a table (JSON lines) that every command reads; the copy of
    examples is examples. Keep the key file: it can undo the redaction, and with it the
    next export gets the same stand-ins.

    For example:
        chatexports redact chat.db -o redacted.jsonl
        chatexports redact --undo redacted.jsonl -o restored.jsonl
    """
    from langchain_chatexports.datasets.redaction import (
        default_key_file,
        undo_redaction,
    )

    refuse_to_overwrite(output, paths)
    refuse_to_replace(output, force=force)
    done: dict[str, Any]
    if undo:
        names = options.name or contacts or people
        if len(paths) > 1 or names or chats.words() or reading.words():
            msg = "--undo takes one file and its --key."
            raise typer.BadParameter(msg)
        key_file = options.key or default_key_file(paths[0])
        undo_redaction(paths[0], output, key_file)
        done = {"kind": "restored"}
    else:
        redaction = options.redaction(output)
        key_file = redaction.key_file
        exports = partial(
            open_exports, contacts=contacts, people=people, reading=reading
        )
        done = _redact_files(paths, output, redaction, chats.choice(), exports)
    if as_json:
        print_json({**done, "output": str(output), "key": str(key_file)})
        return
    _say_done(done, output, key_file)


def _redact_files(
    paths: Sequence[Path],
    output: Path,
    redaction: Redaction,
    chats: ChatChoice,
    open_chosen: Callable[..., list[Export]],
) -> dict[str, Any]:
    from langchain_chatexports.chat_loaders.recognition import is_examples_file
    from langchain_chatexports.datasets.redaction import redact_examples, redact_exports

    of_examples = [path for path in paths if is_examples_file(path)]
    if not of_examples:
        exports = open_chosen(paths, chats=chats)
        return redact_exports(exports, output, redaction, chats=chats)
    refuse_chats_of_examples(chats)
    if len(paths) > 1:
        msg = f"{of_examples[0]} holds examples: redact it alone."
        raise ExportFormatError(msg)
    return redact_examples(paths[0], output, redaction)


def _say_done(done: Mapping[str, Any], output: Path, key_file: Path) -> None:
    if done["kind"] == "restored":
        say(f"{output}: written, with the original names and numbers")
        return
    say(f"{output}: {plural(done['rows'], 'row')} ({done['kind']})")
    for kind, count in done.get("replaced", {}).items():
        say(f"  {count:,} replaced in texts: {kind}")
    say(f"key: {key_file} (whoever has it can undo the redaction)")
    say("The rules miss some names and numbers: read a sample before sharing.")

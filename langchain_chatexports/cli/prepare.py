"""`chatexports prepare`: from exports to a set of examples, with its card and trace."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from langchain_chatexports._terminal import one_line, plural
from langchain_chatexports.cli._chat_options import (
    ChatOptions,
    Paths,
    check_format_options,
    own_messages_or,
    refuse_chats_of_examples,
)
from langchain_chatexports.cli._console import (
    asking,
    command_line,
    print_json,
    reading,
    say,
    stdin_is_terminal,
)
from langchain_chatexports.cli._example_options import (
    PRIVATE,
    ExampleOptions,
    RedactionOptions,
)
from langchain_chatexports.cli._options import (
    AsJson,
    Force,
    command,
    refuse_to_overwrite,
    refuse_to_replace,
)
from langchain_chatexports.exceptions import SenderNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_chatexports.datasets.formats import FormatName
    from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
    from langchain_chatexports.datasets.set_writer import PreparedSet, SetOptions

__all__ = [
    "prepare",
    "prepare_with_speaker",
    "say_speaker",
    "say_unused",
]

_SET = "What is written"


def _formats() -> list[str]:
    """Return the names of formats, for shells to complete."""
    from langchain_chatexports.datasets.formats import FORMATS

    return [*FORMATS]


@command
def prepare(
    paths: Paths = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The JSONL file, or the set, to write.",
        ),
    ],
    options: ExampleOptions,
    chats: ChatOptions,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            rich_help_panel=PRIVATE,
            help="Replace names and private numbers by stand-ins, as `chatexports "
            "redact` does.",
        ),
    ] = False,
    redaction: RedactionOptions,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            autocompletion=_formats,
            metavar="FORMAT",
            rich_help_panel=_SET,
            help="The format: openai (JSON lines), trl-prompt-completion, parquet.",
        ),
    ] = "openai",
    split: Annotated[
        bool,
        typer.Option(
            "--split",
            rich_help_panel=_SET,
            help="Split into train, validation and test, the newest conversations for "
            "the test. --keep-tail is on.",
        ),
    ] = False,
    dedup: Annotated[
        bool,
        typer.Option(
            "--dedup",
            rich_help_panel=_SET,
            help="Skip examples that are the same as another.",
        ),
    ] = False,
    consent: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            rich_help_panel=_SET,
            help="Who agreed to what, in your words, for the data card.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Turn exports into training examples, as JSON lines in OpenAI's chat format.

    A data card beside them accounts for every message and holds no text. With the
    trace, `chatexports forget` can take people out of the examples again.

    For example:
        chatexports prepare chat.db -o examples.jsonl
        chatexports prepare export.zip --ai "Harry Potter" --split -o set
        chatexports prepare chat.db --redact -o private.jsonl
    """
    from langchain_chatexports.datasets.set_writer import write_set

    # One conversation's messages are a million objects at most, and the process ends.
    gc.set_threshold(1_000_000, 20, 100)
    paths = own_messages_or(paths)
    prepared = replace(options.prepare_options(), chats=chats.choice())
    refuse_to_overwrite(output, paths)
    refuse_to_replace(output, force=force)
    if redact:
        prepared = replace(prepared, redaction=redaction.redaction(output))
    elif redaction != RedactionOptions():
        msg = "--key and --name go with --redact."
        raise typer.BadParameter(msg)
    wanted = replace(
        _set_options(format_name, split=split, dedup=dedup), consent=consent
    )
    results: list[PreparedSet] = []

    def write(preparation: Preparation) -> None:
        with reading(preparation):
            results.append(write_set(preparation, output, wanted))

    done = prepare_with_speaker(paths, wanted.adapted(prepared), write)
    say_speaker(done)
    (result,) = results
    if as_json:
        _print_set(done, result, output)
    else:
        _say_set(done, result)
    _say_warnings(result, output)
    if as_json or result.written is None:
        return
    if prepared.redaction:
        key_file = prepared.redaction.key_file
        say(f"key: {key_file} (whoever has it can undo the redaction)")
    if result.training_file:
        say(f"Next: {command_line('finetune', output)}")


def _print_set(done: Preparation, result: PreparedSet, output: Path) -> None:
    values = {"examples": done.examples, "path": str(output)}
    values |= result.written.to_dict() if result.written else {}
    print_json({**values, "exports": done.summaries_to_dicts()})


def _say_set(done: Preparation, result: PreparedSet) -> None:
    from langchain_chatexports.datasets.accounting import accounting_sentence

    if (written := result.written) is None:
        say(f"{plural(done.examples, 'example')} written")
        return
    say(accounting_sentence(written, conversations=done.conversations))
    say(f"Written: {written.path}")
    say(f"Data card: {written.card}; trace: {written.trace}")


def _set_options(format_name: str, *, split: bool, dedup: bool) -> SetOptions:
    from langchain_chatexports.datasets.formats import FORMATS
    from langchain_chatexports.datasets.set_writer import SetOptions

    if format_name not in FORMATS:
        msg = f"There is no format {format_name!r}: choose one of {', '.join(FORMATS)}."
        raise typer.BadParameter(msg)
    options = SetOptions(cast("FormatName", format_name), split=split, dedup=dedup)
    options.check_extras()
    return options


def _say_warnings(result: PreparedSet, output: Path) -> None:
    if result.written is None:
        say(f"{output} is not a file: no card and no trace are written")
    if result.empty_parts:
        parts = " and ".join(result.empty_parts)
        skipped = plural(result.repeated, "newer example")
        say(
            f"warning: {parts}: no examples are left. {skipped} repeating texts of "
            "older ones would test only what was memorized. You can still train; to "
            "evaluate, add conversations."
        )


def prepare_with_speaker(
    paths: Sequence[Path],
    options: PrepareOptions,
    use: Callable[[Preparation], object],
) -> Preparation:
    """Prepare; where no speaker was named and no owner is found, ask for one.

    Args:
        paths: The exports, or JSONL files of examples.
        options: How sessions become examples.
        use: Reads a preparation to its end. Called once more after asking.

    Returns:
        The preparation that worked.

    Raises:
        SenderNotFoundError: If the named speaker does not occur, or if none was named,
            no owner is found, and there is no terminal to ask at.
    """
    from langchain_chatexports.datasets.preparation import Preparation

    preparation = Preparation(paths, options)
    _check_options(preparation)
    try:
        use(preparation)
    except SenderNotFoundError:
        senders = preparation.senders()
        # Another name does not help where nobody has the name of the chosen chats.
        is_unknown = options.chats.has_unknown_names(preparation.exports)
        if options.ai or is_unknown or not (stdin_is_terminal() and senders):
            raise
        owners = {s.owner for _, s in preparation.summaries() if s.owner in senders}
        chosen = _ask_for_sender(senders)
        names = (chosen, *sorted(str(owner) for owner in owners))
        preparation = Preparation(paths, replace(options, ai=names))
        use(preparation)
    if not options.ai_role:
        for path in preparation.silent_exports():
            say(f"warning: nobody in {path} has a name given with --ai: skipped")
    return preparation


def say_speaker(preparation: Preparation) -> None:
    """Say who became the AI where nobody was named."""
    if preparation.options.ai or preparation.options.ai_role:
        return
    for export, summary in preparation.summaries():
        owner = one_line(str(summary.owner))
        say(f"{export.path.name}: {owner} speaks as the AI (the export's owner)")


def _check_options(preparation: Preparation) -> None:
    options = preparation.options
    if not preparation.reads_examples():
        check_format_options(preparation.export_options(), preparation.exports)
    else:
        say_unused(options)


def say_unused(options: PrepareOptions) -> None:
    """Warn of options that change nothing in finished examples; refuse chats."""
    refuse_chats_of_examples(options.chats)
    if unused := options.unused_for_examples():
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        say(f"warning: {listed}: for exports only, and these are examples")


def _ask_for_sender(senders: dict[str, int]) -> str:
    say("Whose voice should the model learn? The export does not say whose it is.")
    names = list(senders)
    for number, (name, count) in enumerate(senders.items(), 1):
        say(f"  {number}. {one_line(name)} ({plural(count, 'message')})")
    while True:
        with asking():
            answer = typer.prompt("Number or name", err=True).strip()
        if answer in senders:
            return str(answer)
        if answer.isdigit() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        say("No sender has that number or name.")

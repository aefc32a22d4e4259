"""`chatexports prepare`, `redact` and `forget`: from exports to sets of examples."""

# No postponed annotations here: typer reads them at run time.
import gc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_chatexports.cli.console import print_json, say, shell_words
from langchain_chatexports.cli.exports import refuse_to_overwrite
from langchain_chatexports.cli.options import (
    PRIVATE,
    Ai,
    AiRole,
    AsJson,
    Consent,
    Contacts,
    DataDir,
    Dedup,
    Format,
    KeepTail,
    KeepTrailing,
    LabelGroups,
    MaxMessages,
    MaxTokens,
    Overlap,
    Paths,
    Presidio,
    RedactedNames,
    RedactedPaths,
    RedactionKeyFile,
    Size,
    Split,
    SplitGap,
    SystemPrompt,
    Whole,
)

if TYPE_CHECKING:
    from langchain_chatexports.cli.preparation import Gap, PrepareOptions

__all__ = ["forget", "prepare", "prepare_options", "redact"]


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
    ai: Ai = None,
    ai_role: AiRole = None,
    contacts: Contacts = None,
    size: Size = 8,
    overlap: Overlap = 2,
    whole: Whole = False,
    keep_tail: KeepTail = False,
    keep_trailing: KeepTrailing = False,
    split_gap: SplitGap = None,
    max_messages: MaxMessages = None,
    max_tokens: MaxTokens = None,
    label_groups: LabelGroups = False,
    system: SystemPrompt = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            rich_help_panel=PRIVATE,
            help="Replace names and private numbers by stand-ins, as `chatexports "
            "redact` does.",
        ),
    ] = False,
    key: RedactionKeyFile = None,
    name: RedactedNames = None,
    presidio: Presidio = None,
    format_name: Format = "openai",
    split: Split = False,
    dedup: Dedup = "none",
    consent: Consent = None,
    as_json: AsJson = False,
) -> None:
    """Turn exports into training examples, as JSON lines in OpenAI's chat format.

    Beside them lie a data card, which accounts for every message and holds no text, and
    a trace, with which `chatexports forget` can take people out of the examples again.
    """
    from langchain_chatexports.cli import datasets
    from langchain_chatexports.cli.exports import own_messages_or
    from langchain_chatexports.cli.preparation import prepare_with_speaker

    # One conversation's messages are a million objects at most, and the process ends.
    gc.set_threshold(1_000_000, 20, 100)
    paths = own_messages_or(paths)
    options = prepare_options(
        ai=ai,
        ai_role=ai_role,
        contacts=contacts,
        size=size,
        overlap=overlap,
        whole=whole,
        keep_tail=keep_tail,
        keep_trailing=keep_trailing,
        split_gap=split_gap,
        max_messages=max_messages,
        max_tokens=max_tokens,
        label_groups=label_groups,
        system=system,
    )
    refuse_to_overwrite(output, paths)
    if redact:
        from langchain_chatexports.cli import redacting

        key_file = key or redacting.default_key_file(output)
        redaction = redacting.Redaction(key_file, names=name or (), presidio=presidio)
        options = replace(options, redaction=redaction)
    elif key or name or presidio:
        msg = "--key, --name and --presidio go with --redact."
        raise typer.BadParameter(msg)
    wanted = datasets.set_options(format_name, split=split, dedup=dedup)
    writer = datasets.SetWriter(replace(wanted, consent=consent), output)
    done = prepare_with_speaker(paths, wanted.adapted(options), writer)
    done.say_speaker()
    written = writer.written
    if as_json:
        told = {"examples": done.examples, "path": str(output)}
        told |= written.to_dict() if written else {}
        print_json({**told, "exports": done.summaries_to_dicts()})
    else:
        done.say_summaries()
        if written:
            say(written)
    if writer.warning:
        say(writer.warning)
    if as_json or written is None:
        return
    if redact:
        say(f"key: {key_file} (whoever has it can undo the redaction)")
    if next_path := datasets.path_to_train_on(written):
        say(f"{written.examples_written:,} examples written to {output}")
        say(f"Next: chatexports finetune {shell_words([next_path])}")


def redact(
    paths: RedactedPaths,
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The JSONL file to write."),
    ],
    key: RedactionKeyFile = None,
    name: RedactedNames = None,
    presidio: Presidio = None,
    contacts: Contacts = None,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo", help="Put back what was replaced; needs the key file of then."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a copy in which stand-ins replace names and private numbers, or undo it.

    Of exports the copy is a table (JSON lines) that every command reads; of examples it
    is examples. The key file stays with you: it can undo the redaction, and with it the
    next export gets the same stand-ins.
    """
    from langchain_chatexports.cli import redacting

    refuse_to_overwrite(output, paths)
    if undo:
        if len(paths) > 1 or name or presidio or contacts:
            msg = "--undo takes one file and its --key."
            raise typer.BadParameter(msg)
        key_file = key or redacting.default_key_file(paths[0])
        redacting.undo_file(paths[0], output, key_file)
        done = {"kind": "restored"}
    else:
        key_file = key or redacting.default_key_file(output)
        redaction = redacting.Redaction(key_file, names=name or (), presidio=presidio)
        done = redacting.redact_files(paths, output, redaction, contacts=contacts)
    if as_json:
        print_json({**done, "output": str(output), "key": str(key_file)})
        return
    redacting.say_done(done, output, key_file)


def forget(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            help="A set that prepare has written, with its trace beside it.",
            show_default=False,
        ),
    ],
    *,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name or handle of somebody to take out; may be given several times.",
            show_default=False,
        ),
    ] = None,
    conversation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Id of a conversation to take out; may be given several times.",
            show_default=False,
        ),
    ] = None,
    mentions: Annotated[
        bool,
        typer.Option("--mentions", help="Also take out what holds the name."),
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The key file, for a set in which names were replaced: people and "
            "conversations are named as in the export.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Look for fine-tuning jobs on this server too; its key is read from "
            "OPENAI_API_KEY.",
            show_default=False,
        ),
    ] = None,
    openai: Annotated[
        bool, typer.Option("--openai", help="Look for fine-tuning jobs at OpenAI too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a person or a conversation out of a set, and list the jobs that used it."""
    from langchain_chatexports.cli import forgetting

    if not person and not conversation:
        msg = "Say what to forget: --person NAME or --conversation ID."
        raise typer.BadParameter(msg)
    request = forgetting.Request(
        people=tuple(person or ()),
        conversations=tuple(conversation or ()),
        mentions=mentions,
        key_file=key,
    )
    servers = forgetting.Servers(data_dir=data_dir, base_url=base_url, openai=openai)
    report, jobs = forgetting.forget_and_list(path, request, servers)
    if as_json:
        listed = [job.to_dict() for job in jobs]
        print_json({**report.to_dict(), "jobs": listed})
        return
    forgetting.say_report(report, jobs)


def prepare_options(
    *, ai: list[str] | None, split_gap: str | None, **chosen: Any
) -> "PrepareOptions":
    """Check how examples were asked for.

    Args:
        ai: Names or handles of the person who becomes the AI.
        split_gap: `auto`, or minutes.
        chosen: The other options, by name.

    Raises:
        typer.BadParameter: If two of them do not go together.
    """
    from langchain_chatexports.cli.preparation import PrepareOptions

    options = PrepareOptions(ai=tuple(ai or ()), split_gap=_gap(split_gap), **chosen)
    if options.overlap >= options.size and not options.whole:
        sizes = f"--overlap ({options.overlap}) must be less than --size"
        msg = f"{sizes} ({options.size})."
        raise typer.BadParameter(msg)
    return options


def _gap(text: str | None) -> "Gap":
    if text is None or text == "auto":
        return "auto" if text else None
    try:
        gap = timedelta(minutes=float(text))
    except (ValueError, OverflowError):
        gap = timedelta(0)
    if gap <= timedelta(0):
        msg = f"--split-gap must be auto, or minutes, not {text!r}."
        raise typer.BadParameter(msg)
    return gap

"""The commands of `chatexports` and their options."""

# No postponed annotations here: typer reads them at run time.
import io
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_chatexports._version import __version__
from langchain_chatexports.cli import evaluation, looking
from langchain_chatexports.cli.console import print_json, say, shell_words
from langchain_chatexports.cli.exports import refuse_to_overwrite
from langchain_chatexports.cli.manners import manners
from langchain_chatexports.cli.options import (
    Ai,
    AiRole,
    AsJson,
    Base,
    Consent,
    DataDir,
    Dedup,
    Format,
    KeepTail,
    KeepTrailing,
    MaxMessages,
    MaxTokens,
    Overlap,
    Paths,
    PathsOrExamples,
    Presidio,
    RedactedNames,
    RedactedPaths,
    RedactionKeyFile,
    Size,
    Split,
    SplitGap,
    SystemPrompt,
    Whole,
    Workers,
)

if TYPE_CHECKING:
    from langchain_chatexports.cli.preparation import Gap, PrepareOptions

__all__ = ["app", "run"]

# OpenAI's limit.
_LONGEST_SUFFIX = 64

app = typer.Typer(
    name="chatexports",
    help="From your own message exports to a chat model, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback with an error.")
    ] = False,
) -> None:
    """From your own message exports to a chat model, on your own machine."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    del debug  # Taken from the arguments by `run`, wherever it stands.


app.command()(looking.inspect)
app.command()(looking.report)
app.command()(evaluation.evaluate)


@app.command()
def prepare(
    paths: Paths,
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The JSONL file, or the set, to write."),
    ],
    ai: Ai = None,
    ai_role: AiRole = None,
    size: Size = 8,
    overlap: Overlap = 2,
    whole: Whole = False,
    keep_tail: KeepTail = False,
    keep_trailing: KeepTrailing = False,
    split_gap: SplitGap = None,
    max_messages: MaxMessages = None,
    max_tokens: MaxTokens = None,
    system: SystemPrompt = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
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
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Turn exports into training examples, as JSON lines in OpenAI's chat format.

    Beside them lie a data card, which accounts for every message and holds no text, and
    a trace, with which `chatexports forget` can take people out of the examples again.
    """
    from langchain_chatexports.cli import datasets, redacting
    from langchain_chatexports.cli.preparation import prepare_with_speaker

    options = _prepare_options(
        ai=ai,
        ai_role=ai_role,
        size=size,
        overlap=overlap,
        whole=whole,
        keep_tail=keep_tail,
        keep_trailing=keep_trailing,
        split_gap=split_gap,
        max_messages=max_messages,
        max_tokens=max_tokens,
        system=system,
    )
    refuse_to_overwrite(output, paths)
    if redact:
        key_file = key or redacting.default_key_file(output)
        redaction = redacting.Redaction(key_file, names=name or (), presidio=presidio)
        options = replace(options, redaction=redaction)
    elif key or name or presidio:
        msg = "--key, --name and --presidio go with --redact."
        raise typer.BadParameter(msg)
    wanted = datasets.set_options(
        format_name, split=split, dedup=dedup, workers=workers
    )
    writer = datasets.SetWriter(replace(wanted, consent=consent), output)
    done = prepare_with_speaker(paths, wanted.adapted(options), writer)
    done.say_speaker()
    written = writer.written
    if as_json:
        told = {"examples": done.examples, "path": str(output)}
        told |= written.to_dict() if written else {}
        print_json({**told, "exports": done.summaries_to_dicts()})
        return
    done.say_summaries()
    if written is None:
        return
    say(str(written))
    if redact:
        say(f"key: {key_file} (whoever has it can undo the redaction)")
    if next_path := datasets.path_to_train_on(written):
        say(f"{written.examples_written:,} examples written to {output}")
        say(f"Next: chatexports finetune {shell_words([next_path])}")


@app.command()
def redact(
    paths: RedactedPaths,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The JSONL file to write.")
    ],
    key: RedactionKeyFile = None,
    name: RedactedNames = None,
    presidio: Presidio = None,
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
        if len(paths) > 1 or name or presidio:
            msg = "--undo takes one file and its --key."
            raise typer.BadParameter(msg)
        key_file = key or redacting.default_key_file(paths[0])
        redacting.undo_file(paths[0], output, key_file)
        done = {"kind": "restored"}
    else:
        key_file = key or redacting.default_key_file(output)
        redaction = redacting.Redaction(key_file, names=name or (), presidio=presidio)
        done = redacting.redact_files(paths, output, redaction)
    if as_json:
        print_json({**done, "output": str(output), "key": str(key_file)})
        return
    redacting.say_done(done, output, key_file)


@app.command()
def finetune(
    paths: PathsOrExamples,
    *,
    ai: Ai = None,
    ai_role: AiRole = None,
    size: Size = 8,
    overlap: Overlap = 2,
    whole: Whole = False,
    keep_tail: KeepTail = False,
    keep_trailing: KeepTrailing = False,
    split_gap: SplitGap = None,
    max_messages: MaxMessages = None,
    max_tokens: MaxTokens = None,
    system: SystemPrompt = None,
    base: Base = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="Another server that speaks OpenAI's protocol; its key is read from "
            "OPENAI_API_KEY. The examples are uploaded to it.",
            show_default=False,
        ),
    ] = None,
    openai: Annotated[
        bool, typer.Option("--openai", help="Upload to OpenAI and train there.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Base model on the other server (with --base-url or --openai).",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, max=50, help="Passes over the data.", show_default="auto"),
    ] = None,
    suffix: Annotated[
        str | None,
        typer.Option(help="A word for the new model's name.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Upload without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model on exports or examples; on this machine unless told otherwise.

    Ends with the `chatexports chat` command that talks to the new model.
    """
    from langchain_chatexports.cli import tuning

    options = _prepare_options(
        ai=ai,
        ai_role=ai_role,
        size=size,
        overlap=overlap,
        whole=whole,
        keep_tail=keep_tail,
        keep_trailing=keep_trailing,
        split_gap=split_gap,
        max_messages=max_messages,
        max_tokens=max_tokens,
        system=system,
    )
    if suffix is not None and not 1 <= len(suffix) <= _LONGEST_SUFFIX:
        msg = f"--suffix must have 1 to {_LONGEST_SUFFIX} characters."
        raise typer.BadParameter(msg)
    order = tuning.Order(epochs=epochs, suffix=suffix)
    examples, done = tuning.prepared(paths, options)
    done.say_speaker()
    if base_url or openai:
        if base or data_dir:
            msg = "--base and --data-dir belong to the local server: leave them out."
            raise typer.BadParameter(msg)
        model_name, command = tuning.finetune_elsewhere(
            examples, order, base_url=base_url, model=model, agreed=yes
        )
    else:
        if model:
            msg = "--model goes with --base-url or --openai; here it is --base."
            raise typer.BadParameter(msg)
        model_name, command = tuning.finetune_here(
            examples, order, base=base, data_dir=data_dir
        )
    if as_json:
        print_json({"examples": len(examples), "model": model_name, "chat": command})
        return
    say("Talk to it, today or after a restart:")
    # Alone on its line and never wrapped: it is there to be copied, also by programs.
    typer.echo(command)


@app.command()
def chat(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A tuned model's name. Without it: the newest one on this machine.",
            show_default=False,
        ),
    ] = None,
    *,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="Another server; its key is read from OPENAI_API_KEY.",
            show_default=False,
        ),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="A system message.", show_default=False)
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2)] = 0.7,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Longest answer, in tokens.")
    ] = 200,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Another model that answers beside it. Without it: the base model, on "
            "this machine and at a terminal.",
            show_default=False,
        ),
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="No other model's answers beside it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object an answer, on stdout.")
    ] = False,
) -> None:
    """Talk to a tuned model, its base beside it; or answer stdin line by line."""
    from langchain_chatexports.cli import chatting

    settings = chatting.ChatSettings(
        system=system,
        temperature=temperature,
        max_tokens=max_tokens,
        compare=compare,
        alone=alone,
        as_json=as_json,
    )
    if compare and alone:
        msg = "--compare and --alone say the opposite of each other: leave one out."
        raise typer.BadParameter(msg)
    if base_url:
        if model is None:
            msg = "With --base-url the model must be named."
            raise typer.BadParameter(msg)
        chatting.chat_elsewhere(model, base_url, settings)
    else:
        chatting.chat_here(model, data_dir, settings)


@app.command()
def serve(
    *,
    base: Base = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0: any free port.")
    ] = 8199,
    data_dir: DataDir = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=BASE",
            help="Answer to another model name too, for programs that insist on one: "
            "gpt-3.5-turbo=SmolLM2-135M-Instruct.",
            show_default=False,
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="The key to ask for.", show_default="a new random one"),
    ] = None,
    max_training_jobs: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Jobs that may train at the same time; each needs the memory of one.",
        ),
    ] = 1,
    list_bases: Annotated[
        bool,
        typer.Option(
            "--list-bases", help="List base models with size, memory, licence, and end."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the local server: OpenAI's files, fine-tuning and chats, on 127.0.0.1."""
    from langchain_chatexports.cli import serving

    if list_bases:
        serving.print_bases(as_json=as_json)
        return
    serving.serve(
        base=base,
        port=port,
        data_dir=data_dir,
        alias=alias,
        api_key=api_key,
        max_training_jobs=max_training_jobs,
        as_json=as_json,
    )


@app.command()
def models(
    *,
    delete: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Delete a model with its checkpoints; may be given several times.",
            show_default=False,
        ),
    ] = None,
    delete_everything: Annotated[
        bool,
        typer.Option(
            "--delete-everything", help="Delete all models, jobs and uploaded examples."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the tuned models of this machine, or delete what the local server keeps."""
    from langchain_chatexports.cli import keeping

    if delete_everything:
        keeping.delete_everything(data_dir, agreed=yes)
    elif delete:
        keeping.delete_models(delete, data_dir)
    else:
        keeping.print_models(data_dir, as_json=as_json)


@app.command()
def export_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="The tuned model's name.", show_default=False
        ),
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="The folder to write.", show_default=False
        ),
    ],
    *,
    data_dir: DataDir = None,
) -> None:
    """Merge a tuned model into its base, for llama.cpp, Ollama, vLLM, transformers."""
    from langchain_chatexports.cli import keeping

    keeping.export(model, folder, data_dir)


@app.command()
def demo(
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where to write the sample exports.",
            show_default="a temporary folder",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show all of it: sample exports, examples, a fine-tune here, an answer."""
    from langchain_chatexports.cli.demonstration import run_demo

    run_demo(folder=folder, data_dir=data_dir, as_json=as_json)


@app.command()
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
            help="Name or handle of somebody to take out; may be given several times.",
            show_default=False,
        ),
    ] = None,
    conversation: Annotated[
        list[str] | None,
        typer.Option(
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
            help="The key file, for a set in which names were replaced: people and "
            "conversations are named as in the export.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
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


def run() -> None:
    """Run the command line and turn errors into a line and an exit status."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # Names and answers may hold any character, and a pipe on Windows knows few.
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")
    with manners(debug=debug):
        app(args=arguments)


def _prepare_options(
    *, ai: list[str] | None, split_gap: str | None, **chosen: Any
) -> "PrepareOptions":
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

"""`chatexports finetune`, `chat`, `serve`, `models`, `export-model` and `demo`."""

# No postponed annotations here: typer reads them at run time.
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports.cli.console import print_json, say
from langchain_chatexports.cli.making import prepare_options
from langchain_chatexports.cli.options import (
    Ai,
    AiRole,
    AsJson,
    Base,
    Contacts,
    DataDir,
    KeepTail,
    KeepTrailing,
    LabelGroups,
    MaxMessages,
    MaxTokens,
    Overlap,
    PathsOrExamples,
    Size,
    SplitGap,
    SystemPrompt,
    Whole,
)

__all__ = ["chat", "demo", "export_model", "finetune", "models", "serve"]

# OpenAI's limit.
_MAX_SUFFIX_LENGTH = 64


def finetune(
    paths: PathsOrExamples,
    *,
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
    base: Base = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            rich_help_panel="On another server",
            metavar="URL",
            help="Another server that speaks OpenAI's protocol; its key is read from "
            "OPENAI_API_KEY. The examples are uploaded to it.",
            show_default=False,
        ),
    ] = None,
    openai: Annotated[
        bool,
        typer.Option(
            "--openai",
            rich_help_panel="On another server",
            help="Upload to OpenAI and train there.",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            rich_help_panel="On another server",
            metavar="MODEL",
            help="Base model on the other server (with --base-url or --openai).",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=50,
            help="Passes over the data.",
            show_default="auto",
        ),
    ] = None,
    suffix: Annotated[
        str | None,
        typer.Option(
            metavar="WORD", help="A word for the new model's name.", show_default=False
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", rich_help_panel="On another server", help="Upload without asking."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model on exports or examples; on this machine unless told otherwise.

    Ends with the `chatexports chat` command that talks to the new model.
    """
    from langchain_chatexports.cli import tuning

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
    if suffix is not None and not 1 <= len(suffix) <= _MAX_SUFFIX_LENGTH:
        msg = f"--suffix must have 1 to {_MAX_SUFFIX_LENGTH} characters."
        raise typer.BadParameter(msg)
    url = base_url or (tuning.OPENAI_URL if openai else None)
    _check_place(
        url, model, is_both=bool(base_url and openai), is_here=bool(base or data_dir)
    )
    order = tuning.Order(epochs=epochs, suffix=suffix)
    examples, done = tuning.prepared(paths, options)
    done.say_speaker()
    if url is not None and model is not None:
        model_name, command = tuning.finetune_elsewhere(
            examples, order, base_url=url, model=model, agreed=yes
        )
    else:
        model_name, command = tuning.finetune_here(
            examples, order, base=base, data_dir=data_dir
        )
    if as_json:
        print_json({"examples": len(examples), "model": model_name, "chat": command})
        return
    say("Talk to it, today or after a restart:")
    # Alone on its line and never wrapped: it is there to be copied, also by programs.
    typer.echo(command)


def _check_place(
    url: str | None, model: str | None, *, is_both: bool, is_here: bool
) -> None:
    """Find out what does not go together before an export is read for it."""
    if is_both:
        msg = "--openai and --base-url are two servers: name one."
        raise typer.BadParameter(msg)
    if url is None:
        if model:
            msg = "--model goes with --base-url or --openai; here it is --base."
            raise typer.BadParameter(msg)
        return
    if is_here:
        msg = "--base and --data-dir belong to the local server: leave them out."
        raise typer.BadParameter(msg)
    if model is None:
        msg = "--model must name the base model on the other server."
        raise typer.BadParameter(msg)
    from langchain_chatexports.cli.chatting import key_for

    key_for(url)


def chat(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A tuned model's name. Without it: the newest one on this machine.",
            show_default=False,
        ),
    ] = None,
    *,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another server; its key is read from OPENAI_API_KEY.",
            show_default=False,
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="A system message.", show_default=False),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            metavar="T",
            min=0,
            max=2,
            help="How freely it writes: 0 always the same, 1 as it learned.",
        ),
    ] = 0.7,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Longest answer, in tokens.")
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


def serve(
    *,
    base: Base = None,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0: any free port.")
    ] = 8199,
    data_dir: DataDir = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=BASE",
            help="Answer to another model name too, for programs that insist on one.",
            show_default=False,
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The key to ask for. Whoever lists processes sees it: --api-key-file.",
            show_default=False,
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The key to ask for, on the first line of a file.",
            show_default="a new random key",
        ),
    ] = None,
    max_training_jobs: Annotated[
        int,
        typer.Option(
            metavar="N",
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
        api_key_file=api_key_file,
        max_training_jobs=max_training_jobs,
        as_json=as_json,
    )


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
    if as_json or not (delete or delete_everything):
        keeping.print_models(data_dir, as_json=as_json)


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


def demo(
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
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

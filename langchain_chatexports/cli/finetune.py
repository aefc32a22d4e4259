"""`chatexports finetune`: from exports or examples to a tuned model."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from langchain_chatexports._terminal import plural, printable
from langchain_chatexports.cli._chat_options import ChatOptions
from langchain_chatexports.cli._console import (
    TrainingProgress,
    command_line,
    confirmed,
    print_json,
    say,
)
from langchain_chatexports.cli._durations import parse_duration
from langchain_chatexports.cli._example_options import ExampleOptions, Validation
from langchain_chatexports.cli._jobs import (
    LocalJob,
    RemoteJob,
    say_base,
    shared_server,
)
from langchain_chatexports.cli._options import (
    AsJson,
    Base,
    DataDir,
    Epochs,
    Time,
    command,
)
from langchain_chatexports.cli.chat import key_for
from langchain_chatexports.cli.prepare import say_speaker
from langchain_chatexports.exceptions import TrainingBudgetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.finetuning.tuner import ChatFineTuner
    from langchain_chatexports.local_server import LocalServer

__all__ = ["TrainingChoices", "chat_command", "finetune", "train"]

_OPENAI_URL = "https://api.openai.com/v1"
_ELSEWHERE = "On another server"
# OpenAI's limit.
_MAX_SUFFIX_LENGTH = 64


@dataclass(frozen=True)
class TrainingChoices:
    """What was asked for beside the data.

    Attributes:
        epochs: Passes over the data; `None` for the server's own rule.
        suffix: A word for the new model's name.
        validation: Examples to measure with after each epoch.
        labels: The job's metadata.
        run_again: Whether to train again where these examples were trained on before.
        keeps_file: Whether the server keeps the examples after the training.
        proposes_bases: Whether to say what larger bases would take.
        rest: Returns how many seconds of the command are left after the training, from
            the seconds of a step and the number of steps.
    """

    epochs: int | None = None
    suffix: str | None = None
    validation: Sequence[TrainingExample] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    run_again: bool = False
    keeps_file: bool = True
    proposes_bases: bool = False
    rest: Callable[[float, int], float | None] | None = None


@command
def finetune(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Exports, as for prepare, or what prepare has written: JSONL files, "
            "or the folder of a split set, whose test part is not used.",
            show_default=False,
            readable=False,
        ),
    ],
    *,
    options: ExampleOptions,
    chats: ChatOptions,
    base: Base = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_ELSEWHERE,
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
            rich_help_panel=_ELSEWHERE,
            help="Upload to OpenAI and train there.",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_ELSEWHERE,
            metavar="MODEL",
            help="Base model on the other server (with --base-url or --openai).",
            show_default=False,
        ),
    ] = None,
    epochs: Epochs = None,
    time: Time = None,
    validation: Validation = "auto",
    suffix: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            help="A word for the new model's name. Without it: on this machine the "
            "person's name, elsewhere none.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Upload, or download a base, without asking."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model on exports or examples; on this machine unless told otherwise.

    Ends with the `chatexports chat` command that talks to the new model.

    For example:
        chatexports finetune chat.db --ai Tortoise
        chatexports finetune examples.jsonl --base Qwen/Qwen3.5-0.8B
    """
    from langchain_chatexports import local_server

    # They import what reads, splits and measures.
    from langchain_chatexports.cli._finetune_data import parse_share, read_training_data
    from langchain_chatexports.cli._training_plan import choose_base
    from langchain_chatexports.local_server.storage.models import names_of_job

    prepared = replace(options.prepare_options(), chats=chats.choice())
    share = parse_share(validation)
    seconds = None
    if time is not None:
        seconds = parse_duration(time, "--time").total_seconds()
    if time is not None and base is not None:
        msg = "--time chooses the base: leave --base or --time out."
        raise typer.BadParameter(msg)
    if suffix is not None and not 1 <= len(suffix) <= _MAX_SUFFIX_LENGTH:
        msg = f"--suffix must have 1 to {_MAX_SUFFIX_LENGTH} characters."
        raise typer.BadParameter(msg)
    if openai and base_url:
        msg = "--openai and --base-url are two servers: name one."
        raise typer.BadParameter(msg)
    url = base_url or (_OPENAI_URL if openai else None)
    _check_place(url, model, is_here=bool(base or data_dir or time))
    if url is None:
        local_server.check_extra()
    elif share == "auto":
        share = None
    data = read_training_data(paths, prepared, share)
    say_speaker(data.preparation)
    choices = TrainingChoices(epochs, suffix, data.validation)
    if url is not None and model is not None:
        name = _train_elsewhere(
            data.examples, choices, url=url, model=model, agreed=yes
        )
        chat = chat_command(name, base_url=url)
    else:
        if seconds is not None:
            base = choose_base(
                seconds, data.examples, data.validation, epochs=epochs, agreed=yes
            )
        say_base(base)
        with shared_server(base, data_dir) as server:
            suffix, labels = names_of_job(data.person, data.source)
            choices = replace(
                choices,
                suffix=choices.suffix or suffix,
                labels=labels,
                proposes_bases=base is None and seconds is None,
            )
            name = train(server, data.examples, choices)
        chat = chat_command(name, data_dir=data_dir)
    if as_json:
        counts = {"examples": len(data.examples), "validation": len(data.validation)}
        print_json({**counts, "model": name, "chat": chat})
        return
    say("Talk to it, today or after a restart:")
    # Alone on its line and never wrapped, to be copied by people and programs.
    typer.echo(printable(chat))


def _check_place(url: str | None, model: str | None, *, is_here: bool) -> None:
    """Check what does not depend on the exports before they are read."""
    if url is None:
        if model:
            msg = "--model goes with --base-url or --openai; here it is --base."
            raise typer.BadParameter(msg)
        return
    if is_here:
        msg = (
            "--base, --time and --data-dir belong to the local server: leave them out."
        )
        raise typer.BadParameter(msg)
    if model is None:
        msg = "--model must name the base model on the other server."
        raise typer.BadParameter(msg)
    key_for(url)


def train(
    server: LocalServer,
    examples: list[TrainingExample],
    choices: TrainingChoices = TrainingChoices(),
) -> str:
    """Fine-tune the server's base model and show the progress.

    Ctrl-C stops the job, and says how to continue or to delete it.

    Args:
        server: A running local server.
        examples: The examples.
        choices: What was asked for.

    Returns:
        The new model's name.
    """
    # A job that is ordered anew each time is not found again.
    again = None if choices.run_again else command_line(*sys.argv[1:])
    with LocalJob(server, again=again) as job:
        return _train(
            examples,
            choices,
            job,
            model=server.base_model,
            base_url=server.base_url,
            api_key=server.api_key,
            # The local server takes dialogues that end with the user; OpenAI does not.
            allow_trailing=True,
        )


def _train_elsewhere(
    examples: list[TrainingExample],
    choices: TrainingChoices,
    *,
    url: str,
    model: str,
    agreed: bool,
) -> str:
    from langchain_chatexports.finetuning.connection import public_url

    host = urlsplit(public_url(url)).netloc
    job = RemoteJob(host)

    def confirm(estimate: Any) -> bool:
        more = f" and {len(choices.validation):,} more" if choices.validation else ""
        say(
            f"This uploads {plural(estimate.examples, 'example')}{more}, about "
            f"{estimate.tokens:,} tokens ({estimate.billed_tokens:,} billed over "
            f"{plural(estimate.epochs, 'epoch')}), to {host}."
        )
        msg = f"The upload to {host} needs --yes here, so nothing was sent."
        refusal = TrainingBudgetError(msg)
        agrees = confirmed("Upload?", agreed=agreed, refusal=refusal)
        return job.note_consent(agreed=agrees)

    with job:
        return _train(
            examples, choices, job, model=model, base_url=url, confirm=confirm
        )


def _train(
    examples: list[TrainingExample],
    choices: TrainingChoices,
    job: LocalJob | RemoteJob,
    **where: Any,
) -> str:
    from langchain_chatexports.cli._training_plan import checking, say_larger_bases
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    with TrainingProgress(choices.rest) as progress:

        def on_event(event: Any) -> None:
            is_new = event.id not in progress.told
            progress.on_event(event)
            if choices.proposes_bases and is_new:
                say_larger_bases(event)

        tuner: ChatFineTuner = ChatFineTuner(
            n_epochs=choices.epochs or "auto",
            suffix=choices.suffix,
            validation_examples=list(choices.validation) or None,
            metadata=dict(choices.labels) or None,
            run_again=choices.run_again,
            delete_training_file=not choices.keeps_file,
            on_event=on_event,
            **where,
        )
        with checking(len(examples) + len(choices.validation), **where):
            run = tuner.submit(examples)
        job.take_up(run, progress)
        job.wait(run)
    return str(run.chat_model().model_name)


def chat_command(
    name: str, *, data_dir: Path | None = None, base_url: str | None = None
) -> str:
    """Return the command that talks to a model, from any folder.

    Args:
        name: The model.
        data_dir: Where it is kept; `None` for the default.
        base_url: The server that has it; `None` for this machine.
    """
    where: list[str] = []
    if data_dir is not None:
        where = ["--data-dir", str(data_dir.expanduser().absolute())]
    if base_url is not None:
        where = ["--base-url", base_url]
    # Another server chooses the name: it must not be read as an option.
    words = ["--", name] if name.startswith("-") else [name]
    return command_line("chat", *where, *words)

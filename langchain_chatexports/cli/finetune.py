"""`chatexports finetune`: from exports or examples to a tuned model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from langchain_chatexports._terminal import plural, printable
from langchain_chatexports.cli._console import (
    confirmed,
    print_json,
    print_line,
    show_progress,
    speaker_chooser,
    stdin_is_terminal,
)
from langchain_chatexports.cli._options import (
    AsJson,
    Base,
    BaseUrl,
    ChatOptions,
    DataDir,
    ExampleOptions,
    check,
    command,
    flag,
    option,
    parse_duration,
)
from langchain_chatexports.cli._training import (
    TrainingDisplay,
    chat_command,
    print_base,
    settle_base,
)
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import LocalServerError, TrainingBudgetError
from langchain_chatexports.local_server.http.server import check_extra
from langchain_chatexports.workflows import prepare, train
from langchain_chatexports.workflows.bases import (
    choose_base,
    language_of_examples,
    measure_machine,
)
from langchain_chatexports.workflows.prepare import speakers
from langchain_chatexports.workflows.train_elsewhere import (
    OPENAI_URL,
    key_for,
    train_elsewhere,
)
from langchain_chatexports.workflows.training_events import StoppedEvent


@command
def finetune(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Exports, or what prepare has written: JSONL files, or the folder of "
            "a split set.",
            readable=False,
        ),
    ],
    *,
    options: ExampleOptions,
    chats: ChatOptions,
    base: Base = None,
    time: Annotated[
        str | None,
        option(
            "DURATION",
            "Choose the best base that trains here within this time (30m, 2h).",
        ),
    ] = None,
    base_url: BaseUrl = None,
    openai: Annotated[
        bool, flag("--openai", "Upload to OpenAI and train there.")
    ] = False,
    data_dir: DataDir = None,
    yes: Annotated[bool, flag("--yes", "Upload or download without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model on exports or examples.

    It trains on this machine, unless --base-url or --openai is given, and ends with the
    `chatexports chat` command that talks to the new model.

    For example:
        chatexports finetune chat.db --ai Tortoise
        chatexports finetune examples.jsonl --base Qwen/Qwen3.5-0.8B
    """
    choices = options.prepare_options(chats)
    seconds = None
    if time is not None:
        seconds = parse_duration(time, "--time").total_seconds()
    url = base_url or (OPENAI_URL if openai else None)
    is_other_program = (base or "").startswith(("ollama:", "http://", "https://"))
    check(
        (openai and base_url, "--openai and --base-url are two servers: name one."),
        (time and base, "--time chooses the base: leave --base or --time out."),
        (
            is_other_program,
            "A model of another program cannot be trained. Name a base with weights.",
        ),
        (
            url and (time or data_dir),
            "--time and --data-dir belong to this machine: leave them out.",
        ),
        (
            url and not base,
            "--base must name the base model on the other server.",
        ),
    )
    if url is not None:
        key_for(url)
    else:
        check_extra()

    def read(limit: int | None) -> TrainingData:
        return prepare(
            paths,
            replace(choices, limit=limit),
            validation=None if url else "auto",
            choose_speaker=speaker_chooser(),
            watch=show_progress,
        )

    data = read(choices.limit)
    _print_data(data)
    data.require_enough()
    if url is not None and base is not None:
        name = _train_elsewhere(data, base, url, agreed=yes)
    else:
        if base is None:
            base, limit = _choose_base(data, seconds, agreed=yes)
            if limit is not None:
                data = read(limit)
                data.require_enough()
        else:
            language = language_of_examples(data.examples)
            print_base(base, language, data.examples)
        with TrainingDisplay(data_dir) as show:
            name = train(
                data, base, data_dir=data_dir, on_event=show, watch=show_progress
            ).name
    chat = chat_command(name, data_dir=data_dir, base_url=url)
    if as_json:
        counts = {"examples": len(data.examples), "validation": len(data.validation)}
        print_json({**counts, "model": name, "chat": chat})
        return
    print_line("Talk to it, today or after a restart:")
    # On a line of its own and never wrapped, so that people and programs can copy it.
    typer.echo(printable(chat))


def _print_data(data: TrainingData) -> None:
    for export, summary in data.preparation.summaries():
        print_line(
            f"{export}, {summary.kept:,} of {plural(summary.found, 'message')} kept"
        )
    owners = dict.fromkeys(owner for _, owner in speakers(data.preparation))
    whose = f" in the voice of {', '.join(owners)} (the export's owner)"
    print_line(f"{data}{whose if owners else ''}")


def _choose_base(
    data: TrainingData, seconds: float | None, *, agreed: bool
) -> tuple[str | None, int | None]:
    """Return the base that fits the time, and a limit of examples if one is needed."""
    measured = None
    if seconds is not None or agreed or stdin_is_terminal():
        print_line("Measuring this machine …")
        measured = measure_machine()
    choice, base = settle_base(
        lambda downloads: choose_base(
            data,
            seconds,
            seconds_per_token=measured,
            downloads=downloads,
        ),
        agreed=agreed,
    )
    if choice.limit is not None:
        fits = f"the newest {choice.limit:,} examples fit (--limit {choice.limit})"
        print_line(f"Even the smallest base takes longer than that; {fits}.")
        msg = f"Nothing was trained. Add --limit {choice.limit}, or allow more time."
        refusal = LocalServerError(msg)
        question = f"Train on the newest {choice.limit:,} only?"
        if not confirmed(question, agreed=agreed, refusal=refusal):
            raise refusal
    return base, choice.limit


def _train_elsewhere(data: TrainingData, base: str, url: str, *, agreed: bool) -> str:
    hosts: list[str] = []

    def confirm(host: str, estimate: Any) -> bool:
        hosts.append(host)
        print_line(
            f"This uploads {plural(estimate.examples, 'example')}, about "
            f"{estimate.tokens:,} tokens ({estimate.billed_tokens:,} billed over "
            f"{plural(estimate.epochs, 'epoch')}), to {host}."
        )
        msg = f"The upload to {host} needs --yes here, so nothing was sent."
        refusal = TrainingBudgetError(msg)
        return confirmed("Upload?", agreed=agreed, refusal=refusal)

    with TrainingDisplay() as show:

        def on_event(event: Any) -> None:
            if not isinstance(event, StoppedEvent):
                show(event)
            elif event.outcome == "nothing sent":
                print_line("Nothing was sent.")
            elif event.job_id is None:
                print_line(
                    f"If {hosts[0]} has the job already, it continues, and may cost."
                )
                print_line("Run the same command again to find it.")
            else:
                print_line(f"Job {event.job_id} continues on {hosts[0]}, and may cost.")
                print_line(
                    "Run the same command again to wait for it. To cancel, go there."
                )

        return train_elsewhere(data, base, url, confirm=confirm, on_event=on_event)

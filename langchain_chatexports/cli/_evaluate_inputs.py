"""What `chatexports evaluate` compares: held-out conversations, and the models."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.ledger import Ledger
from langchain_chatexports.cli._console import (
    Meter,
    command_line,
    confirmed,
    reading,
    say,
    watching,
)
from langchain_chatexports.cli._jobs import shared_server
from langchain_chatexports.cli.chat import TEST_RUN, kept_model, key_for
from langchain_chatexports.cli.finetune import TrainingChoices, say_base, train
from langchain_chatexports.cli.prepare import (
    prepare_with_speaker,
    say_speaker,
    say_unused,
)
from langchain_chatexports.evaluation.canaries import (
    make_canaries,
    plant_canaries,
    probe_canaries,
)
from langchain_chatexports.evaluation.halves import (
    Halves,
    halves_of_examples,
    halves_of_exports,
)
from langchain_chatexports.evaluation.held_out import require_turns
from langchain_chatexports.evaluation.model_server import ModelServer
from langchain_chatexports.exceptions import (
    ChatExportError,
    LocalServerError,
)
from langchain_chatexports.finetuning.clients import public_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.evaluation.conversations import Dialogue
    from langchain_chatexports.evaluation.results import Secrets
    from langchain_chatexports.local_server import LocalServer

__all__ = [
    "Models",
    "Stages",
    "models_elsewhere",
    "models_here",
    "probed_secrets",
    "read_halves",
]

_REPEATS = (1, 4, 16)
_PROBING = "probing secrets"
# What a stage counts, if not turns.
_UNITS = {"comparing": "tables", _PROBING: "questions"}


@dataclass(frozen=True)
class Models:
    """Where the models are, and their names."""

    server: ModelServer
    tuned: str
    base: str | None
    local: LocalServer | None = None


class Stages:
    """Shows the progress of one stage after another."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._what = ""
        self._done = 0

    def __enter__(self) -> Self:
        """Return it; progress appears with the first stage."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the progress."""
        self._stack.close()

    def pause(self) -> None:
        """Show nothing until the next stage."""
        self._stack.close()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show the progress of a stage."""
        if what != self._what:
            self._stack.close()
            self._what, self._done = what, done
            unit = _UNITS.get(what, "turns")
            meter = Meter(unit, lambda: self._done, total, lambda: what)
            self._stack.enter_context(watching(meter))
        self._done = done


def read_halves(
    paths: Sequence[Path],
    training: Path | None,
    speaker: PrepareOptions,
    *,
    holds_out_enough: bool,
) -> Halves:
    """Read what was trained on, and what was held out.

    Args:
        paths: A set with both parts, files of held-out examples, or exports.
        training: The file of examples that the model was trained on.
        speaker: Who the person is, in exports, and where conversations are cut.
        holds_out_enough: Whether as much is held out of an export as a comparison
            needs, or as little as `prepare --split` does.

    Raises:
        ExportNotFoundError: If one half is missing.
        TrainingDataError: If the person does not speak in both.
    """
    halves = halves_of_examples(paths, training)
    if halves is not None:
        say_unused(speaker)
        if speaker.limit is not None:
            say("warning: --limit: for exports only, and these are examples")
    else:
        windows: list[TracedExample] = []

        def read(preparation: Preparation) -> None:
            with reading(preparation):
                ledger = Ledger()
                windows[:] = preparation.newest(preparation.traced(ledger), ledger)

        # As `prepare --split` does, so that a model trained on its train.jsonl fits.
        options = replace(speaker, keep_tail=True)
        done = prepare_with_speaker(paths, options, read)
        say_speaker(done)
        halves = halves_of_exports(windows, done, holds_out_enough=holds_out_enough)
    require_turns(halves.data)
    return halves


@contextmanager
def models_here(
    halves: Halves,
    *,
    model: str | None,
    base: str | None,
    data_dir: Path | None,
    finetune: bool,
) -> Iterator[Models]:
    """Start a local server with a kept model, or train one on the training half.

    Args:
        halves: What is compared.
        model: The tuned model's name; `None` for the newest.
        base: The base to train.
        data_dir: Where the server keeps its models; `None` for the default.
        finetune: Whether to train.

    Yields:
        The models.
    """
    if finetune:
        say_base(base)
    else:
        kept = kept_model(model, data_dir)
        model, base = kept.name, kept.base
        say(f"Starting {model} …")
    with ExitStack() as stack:
        server = stack.enter_context(shared_server(base, data_dir))
        if finetune:
            examples = plural(len(halves.examples), "example")
            say(f"Training on {examples} of the earlier part")
            model = train(server, halves.examples)
            stack.enter_context(_saying_what_is_kept(model))
        client = stack.enter_context(_client(server.base_url, server.api_key))
        yield Models(ModelServer(client), str(model), server.base_model, server)


@contextmanager
def _saying_what_is_kept(model: str) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        delete = command_line("models", "--delete", model)
        say(
            f"The trained model is kept: {model}. Run the same command again to "
            f"measure it, or delete it: {delete}"
        )
        raise


@contextmanager
def models_elsewhere(
    halves: Halves,
    *,
    model: str | None,
    base_model: str | None,
    base_url: str,
    agreed: bool,
) -> Iterator[Models]:
    """Use models of another server, after asking whether to send messages there.

    Args:
        halves: What is compared.
        model: The tuned model's name there.
        base_model: The base model's name there, if it is to be compared too.
        base_url: The server; its key is read from `OPENAI_API_KEY`.
        agreed: Whether to continue without asking.

    Yields:
        The models.
    """
    if model is None:
        msg = "With --base-url the tuned model must be named: --model."
        raise typer.BadParameter(msg)
    with _client(base_url, key_for(base_url)) as client:
        server = ModelServer(client)
        if not server.is_here:
            host = urlsplit(public_url(base_url)).netloc
            held_out = plural(len(halves.data.held_out), "held-out conversation")
            examples = ", and few-shot examples of the rest," if base_model else ""
            say(
                f"This sends messages of {held_out}{examples} to {host}, several times."
            )
            msg = f"Sending them to {host} needs --yes here, so nothing was sent."
            refusal = ChatExportError(msg)
            if not confirmed("Send?", agreed=agreed, refusal=refusal):
                raise typer.Abort
        yield Models(server, model, base_model)


def probed_secrets(
    halves: Halves, models: Models, *, seed: int, progress: Stages
) -> list[Secrets]:
    """Train a model of its own on examples with secrets, probe it, and delete it.

    Args:
        halves: What is compared.
        models: The local server and its base.
        seed: Random seed.
        progress: Shows the progress.
    """
    if models.local is None or models.base is None:
        msg = "Secrets are planted on the local server only: leave --base-url out."
        raise LocalServerError(msg)
    most = sum(bool(found.replies()) for found in halves.data.training)
    repeats = [count for count in _REPEATS if count <= most]
    canaries = make_canaries(seed=seed, repeats=repeats)
    examples = plant_canaries(halves.data.training, canaries, seed=seed)
    planted = sum(canary.repeats > 0 for canary in canaries)
    say(
        f"Test run: training on {plural(len(examples), 'example')} with "
        f"{plural(planted, 'secret')} in them; the model is deleted afterwards"
    )
    choices = TrainingChoices(suffix=TEST_RUN, run_again=True, keeps_file=False)
    try:
        name = train(models.local, examples, choices)
    except BaseException:
        # Otherwise the server would continue the job the next time it starts.
        models.server.discard_jobs(TEST_RUN)
        raise
    try:
        return probe_canaries(
            models.server,
            canaries,
            tuned=name,
            base=models.base,
            seed=seed,
            system=_usual_system(halves.data.training),
            progress=lambda done, total: progress(_PROBING, done, total),
        )
    finally:
        models.server.delete_model(name)


def _usual_system(training: Sequence[Dialogue]) -> str | None:
    # None, if most conversations have no system prompt.
    prompts = Counter(found.system for found in training)
    return prompts.most_common(1)[0][0]


def _client(base_url: str, key: str) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=base_url, api_key=key)

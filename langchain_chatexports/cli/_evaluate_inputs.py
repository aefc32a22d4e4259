"""What `chatexports evaluate` compares: held-out conversations, and the models."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import (
    Meter,
    command_line,
    confirmed,
    say,
    time_left_in_all,
    watching,
)
from langchain_chatexports.cli._finetune_data import read_examples
from langchain_chatexports.cli._jobs import say_base, shared_server
from langchain_chatexports.cli.chat import kept_model, key_for
from langchain_chatexports.cli.finetune import TrainingChoices, train
from langchain_chatexports.cli.prepare import say_speaker, say_unused
from langchain_chatexports.datasets.trace import speaker_of
from langchain_chatexports.datasets.training_data import hold_out
from langchain_chatexports.evaluation.canaries import (
    make_canaries,
    plant_canaries,
    probe_canaries,
)
from langchain_chatexports.evaluation.contestants import WrongPerson
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
from langchain_chatexports.finetuning.connection import public_url
from langchain_chatexports.local_server.storage.models import TEST_RUN, names_of_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from langchain_chatexports.datasets.preparation import PrepareOptions
    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.datasets.training_data import Share
    from langchain_chatexports.evaluation.conversations import Dialogue
    from langchain_chatexports.evaluation.results import Secrets
    from langchain_chatexports.evaluation.time_left import TimeLeft
    from langchain_chatexports.local_server import LocalServer

__all__ = [
    "Models",
    "OwnTraining",
    "Stages",
    "held_out_enough",
    "models_elsewhere",
    "models_here",
    "probed_secrets",
    "read_halves",
]

EARLIER = "earlier part"
"""How the source of a model that `evaluate --finetune` has trained ends."""

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
    wrong_person: WrongPerson | None = None
    replies: int = 0
    """How many earlier replies the tuned model was trained with."""


@dataclass(frozen=True)
class OwnTraining:
    """How `evaluate --finetune` trains.

    Attributes:
        base: The base to train; `None` for the default.
        seconds: Choose the base by this time instead.
        epochs: Passes over the examples; `None` for the server's own rule.
        share: Which share of the earlier part is held out for validation.
        wrong_person: Another person, on whose words a second model is trained.
        agreed: Whether a base is downloaded without asking.
    """

    base: str | None = None
    seconds: float | None = None
    epochs: int | None = None
    share: Share = "auto"
    wrong_person: str | None = None
    agreed: bool = False


class Stages:
    """Shows the progress of one stage after another, and the time left of all."""

    def __init__(self, left: TimeLeft, *, has_unknown: bool = False) -> None:
        """Initialize the progress.

        Args:
            left: Estimates the time that is left.
            has_unknown: Whether there is a stage of which nothing is known before it
                begins, as of planted secrets.
        """
        self._time_left = left
        self._has_unknown = has_unknown
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
        is_next = what != self._what
        if is_next:
            self._stack.close()
        self._time_left.note(what, done, total)
        if is_next:
            self._what, self._done = what, done
            unit = _UNITS.get(what, "turns")
            meter = Meter(unit, lambda: self._done, total, self._made)
            self._stack.enter_context(watching(meter))
        self._done = done

    def _made(self) -> str:
        seconds = self._time_left.seconds()
        if seconds is None or self._what in _UNITS:
            return self._what
        return f"{self._what}, {time_left_in_all(seconds)}"

    def rest(
        self, turns: int, more: float = 0
    ) -> Callable[[float, int], float | None] | None:
        """Return what estimates, while a model is trained, what comes after that.

        Args:
            turns: How many turns will be answered.
            more: How much more is trained, as a share of this training.
        """
        if self._has_unknown:
            return None
        return lambda each, steps: (
            more * steps * each + self._time_left.seconds_after_training(each, turns)
        )


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
        # As `prepare --split` does, so that a model trained on its train.jsonl fits.
        options = (
            speaker
            if speaker.keep_tail is not None
            else replace(speaker, keep_tail=True)
        )
        done, windows = read_examples(paths, options)
        say_speaker(done)
        halves = halves_of_exports(windows, done, holds_out_enough=holds_out_enough)
    require_turns(halves.data)
    return halves


@contextmanager
def models_here(
    halves: Halves | None,
    *,
    model: str | None,
    data_dir: Path | None,
    training: OwnTraining | None,
    stages: Stages,
    turns: int,
) -> Iterator[Models]:
    """Start a local server with a kept model, or train one on the training half.

    Args:
        halves: What is compared; only training needs it.
        model: The tuned model's name; `None` for the newest.
        data_dir: Where the server keeps its models; `None` for the default.
        training: How to train one; `None` for not.
        stages: Estimates what comes after the training.
        turns: How many turns will be answered, at most.

    Yields:
        The models.
    """
    if training is None or halves is None:
        kept = kept_model(model, data_dir)
        say(f"Starting {kept.name} …")
        with (
            shared_server(kept.base, data_dir) as server,
            _client(server.base_url, server.api_key) as client,
        ):
            yield Models(
                *(ModelServer(client), kept.name, server.base_model, server),
                replies=kept.prompt.replies,
            )
        return
    answered = min(turns, sum(len(found.replies()) for found in halves.data.held_out))
    replies = halves.preparation.options.replies if halves.preparation else 0
    examples, validation, _ = hold_out(halves.training, training.share, replies=replies)
    another = training.wrong_person
    # Read before the training, which takes long.
    others = halves.training_of_another(another) if another else []
    base = _base_for(training, examples, validation)
    say_base(base)
    with ExitStack() as stack:
        server = stack.enter_context(shared_server(base, data_dir))
        wrong = None
        if another:
            # First, so that the person's own model is the newest.
            what = plural(len(others), "example")
            say(f"Training on {what} of the other person, as a control")
            learned, apart, _ = hold_out(others, training.share, replies=replies)
            after = stages.rest(answered, len(examples) / max(len(learned), 1))
            name = _trained(server, halves, learned, apart, training, rest=after)
            person = speaker_of(halves.training) or ""
            called = speaker_of(others) or another
            wrong = WrongPerson(name, name=called, person=person)
        say(f"Training on {plural(len(examples), 'example')} of the earlier part")
        after = stages.rest(answered)
        model = _trained(server, halves, examples, validation, training, rest=after)
        stack.enter_context(_saying_what_is_kept(model))
        client = stack.enter_context(_client(server.base_url, server.api_key))
        yield Models(
            *(ModelServer(client), model, server.base_model, server, wrong),
            replies=replies,
        )


def _base_for(
    training: OwnTraining,
    examples: Sequence[TracedExample],
    validation: Sequence[TracedExample],
) -> str | None:
    if training.seconds is None:
        return training.base
    from langchain_chatexports.cli._training_plan import choose_base

    return choose_base(
        training.seconds,
        [item.example for item in examples],
        [item.example for item in validation],
        epochs=training.epochs,
        agreed=training.agreed,
    )


def _trained(
    server: LocalServer,
    halves: Halves,
    examples: Sequence[TracedExample],
    validation: Sequence[TracedExample],
    training: OwnTraining,
    *,
    rest: Callable[[float, int], float | None] | None,
) -> str:
    paths = halves.preparation.paths if halves.preparation else []
    source = ", ".join([*(path.name for path in paths), EARLIER])
    suffix, labels = names_of_job(speaker_of(examples), source)
    choices = TrainingChoices(
        epochs=training.epochs,
        suffix=suffix,
        validation=[item.example for item in validation],
        labels=labels,
        rest=rest,
    )
    return train(server, [item.example for item in examples], choices)


def held_out_enough(model: str | None, data_dir: Path | None) -> bool:
    """Return whether a model of this machine was trained by `evaluate --finetune`.

    It left out as much as a comparison needs, and is measured on the same part again.

    Args:
        model: The model's name; `None` for the newest.
        data_dir: Where it is kept; `None` for the default.
    """
    try:
        kept = kept_model(model, data_dir)
    except LocalServerError:
        return False  # Said when it is needed.
    return (kept.source or "").endswith(EARLIER)


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
            say(
                f"This sends messages of {held_out}, and examples of the rest, to "
                f"{host}, several times."
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

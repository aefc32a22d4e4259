"""`chatexports evaluate`: does the tuned model sound like the person?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._chat_options import ChatOptions
from langchain_chatexports.cli._console import (
    print_json,
    printable_lines,
    say,
    show_rows,
    stderr_console,
    stdin_is_terminal,
)
from langchain_chatexports.cli._durations import parse_duration
from langchain_chatexports.cli._example_options import ExampleOptions, Validation
from langchain_chatexports.cli._options import (
    AsJson,
    Base,
    DataDir,
    Epochs,
    Force,
    Time,
    command,
    refuse_to_overwrite,
    refuse_to_replace,
)
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from langchain_chatexports.cli._evaluate_inputs import Models, OwnTraining
    from langchain_chatexports.evaluation import BlindPair, BlindResult, Evaluation
    from langchain_chatexports.evaluation.contestants import Kind
    from langchain_chatexports.evaluation.halves import Halves

__all__ = ["evaluate", "guess"]

_TEMPERATURES = (1.0, 0.7)
_CONTESTANTS = "base,few-shot,hybrid"
_KNOWN_CONTESTANTS: tuple[Kind, ...] = ("base", "few_shot", "hybrid", "persona")
_LETTERS, _SURE = "ab", "123"


@command
def evaluate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH...]",
            help="The folder of a set that prepare --split has written; or exports; or "
            "files of held-out examples (with --training). Without it: what the "
            "model's own training held out.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    *,
    training: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The examples that the model was trained on, where PATH holds the "
            "held-out ones only.",
            show_default=False,
        ),
    ] = None,
    options: ExampleOptions,
    chats: ChatOptions,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The tuned model. Without it: the newest one on this machine.",
            show_default=False,
        ),
    ] = None,
    finetune: Annotated[
        bool,
        typer.Option(
            "--finetune",
            help="First train on the earlier part, on this machine, so that nothing "
            "held out was trained on.",
        ),
    ] = False,
    wrong_person: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --finetune: also train on another person's words in the same "
            "chats, as a control. What that model gains is not the person's.",
            show_default=False,
        ),
    ] = None,
    epochs: Epochs = None,
    time: Time = None,
    validation: Validation = "auto",
    base: Base = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another server that has the models; its key is read from "
            "OPENAI_API_KEY. Held-out messages are sent to it; the loss is not "
            "measured.",
            show_default=False,
        ),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The base model on the other server, to compare with.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Send, or download a base, without asking.")
    ] = False,
    contestants: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Who is compared with the tuned model, with commas between them: "
            "base; few-shot, the base with examples; hybrid, the tuned model with "
            "earlier replies as in chat; persona, the base as the person, without a "
            "training. Each of them takes its time.",
        ),
    ] = _CONTESTANTS,
    turns: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Held-out turns to answer, at most."),
    ] = 200,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            metavar="T",
            min=0,
            max=2,
            help="How much the models' answers vary; may be given several times. The "
            "first one counts.",
            show_default="1 and 0.7",
        ),
    ] = None,
    secrets: Annotated[
        bool,
        typer.Option(
            "--secrets",
            help="Also train a second model on examples with planted secrets, try to "
            "get them out of it, and delete it. Takes longer than everything else.",
        ),
    ] = False,
    blind: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Show you N pairs of answers, the person's and the model's, and let "
            "you guess which is real. 40 give a result, 20 an impression.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Random seed.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The HTML file to write.",
            show_default="evaluation.html; with --json none",
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Measure how much a tuned model sounds like the person.

    The base model, the base with examples in its prompt, and the tuned model without
    and with earlier replies answer the same held-out messages. What they write is
    counted and compared with what the person wrote there; no model judges. The page
    holds figures only, no text of any message.

    For example:
        chatexports evaluate set
        chatexports evaluate chat.db --ai Tortoise --finetune
    """
    from langchain_chatexports.evaluation import check_extra

    check_extra()
    paths = paths or []
    _check(base_url, base=base, finetune=finetune, secrets=secrets, model=model)
    _check_paths(paths, needs_them=bool(base_url or finetune or training))
    compared = _contestants(contestants)
    own = None
    if finetune:
        own = _own_training(
            base,
            epochs=epochs,
            time=time,
            validation=validation,
            wrong_person=wrong_person,
            agreed=yes,
        )
    elif wrong_person or epochs or time or validation != "auto":
        msg = "--wrong-person, --epochs, --time and --validation go with --finetune."
        raise typer.BadParameter(msg)
    from langchain_chatexports import evaluation, local_server
    from langchain_chatexports.cli import _evaluate_inputs
    from langchain_chatexports.evaluation.time_left import TimeLeft

    if not base_url:
        local_server.check_extra()
    if blind and not stdin_is_terminal():
        msg = "--blind asks you to guess, and there is no terminal. Leave it out."
        raise ChatExportError(msg)
    target = _place(output, paths, as_json=as_json, force=force)
    settings = evaluation.EvaluationSettings(
        temperatures=tuple(temperature or _TEMPERATURES),
        turns=turns,
        seed=seed,
        contestants=compared,
    )
    left = TimeLeft(settings.passes(has_wrong_person=bool(wrong_person)))
    stages = _evaluate_inputs.Stages(left, has_unknown=secrets)
    halves = None
    if paths:
        halves = _evaluate_inputs.read_halves(
            paths,
            training,
            replace(options.prepare_options(), chats=chats.choice()),
            holds_out_enough=finetune
            or (not base_url and _evaluate_inputs.held_out_enough(model, data_dir)),
        )
        _say_halves(halves)
    if base_url and halves:
        opened = _evaluate_inputs.models_elsewhere(
            halves, model=model, base_model=base_model, base_url=base_url, agreed=yes
        )
    else:
        opened = _evaluate_inputs.models_here(
            halves,
            model=model,
            data_dir=data_dir,
            training=own,
            stages=stages,
            turns=turns,
        )

    def ask(pairs: list[BlindPair]) -> BlindResult | str:
        stages.pause()
        return guess(pairs, blind or 0)

    with opened as models, stages:
        halves = halves or _said_halves(models)
        settings = settings.for_model(replies=models.replies)
        left.start(settings.passes(has_wrong_person=bool(wrong_person)))
        findings = evaluation.evaluate(
            halves.data,
            models.server,
            tuned=models.tuned,
            base=models.base,
            wrong_person=models.wrong_person,
            settings=settings,
            secrets=(
                partial(
                    _evaluate_inputs.probed_secrets,
                    halves,
                    models,
                    seed=seed,
                    progress=stages,
                )
                if secrets
                else "no test run was asked for (--secrets)"
            ),
            blind=ask if blind else "nobody was asked (--blind)",
            progress=stages,
        )
    if target is not None:
        evaluation.write_evaluation_page(findings, target)
    if as_json:
        print_json(findings.model_dump(mode="json"))
        return
    _print_findings(findings)
    say(f"Written: {target}. Open it in a browser.")


def _contestants(names: str) -> tuple[Kind, ...]:
    """Return the contestants that are named.

    Raises:
        typer.BadParameter: If one is not known.
    """
    asked = {name.strip().replace("-", "_") for name in names.split(",")} - {""}
    if unknown := sorted(asked.difference(_KNOWN_CONTESTANTS)):
        known = ", ".join(_KNOWN_CONTESTANTS).replace("_", "-")
        msg = f"--contestants: {unknown[0]!r} is none of {known}."
        raise typer.BadParameter(msg)
    return tuple(kind for kind in _KNOWN_CONTESTANTS if kind in asked)


def _check_paths(paths: list[Path], *, needs_them: bool) -> None:
    if needs_them and not paths:
        msg = "Without PATH a model of this machine is compared, on what was held out."
        raise typer.BadParameter(msg)


def _place(
    output: Path | None, paths: list[Path], *, as_json: bool, force: bool
) -> Path | None:
    from langchain_chatexports._files import require_place

    target = output or (None if as_json else Path("evaluation.html"))
    if target is not None:
        refuse_to_overwrite(target, paths)
        refuse_to_replace(target, force=force)
        require_place(target)
    return target


def _said_halves(models: Models) -> Halves:
    from langchain_chatexports.evaluation.halves import halves_of_job

    halves = halves_of_job(models.server, models.tuned)
    _say_halves(halves)
    return halves


def _say_halves(halves: Halves) -> None:
    trained = plural(len(halves.data.training), "conversation")
    say(f"{trained} trained on, {len(halves.data.held_out):,} held out")


def _check(
    base_url: str | None,
    *,
    base: str | None,
    finetune: bool,
    secrets: bool,
    model: str | None,
) -> None:
    if base_url and (base or finetune or secrets):
        msg = "--base, --finetune and --secrets belong to the local server."
        raise typer.BadParameter(msg)
    if finetune and model:
        msg = "--finetune trains a model of its own: leave --model out."
        raise typer.BadParameter(msg)
    if base and not finetune:
        msg = "--base goes with --finetune: a tuned model knows its base."
        raise typer.BadParameter(msg)


def _own_training(
    base: str | None,
    *,
    epochs: int | None,
    time: str | None,
    validation: str,
    wrong_person: str | None,
    agreed: bool,
) -> OwnTraining:
    from langchain_chatexports.cli._evaluate_inputs import OwnTraining
    from langchain_chatexports.cli._finetune_data import parse_share

    if time is not None and base is not None:
        msg = "--time chooses the base: leave --base or --time out."
        raise typer.BadParameter(msg)
    limit = None if time is None else parse_duration(time, "--time")
    return OwnTraining(
        base=base,
        seconds=None if limit is None else limit.total_seconds(),
        epochs=epochs,
        share=parse_share(validation),
        wrong_person=wrong_person,
        agreed=agreed,
    )


def _print_findings(findings: Evaluation) -> None:
    from langchain_chatexports.evaluation.page import (
        headline,
        overview,
        validation_sentence,
    )

    show_rows(overview(findings))
    say(headline(findings))
    if sentence := validation_sentence(findings):
        say(sentence)
    for note in findings.notes:
        say(f"note: {note}")


def guess(pairs: list[BlindPair], most: int) -> BlindResult | str:
    """Show pairs one by one, and say at the end how many were told apart.

    Args:
        pairs: The pairs that there are.
        most: How many to show; the number is fixed before the first.

    Returns:
        The result, or why there is none: there is none of some of the pairs, as people
        stop at a moment that suits them.
    """
    from langchain_chatexports.evaluation.blind_test import BlindTest

    test = BlindTest(pairs, most)
    total = len(test.pairs)
    fewer = f" (of {most} asked for: no more are fit)" if total < most else ""
    say(f"{plural(total, 'pair')}{fewer}. One of each two answers is real.")
    say("After the last one you will see how many you told apart.")
    while (pair := test.pair) is not None:
        found = _guessed(len(test.guesses) + 1, total, pair)
        if found is None:
            say("\nStopped. There is no result for only some of the pairs.")
            break
        test.guess(*found)
    if test.result is None:
        return "the guessing was stopped before the last pair"
    say(test.result)
    return test.result


def _guessed(number: int, total: int, pair: BlindPair) -> tuple[int, int] | None:
    from langchain_chatexports.evaluation.conversations import PERSON
    from langchain_chatexports.evaluation.text_features import bubbles

    stderr_console.rule(f"{number} of {total}")
    for line in pair.before:
        who = "the person" if line.speaker == PERSON else "other"
        for bubble in bubbles(line.text):
            say(f"{who}: {bubble}")
    for letter, answer in zip(_LETTERS, pair.answers, strict=True):
        stderr_console.print(Panel(Text(printable_lines(answer)), title=letter))
    chosen = _asked("Which one is real, a or b?", _LETTERS)
    sure = chosen and _asked("How sure are you, 1 (a guess), 2 or 3 (sure)?", _SURE)
    if chosen is None or sure is None:
        return None
    return _LETTERS.index(chosen), int(sure)


def _asked(question: str, answers: str) -> str | None:
    while True:
        try:
            said = typer.prompt(question, err=True).strip().lower()
        except typer.Abort:
            return None
        if len(said) == 1 and said in answers:
            return str(said)

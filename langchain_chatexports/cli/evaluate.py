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
from langchain_chatexports.cli._console import (
    print_json,
    printable_lines,
    say,
    show_rows,
    stderr_console,
    stdin_is_terminal,
)
from langchain_chatexports.cli._options import (
    AsJson,
    Base,
    ChatOptions,
    DataDir,
    Force,
    SpeakerOptions,
    command,
    refuse_to_overwrite,
    refuse_to_replace,
)
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from langchain_chatexports.evaluation import BlindPair, BlindResult, Evaluation
    from langchain_chatexports.evaluation.blind_test import BlindGuess

__all__ = ["evaluate", "guess"]

_TEMPERATURES = (1.0, 0.7)
_LETTERS, _SURE = "ab", "123"


@command
def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="The folder of a set that prepare --split has written; or exports; or "
            "files of held-out examples (with --training).",
            show_default=False,
            readable=False,
        ),
    ],
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
    speaker: SpeakerOptions,
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
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking.")] = False,
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

    The base model, the base with examples in its prompt, and the tuned model answer the
    same held-out messages. What they write is counted and compared with what the person
    wrote there; no model judges. The page holds figures only, no text of any message.

    For example:
        chatexports evaluate set
        chatexports evaluate chat.db --ai Tortoise --finetune
    """
    from langchain_chatexports.evaluation import check_extra

    check_extra()
    _check(base_url, base=base, finetune=finetune, secrets=secrets, model=model)
    from langchain_chatexports import evaluation, local_server
    from langchain_chatexports._files import require_place
    from langchain_chatexports.cli import _evaluate_inputs

    if not base_url:
        local_server.check_extra()
    if blind and not stdin_is_terminal():
        msg = "--blind asks you to guess, and there is no terminal. Leave it out."
        raise ChatExportError(msg)
    target = output or (None if as_json else Path("evaluation.html"))
    if target is not None:
        refuse_to_overwrite(target, paths)
        refuse_to_replace(target, force=force)
        require_place(target)
    halves = _evaluate_inputs.read_halves(
        paths,
        training,
        replace(speaker.prepare_options(), chats=chats.choice()),
        holds_out_enough=finetune,
    )
    trained = plural(len(halves.data.training), "conversation")
    say(f"{trained} trained on, {len(halves.data.held_out):,} held out")
    if base_url:
        opened = _evaluate_inputs.models_elsewhere(
            halves, model=model, base_model=base_model, base_url=base_url, agreed=yes
        )
    else:
        opened = _evaluate_inputs.models_here(
            halves, model=model, base=base, data_dir=data_dir, finetune=finetune
        )

    def ask(pairs: list[BlindPair]) -> BlindResult | str:
        stages.pause()
        return guess(pairs, blind or 0)

    with opened as models, _evaluate_inputs.Stages() as stages:
        findings = evaluation.evaluate(
            halves.data,
            models.server,
            tuned=models.tuned,
            base=models.base,
            settings=evaluation.EvaluationSettings(
                temperatures=tuple(temperature or _TEMPERATURES), turns=turns, seed=seed
            ),
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
    from langchain_chatexports.evaluation.blind_test import blind_result

    shown = pairs[:most]
    fewer = f" (of {most} asked for: no more are fit)" if len(shown) < most else ""
    say(f"{plural(len(shown), 'pair')}{fewer}. One of each two answers is real.")
    say("After the last one you will see how many you told apart.")
    guesses = []
    for number, pair in enumerate(shown, 1):
        found = _guessed(number, len(shown), pair)
        if found is None:
            say("\nStopped. There is no result for only some of the pairs.")
            return "the guessing was stopped before the last pair"
        guesses.append(found)
    right = sum(found.is_right for found in guesses)
    result = blind_result(right, len(shown), guesses)
    low, high = result.interval
    say(
        f"{right} of {len(shown)} told apart: a true rate of {low:.0%} to {high:.0%}. "
        f"By chance, at least as many would be with p = {result.p:.2f}."
    )
    return result


def _guessed(number: int, total: int, pair: BlindPair) -> BlindGuess | None:
    from langchain_chatexports.evaluation.blind_test import BlindGuess
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
    return BlindGuess(
        is_right=_LETTERS.index(chosen) == pair.real,
        size=sum(map(len, pair.answers)),
        confidence=int(sure),
    )


def _asked(question: str, answers: str) -> str | None:
    while True:
        try:
            said = typer.prompt(question, err=True).strip().lower()
        except typer.Abort:
            return None
        if len(said) == 1 and said in answers:
            return str(said)

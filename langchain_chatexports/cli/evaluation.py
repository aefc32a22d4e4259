"""`chatexports evaluate`: does the tuned model sound like the person?"""

# No postponed annotations here: typer reads them at run time.
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_chatexports.cli.console import print_json, say
from langchain_chatexports.cli.options import (
    Ai,
    AiRole,
    AsJson,
    Base,
    Contacts,
    DataDir,
)

if TYPE_CHECKING:
    from langchain_chatexports.evaluation import BlindPair, BlindResult, Evaluation

__all__ = ["evaluate"]

_TEMPERATURES = (1.0, 0.7)


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
    ai: Ai = None,
    ai_role: AiRole = None,
    contacts: Contacts = None,
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
            help="Train on the earlier part first, on this machine: then it is sure "
            "that nothing held out was trained on.",
        ),
    ] = False,
    base: Base = None,
    data_dir: DataDir = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another server that has the models; its key is read from "
            "OPENAI_API_KEY. Held-out messages are sent to it, and it has no loss.",
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
            help="How freely the models write; several times for several. The first "
            "one counts.",
            show_default="1 and 0.7",
        ),
    ] = None,
    secrets: Annotated[
        bool,
        typer.Option(
            "--secrets",
            help="Also train a second model on examples with planted secrets, try to "
            "get them out of it, and delete it. It takes longer than all the rest.",
        ),
    ] = False,
    blind: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Show so many pairs of answers, the person's and the model's, and let "
            "you guess; 40 say something, 20 give a taste.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Where chance begins.")
    ] = 0,
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
    as_json: AsJson = False,
) -> None:
    """Say in figures how much a tuned model sounds like the person.

    The base model, the base with examples in its prompt, and the tuned model answer the
    same held-out messages. What they write is counted and compared with what the person
    wrote there; no model judges. The page holds figures only, no text of any message.
    """
    from langchain_chatexports.evaluation import check_extra

    check_extra()
    _check(base_url, base=base, finetune=finetune, secrets=secrets, model=model)
    from langchain_chatexports import evaluation
    from langchain_chatexports._files import require_place
    from langchain_chatexports.cli import comparing, guessing
    from langchain_chatexports.cli.exports import refuse_to_overwrite
    from langchain_chatexports.cli.preparation import PrepareOptions

    if blind:
        guessing.require_somebody()
    target = output or (None if as_json else Path("evaluation.html"))
    if target is not None:
        refuse_to_overwrite(target, paths)
        require_place(target)
    halves = comparing.read_halves(
        paths,
        training,
        PrepareOptions(ai=tuple(ai or ()), ai_role=ai_role, contacts=contacts),
        holds_out_enough=finetune,
    )
    say(
        f"{len(halves.data.training):,} conversations trained on, "
        f"{len(halves.data.held_out):,} held out"
    )
    if base_url:
        opened = comparing.models_elsewhere(
            halves, model=model, base_model=base_model, base_url=base_url, agreed=yes
        )
    else:
        opened = comparing.models_here(
            halves, model=model, base=base, data_dir=data_dir, finetune=finetune
        )

    def ask(pairs: "list[BlindPair]") -> "BlindResult | str":
        stages.pause()
        return guessing.guess(pairs, blind or 0)

    with opened as models, comparing.Stages() as stages:
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
                    comparing.probed_secrets, halves, models, seed=seed, progress=stages
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


def _print_findings(findings: "Evaluation") -> None:
    from langchain_chatexports.evaluation.page import (
        headline,
        overview,
        validation_sentence,
    )

    rows = overview(findings)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
    say(headline(findings))
    if sentence := validation_sentence(findings):
        say(sentence)
    for note in findings.notes:
        say(f"note: {note}")

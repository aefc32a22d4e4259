"""`chatexports evaluate`: does the tuned model sound like the person?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from langchain_chatexports._files import require_place
from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import (
    ProgressDisplay,
    print_json,
    print_line,
    printable_lines,
    show_rows,
    stderr_console,
    stdin_is_terminal,
)
from langchain_chatexports.cli._options import (
    AsJson,
    DataDir,
    Force,
    check,
    check_output,
    command,
    option,
)
from langchain_chatexports.local_server.http.server import check_extra

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.blind_test import BlindPair
    from langchain_chatexports.evaluation.results import BlindFinding
    from langchain_chatexports.workflows.evaluate import StageEvent

_LETTERS = "ab"


@command
def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="The tuned model, or the beginning of its name. Default: the newest "
            "one on this machine.",
        ),
    ] = None,
    *,
    wrong_person: Annotated[
        str | None,
        option(
            "MODEL",
            "Another person's model, as a control. Train it on the same chats and "
            "base.",
        ),
    ] = None,
    turns: Annotated[
        int, option("N", "Held-out messages to answer, at most.", min=1)
    ] = 200,
    blind: Annotated[
        int | None,
        option(
            "N",
            "Show you N pairs of answers, the person's and the model's, and let "
            "you guess which is real. 40 give a result, 20 an impression.",
            min=1,
        ),
    ] = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        option(
            "FILE",
            "The HTML file to write. Default: evaluation.html; with --json, none.",
            "-o",
            "--output",
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Measure how much a tuned model sounds like the person.

    The tuned model, its base, and the base with examples in its prompt answer messages
    that the training held out. Their answers are counted and compared with the person's
    own; no model judges. The page has figures only, and no text of any message.

    For example:
        chatexports evaluate
        chatexports evaluate tortoise --blind 20
    """
    from langchain_chatexports import evaluation

    evaluation.check_extra()
    check_extra()
    is_nobody = blind and not stdin_is_terminal()
    check((is_nobody, "--blind asks you to guess, and there is no terminal."))
    target = output or (None if as_json else Path("evaluation.html"))
    if target is not None:
        check_output(target, force=force)
        require_place(target)
    from langchain_chatexports.evaluation.page import headline, table
    from langchain_chatexports.workflows.evaluate import evaluate_model

    with _Display() as display:

        def ask(pairs: list[BlindPair]) -> BlindFinding | None:
            display.pause()
            return guess(pairs, blind or 0)

        findings = evaluate_model(
            model,
            wrong_person=wrong_person,
            settings=evaluation.EvaluationSettings(turns=turns),
            data_dir=data_dir,
            blind=ask if blind else None,
            on_event=display,
        )
    if target is not None:
        evaluation.write_evaluation_page(findings, target)
    if as_json:
        print_json(findings.model_dump(mode="json"))
        return
    show_rows(table(findings))
    print_line(headline(findings))
    print_line(f"Written: {target}. Open it in a browser.")


class _Display(ProgressDisplay):
    """Shows the stages of an evaluation as a bar or in lines."""

    _stage = ""

    def __call__(self, event: StageEvent) -> None:
        is_shown = self.update(event.done, event.total, str(event))
        if not is_shown and event.name != self._stage:
            self._stage = event.name
            print_line(f"  {event}")


def guess(pairs: list[BlindPair], most: int) -> BlindFinding | None:
    """Show pairs one by one, and the result at the end."""
    from langchain_chatexports.evaluation.blind_test import BlindTest

    test = BlindTest(pairs, most)
    total = len(test.pairs)
    fewer = f" (no more of {most} are suitable)" if total < most else ""
    print_line(f"{plural(total, 'pair')}{fewer}. In each, one answer is real.")
    print_line("After the last one you will see how many you told apart.")
    while (pair := test.pair) is not None:
        _show_pair(len(test.guesses) + 1, total, pair)
        chosen = _asked_letter()
        if chosen is None:
            print_line("\nStopped before the last pair, so there is no result.")
            return None
        test.guess(_LETTERS.index(chosen))
    print_line(test.result)
    return test.result


def _show_pair(number: int, total: int, pair: BlindPair) -> None:
    from langchain_chatexports.evaluation.conversations import PERSON
    from langchain_chatexports.evaluation.talk_measures import bubbles

    stderr_console.rule(f"{number} of {total}")
    for line in pair.before:
        who = "the person" if line.speaker == PERSON else "other"
        for bubble in bubbles(line.text):
            print_line(f"{who}: {bubble}")
    for letter, answer in zip(_LETTERS, pair.answers, strict=True):
        stderr_console.print(Panel(Text(printable_lines(answer)), title=letter))


def _asked_letter() -> str | None:
    while True:
        try:
            typed = typer.prompt("Which one is real, a or b?", err=True)
        except typer.Abort:
            return None
        letter = str(typed).strip().lower()
        if letter in {*_LETTERS}:
            return letter

"""`chatexports evaluate`: does the tuned model sound like the person?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from langchain_chatexports._extras import require_local
from langchain_chatexports._files import check_writable
from langchain_chatexports._translation import _
from langchain_chatexports.cli._console import (
    ProgressDisplay,
    print_json,
    print_line,
    printable_lines,
    say,
    show_rows,
    show_waiting,
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
from langchain_chatexports.local_server import Workspace

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.blind_test import BlindPair
    from langchain_chatexports.evaluation.results import BlindResult
    from langchain_chatexports.workflows.evaluate import StageEvent

_LETTERS = "ab"


@command
def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="The tuned model, or the start of its name. Default: the newest.",
        ),
    ] = None,
    *,
    turns: Annotated[
        int, option("N", "Maximum number of held-out messages.", min=1)
    ] = 200,
    blind: Annotated[
        int | None,
        option(
            "N",
            "Guess the real reply in N pairs of a real and a generated one. 20 give a "
            "rough idea, 40 a reliable result.",
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

    The tuned model, its base, and the base with examples in its prompt reply to
    held-out messages. Statistics compare these replies with the person's; no model is a
    judge. The page contains statistics, but no message text.

    For example:
        chatexports evaluate
        chatexports evaluate tortoise --blind 20
    """
    with show_waiting(_("Starting")):
        from langchain_chatexports import evaluation
        from langchain_chatexports.evaluation.page import (
            build_table,
            summarize_evaluation,
        )
        from langchain_chatexports.workflows.evaluate import evaluate_model

        evaluation.check_extra()
        require_local()
    has_no_terminal = blind and not stdin_is_terminal()
    check((has_no_terminal, _("--blind needs a terminal.")))
    target = output or (None if as_json else Path("evaluation.html"))
    if target is not None:
        check_output(target, force=force)
        check_writable(target)
    with _StageDisplay() as display:

        def ask(pairs: list[BlindPair]) -> BlindResult | None:
            display.pause()
            return run_blind_test(pairs, blind or 0)

        display.wait(_("Reading the held-out messages"))
        evaluation_result = evaluate_model(
            model,
            settings=evaluation.EvaluationSettings(turns=turns),
            workspace=Workspace(data_dir),
            blind=ask if blind else None,
            on_event=display,
        )
    if target is not None:
        evaluation.write_evaluation_page(evaluation_result, target)
    if as_json:
        print_json(evaluation_result.model_dump(mode="json"))
        return
    header, *rows = build_table(evaluation_result)
    titles = ("", *map(_, header[1:]))
    show_rows([titles, *((_(title), *cells) for title, *cells in rows)])
    for sentence in summarize_evaluation(evaluation_result):
        print_line(sentence.translated())
    say("Wrote {path}. Open it in a browser.", path=target)


class _StageDisplay(ProgressDisplay):
    """Prints the stages of an evaluation as a bar or as lines."""

    _stage = ""

    def __call__(self, event: StageEvent) -> None:
        has_bar = self.update(event.done, event.total, str(event))
        if not has_bar and event.name != self._stage:
            self._stage = event.name
            print_line(f"  {event}")


def run_blind_test(pairs: list[BlindPair], limit: int) -> BlindResult | None:
    """Ask the user to pick the real reply in each pair, then print the result."""
    from langchain_chatexports.evaluation.blind_test import BlindTest

    test = BlindTest(pairs, limit)
    total = len(test.pairs)
    if total < limit:
        say("Only {count} of {limit} pairs are suitable.", count=total, limit=limit)
    say("One reply in each pair is real. Results are shown after the last pair.")
    while (pair := test.pair) is not None:
        _show_pair(len(test.guesses) + 1, total, pair)
        letter = _ask_letter()
        if letter is None:
            say("Stopped before the last pair: no result.")
            return None
        test.guess(_LETTERS.index(letter))
    if test.result:
        print_line(test.result.describe().translated())
    return test.result


def _show_pair(number: int, total: int, pair: BlindPair) -> None:
    from langchain_chatexports.evaluation.dialogues import PERSON
    from langchain_chatexports.evaluation.talk_measures import split_messages

    stderr_console.rule(f"{number}/{total}")
    for line in pair.before:
        speaker = _("the person") if line.speaker == PERSON else _("other")
        for bubble in split_messages(line.text):
            print_line(f"{speaker}: {bubble}")
    for letter, answer in zip(_LETTERS, pair.answers, strict=True):
        stderr_console.print(Panel(Text(printable_lines(answer)), title=letter))


def _ask_letter() -> str | None:
    while True:
        try:
            reply = typer.prompt(_("Which one is real, a or b?"), err=True)
        except typer.Abort:
            return None
        letter = str(reply).strip().lower()
        if letter in {*_LETTERS}:
            return letter

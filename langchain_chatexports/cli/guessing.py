"""`chatexports evaluate --blind`: somebody guesses which answer is real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.text import Text

from langchain_chatexports.cli.console import say, stderr_console, stdin_is_terminal
from langchain_chatexports.evaluation.blind import blind_result
from langchain_chatexports.evaluation.held_out import PERSON
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.blind import BlindPair, BlindResult

__all__ = ["guess", "require_somebody"]

_LETTERS = "ab"


def require_somebody() -> None:
    """Make sure that there is somebody to ask, before something long begins.

    Raises:
        ChatExportError: If there is no terminal.
    """
    if not stdin_is_terminal():
        msg = "--blind asks somebody, and there is no terminal. Leave it out."
        raise ChatExportError(msg)


def guess(pairs: list[BlindPair], most: int) -> BlindResult:
    """Show pairs one by one, and say at the end how many were told apart.

    Args:
        pairs: The pairs that there are.
        most: How many to show; the number is fixed before the first.
    """
    shown = pairs[:most]
    say(f"{len(shown)} pairs. One of each two answers is real, the other the model's.")
    say("You will hear how many you told apart after the last one.")
    right = sum(
        _guessed(number, len(shown), pair) for number, pair in enumerate(shown, 1)
    )
    result = blind_result(right, len(shown))
    low, high = result.interval
    say(
        f"{right} of {len(shown)} told apart: a true rate of {low:.0%} to {high:.0%}; "
        f"by chance at least as many come with p = {result.p:.2f}."
    )
    return result


def _guessed(number: int, total: int, pair: BlindPair) -> bool:
    import typer

    stderr_console.rule(f"{number} of {total}")
    for line in pair.before:
        who = "the person" if line.speaker == PERSON else "somebody"
        say(f"{who}: {line.text}")
    for letter, answer in zip(_LETTERS, pair.answers, strict=True):
        stderr_console.print(Panel(Text(answer), title=letter))
    while True:
        said = typer.prompt("Which one is real, a or b?", err=True).strip().lower()
        if said in {"a", "b"}:
            return _LETTERS.index(said) == pair.real

"""`chatexports evaluate --blind`: somebody guesses which answer is real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.text import Text

from langchain_chatexports.cli.console import (
    printable_lines,
    say,
    stderr_console,
    stdin_is_terminal,
)
from langchain_chatexports.evaluation.blind_test import BlindGuess, blind_result
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.text_features import bubbles
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.report.formatting import plural

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.blind_test import BlindPair, BlindResult

__all__ = ["guess", "require_somebody"]

_LETTERS, _SURE = "ab", "123"


def require_somebody() -> None:
    """Make sure that there is somebody to ask, before something long begins.

    Raises:
        ChatExportError: If there is no terminal.
    """
    if not stdin_is_terminal():
        msg = "--blind asks somebody, and there is no terminal. Leave it out."
        raise ChatExportError(msg)


def guess(pairs: list[BlindPair], most: int) -> BlindResult | str:
    """Show pairs one by one, and say at the end how many were told apart.

    Args:
        pairs: The pairs that there are.
        most: How many to show; the number is fixed before the first.

    Returns:
        The result, or why there is none: whoever stops at a good moment would find
        what they look for.
    """
    shown = pairs[:most]
    fewer = f" (of {most} asked for: no more are fit)" if len(shown) < most else ""
    say(f"{plural(len(shown), 'pair')}{fewer}. One of each two answers is real.")
    say("You will hear how many you told apart after the last one.")
    guesses = []
    for number, pair in enumerate(shown, 1):
        found = _guessed(number, len(shown), pair)
        if found is None:
            say("\nStopped: there is no result of some of the pairs.")
            return "the guessing was stopped before the last pair"
        guesses.append(found)
    right = sum(found.is_right for found in guesses)
    result = blind_result(right, len(shown), guesses)
    low, high = result.interval
    say(
        f"{right} of {len(shown)} told apart: a true rate of {low:.0%} to {high:.0%}; "
        f"by chance at least as many come with p = {result.p:.2f}."
    )
    return result


def _guessed(number: int, total: int, pair: BlindPair) -> BlindGuess | None:
    stderr_console.rule(f"{number} of {total}")
    for line in pair.before:
        who = "the person" if line.speaker == PERSON else "somebody"
        for bubble in bubbles(line.text):
            say(f"{who}: {bubble}")
    for letter, answer in zip(_LETTERS, pair.answers, strict=True):
        stderr_console.print(Panel(Text(printable_lines(answer)), title=letter))
    chosen = _asked("Which one is real, a or b?", _LETTERS)
    sure = chosen and _asked("How sure, 1 (a guess), 2 or 3 (sure)?", _SURE)
    if chosen is None or sure is None:
        return None
    return BlindGuess(
        is_right=_LETTERS.index(chosen) == pair.real,
        size=sum(map(len, pair.answers)),
        confidence=int(sure),
    )


def _asked(question: str, answers: str) -> str | None:
    import typer

    while True:
        try:
            said = typer.prompt(question, err=True).strip().lower()
        except typer.Abort:
            return None
        if len(said) == 1 and said in answers:
            return str(said)

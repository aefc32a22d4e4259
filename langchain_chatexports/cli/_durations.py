"""Durations on the command line: a number with its unit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from langchain_chatexports.datasets.preparation import Gap

__all__ = ["parse_duration", "parse_gap"]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str, option: str, *, words: str = "") -> timedelta:
    """Return a duration.

    Args:
        text: A number with its unit: `45m`, `6h`, `2d`.
        option: The option that it is given to.
        words: What the option can be instead, for the error.

    Raises:
        typer.BadParameter: If it is not a duration.
    """
    try:
        duration = timedelta(**{_UNITS[text[-1:]]: float(text[:-1])})
    except (KeyError, ValueError, OverflowError):
        duration = timedelta(0)
    if duration <= timedelta(0):
        msg = f"{option} must be {words}a duration such as 45m, 6h, 2d: {text!r}."
        raise typer.BadParameter(msg)
    return duration


def parse_gap(text: str) -> Gap:
    """Return the silence at which threads are cut.

    Args:
        text: `auto`, `none`, or a number with its unit: `45m`, `6h`, `2d`.

    Raises:
        typer.BadParameter: If it is none of these.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return None
    return parse_duration(text, "--gap", words="auto, none, or ")

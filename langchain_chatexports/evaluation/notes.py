"""Why something was not measured, and what a reader must know of the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.answers import Gathered
    from langchain_chatexports.evaluation.style import Styles

__all__ = ["MIN_CONVERSATIONS_FOR_STYLE", "notes_on", "reasons_of"]

MIN_CONVERSATIONS_FOR_STYLE = 20
"""How many held-out conversations it takes to measure style."""


def reasons_of(**found: object) -> dict[str, str]:
    """Return the reasons among findings: what is a text was not measured."""
    return {what: why for what, why in found.items() if isinstance(why, str)}


def notes_on(
    gathered: Gathered, styles: Styles | str, *, read: int, examples: object
) -> list[str]:
    """Say what a reader must know of the figures.

    Args:
        gathered: What was answered.
        styles: The scores, or why there are none.
        read: How many held-out conversations the model was trained on.
        examples: What it was trained on, or why that is not known.
    """
    notes = []
    if read:
        notes.append(
            f"{read} conversations that should be held out were left out: the model "
            "was trained on them."
        )
    if isinstance(examples, str):
        notes.append(
            "Nobody knows whether the model was trained on the conversations that are "
            f"held out: {examples}."
        )
    if not isinstance(styles, str) and any(
        each.interval is not None and each.interval[0] > 1 for each in styles.summary
    ):
        notes.append(
            "A model that is nearer to the person than the person may have copied: "
            "look at the copies."
        )
    if gathered.conversations < MIN_CONVERSATIONS_FOR_STYLE:
        notes.append(
            f"Intervals of so few conversations ({gathered.conversations}) are "
            "narrower than they should be."
        )
    if gathered.too_long:
        notes.append(
            f"{gathered.too_long} turns were left out: with what comes before, they "
            "are longer than a model's memory."
        )
    if gathered.shortened:
        notes.append(
            f"{gathered.shortened} few-shot prompts hold fewer examples than planned, "
            "to fit into the model's memory."
        )
    return notes

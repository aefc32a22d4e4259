"""Counted passes over a few sessions, for the tests of what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.counts import ExportSummary, Reading
from tests.unit_tests.builders.sessions import talk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


RACES = [talk("Hare: Speed", "Hare: is key!", "Tortoise: No."), talk("Tortoise: Go!")]


def summary_of(
    sessions: list[Any] | Iterator[Any],
    tally: Tally | None = None,
    steps: Any = (),
) -> ExportSummary:
    return Reading(sessions, platform="races", tally=tally, steps=steps).finish()

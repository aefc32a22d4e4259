"""Counted passes over a few sessions, for the tests of what is counted."""

from collections.abc import Iterable
from typing import Any

from langchain_chatexports.chat_loaders.counts import (
    ExportSummary,
    Reading,
    read_counted,
)
from tests.unit_tests.builders.sessions import talk

RACES = [talk("Hare: Speed", "Hare: is key!", "Tortoise: No."), talk("Tortoise: Go!")]


def summary_of(
    sessions: Iterable[Any], reading: Reading | None = None, steps: Any = ()
) -> ExportSummary:
    if reading is None:
        return read_counted(sessions, "races", steps).finish()
    return reading.start(sessions, steps).finish()

"""How the person answers: how often, after how long, and in how many messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from langchain_core.messages import BaseMessage

from langchain_chatexports.personas.occasions import iter_turns
from langchain_chatexports.report.figures import HabitFigures


@dataclass
class HabitCounts:
    """Counts of a person's answers in groups, or in chats of two."""

    is_group: bool
    occasions: int = 0
    bubbles: int = 0
    delays: Counter[int] = field(default_factory=Counter)
    """The seconds until each answer."""

    def add(self, messages: Sequence[BaseMessage], person: str, gap: float) -> None:
        """Count the answers in a chat."""
        turns = [*iter_turns(messages, person, gap)]
        self.occasions += sum(not turn.is_own for turn in turns)
        for asked, turn in pairwise(turns):
            is_answer = turn.is_own and not asked.is_own
            if is_answer and turn.conversation == asked.conversation:
                self.delays[round(max(0.0, turn.start - asked.end))] += 1
                self.bubbles += turn.messages

    def figures(self) -> HabitFigures | None:
        """Return the figures; `None` if nobody wrote to the person."""
        if not self.occasions:
            return None
        answers = self.delays.total()
        return HabitFigures(
            is_group=self.is_group,
            occasions=self.occasions,
            answers=answers,
            median_delay=median(self.delays.elements()) if answers else None,
            messages_per_answer=self.bubbles / answers if answers else None,
        )

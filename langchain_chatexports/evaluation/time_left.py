"""How long an evaluation still takes in all, from what was measured of it."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_chatexports.evaluation.comparison import Passes

__all__ = ["TimeLeft"]

# In scored turns, until they were measured: a written turn, and a step of training.
_WRITTEN, _STEP = 3.0, 2.0


class TimeLeft:
    """Estimates the time that is left of an evaluation, over all of its stages.

    All turns are scored by one contestant after the other, and then answered. Turns
    that were not scored or written yet take as long as those that were, on average.
    """

    def __init__(
        self, passes: Passes, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Initialize the estimate.

        Args:
            passes: How often all turns are scored and answered.
            clock: Returns the time in seconds.
        """
        self._clock = clock
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._done: defaultdict[str, int] = defaultdict(int)
        self._what, self._done_of_stage = "", 0
        self._turns = 0
        self.start(passes)

    def start(self, passes: Passes) -> None:
        """Begin to measure.

        Args:
            passes: How often all turns are scored and answered, as is known now.
        """
        self._planned: dict[str, int] = passes._asdict()
        self._now = self._clock()

    def note(self, what: str, done: int, total: int) -> None:
        """Note how far a stage is; what is no scoring and no writing is left out."""
        now, before = self._clock(), self._now
        self._now = now
        kind = next((kind for kind in self._planned if what.startswith(kind)), None)
        if what != self._what:
            self._what, self._done_of_stage = what, 0
        if kind is not None:
            self._turns = total
            self._spent[kind] += now - before
            self._done[kind] += done - self._done_of_stage
            self._done_of_stage = done
            if kind == "writing":
                # All that could be scored was.
                self._planned["scoring"] = 0

    def seconds(self) -> float | None:
        """Return the seconds that are left; `None` while nothing was measured."""
        scored = self._seconds_each("scoring")
        written = self._seconds_each("writing")
        if scored is None and written is None:
            return None
        each = {
            "scoring": scored or 0.0,
            "writing": _WRITTEN * (scored or 0.0) if written is None else written,
        }
        return sum(each[kind] * self._turns_left(kind) for kind in each)

    def seconds_after_training(self, step_seconds: float, turns: int) -> float:
        """Return the seconds of the whole evaluation, guessed while a model is trained.

        Args:
            step_seconds: How long a step takes.
            turns: How many turns will be answered.
        """
        scored = self._planned["scoring"] + _WRITTEN * self._planned["writing"]
        return step_seconds / _STEP * scored * turns

    def _seconds_each(self, kind: str) -> float | None:
        done = self._done[kind]
        return self._spent[kind] / done if done else None

    def _turns_left(self, kind: str) -> int:
        return max(0, self._planned[kind] * self._turns - self._done[kind])

"""Messages that repeat the training half: people do so, too, so rates stand beside."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from langchain_chatexports.evaluation.intervals import percentiles, ratio
from langchain_chatexports.evaluation.results import Measured
from langchain_chatexports.evaluation.talk_measures import bubbles
from langchain_chatexports.personas.repetition import words

MIN_WORDS = 6
"""A shorter message is anybody's."""


class CopyIndex:
    """The messages of the training half, by their words."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Initialize with all texts, other people's, too."""
        self._texts: list[str] = []
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for text in texts:
            for bubble in bubbles(text):
                said = words(bubble)
                for start in {
                    " ".join(said[at : at + MIN_WORDS]) for at in range(len(said))
                }:
                    self._places[start].append(len(self._texts))
                self._texts.append(f" {' '.join(said)} ")

    def is_copy(self, bubble: str) -> bool | None:
        """Return whether the training half contains a whole message.

        `None` for fewer than six words.
        """
        said = words(bubble)
        if len(said) < MIN_WORDS:
            return None
        whole = f" {' '.join(said)} "
        places = self._places.get(" ".join(said[:MIN_WORDS]), ())
        return any(whole in self._texts[place] for place in places)


def copied(
    index: CopyIndex,
    replies: Sequence[str],
    groups: Sequence[int],
    weights: "NDArray[np.int64]",
) -> Measured | None:
    """Return the share of copies among messages of six words and more."""
    checked = [[index.is_copy(bubble) for bubble in bubbles(text)] for text in replies]
    exact = [sum(one is True for one in found) for found in checked]
    long = [sum(one is not None for one in found) for found in checked]
    if not any(long):
        return None
    value, values = ratio(exact, long, groups, weights)
    return Measured(value=value, interval=percentiles(values))

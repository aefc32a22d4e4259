"""When a person answers in a group: whether, after how long, in how many messages."""

import logging
import math
import random
import time as clock
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import mul
from typing import Any, Literal, NamedTuple, Self

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict

from langchain_chatexports.chat_loaders.schema import ExportSession
from langchain_chatexports.personas.occasions import (
    Occasion,
    Turn,
    iter_occasions,
    iter_turns,
)
from langchain_chatexports.personas.regression import fit_weights, import_numpy
from langchain_chatexports.steps.pauses import automatic_gap, pauses_before

logger = logging.getLogger(__name__)

MAX_BUBBLES = 8
LEVELS = tuple(level / 20 for level in range(1, 20))
"""The levels of the quantiles of a delay."""

# Weights of the features in public group chats, which few occasions hardly change:
# intercept, mentioned, addressed to somebody else, question, length, messages, time
# since the person wrote, messages unanswered, answers the person, the person's share
# of the last turns, people, pause, recent replies, those to this sender, awake.
_PRIOR = (
    *(0, 1, -0.25, 0.18, 0.09, 0.14, -0.33, -0.4),
    *(0.44, 1.31, -0.45, 0.03, 0.03, 0.26, 0.3),
)
_STRENGTH = 20.0
_DELAY_STRENGTH = 5.0
_MIN_REPLIES = 10
_REPLIES_PER_BIN = 30
_MAX_BINS = 8
_HELD_OUT = 0.2
_MIN_DAYS = 5
_HOUR, _DAY = 3600.0, 86400.0
_BUBBLE_STRENGTH = 5.0


class ReplyDecision(NamedTuple):
    """What the person would do now."""

    reply: float
    """The probability of an answer before anybody else writes."""

    delay: tuple[float, ...]
    """Quantiles of the seconds until this answer, at `LEVELS`."""

    bubbles: tuple[float, ...]
    """The probabilities that it has 1, 2, … 8 or more messages."""

    def sample(self, rng: random.Random) -> tuple[float | None, int]:
        """Draw a delay in seconds, `None` for silence, and a number of messages."""
        is_silent = rng.random() >= self.reply
        position = rng.uniform(0, len(self.delay) - 1)
        low, part = int(position), position % 1
        high = min(low + 1, len(self.delay) - 1)
        delay = self.delay[low] * (1 - part) + self.delay[high] * part
        (bubbles,) = rng.choices(range(1, len(self.bubbles) + 1), self.bubbles)
        return None if is_silent else delay, bubbles


class ReplyRhythm(RunnableSerializable[Sequence[BaseMessage], ReplyDecision]):
    """A person's habits of answering in groups, in numbers: without text and names.

    As a Runnable it turns messages into a `ReplyDecision` for now. Numbers of when
    somebody is awake are personal: keep them like the chats.

    ```python
    rhythm = ReplyRhythm.fit(sessions, "Ann")  # Without a name: of the AI messages.
    decision = rhythm.decide(messages)
    ```
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    occasions: int
    """The number of occasions it rests on: turns of others."""

    gap: float
    """The pause in seconds that ends a conversation."""

    rate: float
    """The share of occasions on which the person answers."""

    hours: tuple[float, ...]
    """The logarithm of the person's activity in each hour of the day, in UTC."""

    reply_weights: tuple[float, ...] = ()
    """The weights of the features; empty if only the rate is known to hold."""

    delay_weights: tuple[float, ...] = ()
    delay_bins: tuple[float, ...] = ()
    delays: tuple[tuple[float, ...], ...]
    """Quantiles of the logarithm of the delay, by bin of the expected one."""

    bubbles: tuple[float, ...]
    """The shares of replies with 1, 2, … 8 or more messages."""

    @classmethod
    def fit(
        cls,
        sessions: Iterable[ChatSession | ExportSession],
        person: str | None = None,
    ) -> Self:
        """Learn a person's habits from whole conversations.

        The last fifth of the time tests whether more than the rate can be learned.

        Args:
            sessions: The conversations, with times and senders.
            person: The sender, beside the author of AI messages.

        Raises:
            MissingExtraError: If NumPy is missing.
        """
        chats = [session["messages"] for session in sessions]
        gap = automatic_gap(p for c in chats for p in pauses_before(c) if p is not None)
        threads = [[*iter_turns(messages, person, gap)] for messages in chats]
        rhythm = cls._learn(threads, gap)
        times = sorted(t.end for turns in threads for t in turns if not t.is_own)
        cut = times[int((1 - _HELD_OUT) * len(times))] if times else 0.0
        before = [[turn for turn in turns if turn.end < cut] for turns in threads]
        trial = cls._learn(before, gap)
        later = [o for t in threads for o in trial.occasions_in(t) if o.time >= cut]
        if rhythm.reply_weights and trial.reply_weights and _is_skilled(trial, later):
            return rhythm
        logger.info(
            "Of %d occasions to answer, only the share of answers is learned",
            rhythm.occasions,
        )
        return rhythm.model_copy(update={"reply_weights": ()})

    @classmethod
    def _learn(cls, threads: Sequence[Sequence[Turn]], gap: float) -> Self:
        np = import_numpy()
        counts = [0] * 24
        for start in (turn.start for turns in threads for turn in turns if turn.is_own):
            counts[int(start // _HOUR) % 24] += 1
        mean = sum(counts) / 24
        draft = cls(
            occasions=0,
            gap=gap,
            rate=0.5,
            hours=tuple(math.log((count + 1) / (mean + 1)) for count in counts),
            delays=((math.log(61),) * len(LEVELS),),
            bubbles=_bubble_shares([]),
        )
        found = [o for turns in threads for o in draft.occasions_in(turns)]
        replies = [o for o in found if o.reply]
        habits: dict[str, Any] = {
            "occasions": len(found),
            "rate": (len(replies) + 1) / (len(found) + 2),
            "bubbles": _bubble_shares([o.bubbles for o in replies]),
        }
        if len(replies) < _MIN_REPLIES:
            return draft.model_copy(update=habits)
        x = np.array([o.features for o in found])
        y = np.array([float(o.reply) for o in found])
        delays = np.log1p([o.delay for o in replies])
        weights = fit_weights(x[y == 1], delays, _DELAY_STRENGTH)
        expected = x[y == 1] @ np.array(weights)
        bins = max(1, min(_MAX_BINS, len(replies) // _REPLIES_PER_BIN))
        edges = np.quantile(expected, np.arange(1, bins) / bins)
        index = np.searchsorted(edges, expected, side="right")
        quantiles = [np.quantile(delays[index == b], LEVELS) for b in {*index}]
        habits |= {
            "reply_weights": fit_weights(x, y, _STRENGTH, _PRIOR, is_binary=True),
            "delay_weights": weights,
            "delay_bins": tuple(edges.tolist()) if len(quantiles) == bins else (),
            "delays": tuple(tuple(values.tolist()) for values in quantiles),
        }
        return draft.model_copy(update=habits)

    def decide(
        self,
        messages: Sequence[BaseMessage],
        now: float | None = None,
        person: str | None = None,
    ) -> ReplyDecision:
        """Predict the answer of a person who is silent until now.

        Args:
            messages: The chat. A message without a time has that of the one before.
            now: The time in Unix seconds; by default, the current one.
            person: The sender, beside the author of AI messages.
        """
        now = clock.time() if now is None else now
        turns = [*iter_turns(messages, person, self.gap, now)]
        if not turns or turns[-1].is_own:
            return ReplyDecision(0.0, (0.0,) * len(LEVELS), self.bubbles)
        *_, occasion = self.occasions_in(turns)
        probability = self.predict(occasion)
        expected = _dot(occasion.features, self.delay_weights)
        quantiles = self.delays[bisect_right(self.delay_bins, expected)]
        delays = [math.expm1(value) for value in quantiles]
        waited = max(0.0, now - occasion.time)
        # Silence until now makes an answer less likely.
        rest = [delay - waited for delay in delays if delay > waited]
        passed = 1 - len(rest) / len(delays) if rest else LEVELS[-1]
        reply = probability * (1 - passed) / (1 - probability * passed)
        return ReplyDecision(reply, _resample(rest or [0.0]), self.bubbles)

    def predict(self, occasion: Occasion) -> float:
        """Return the probability of an answer on an occasion."""
        if not self.reply_weights:
            return self.rate
        odds = _dot(occasion.features, self.reply_weights)
        return 1 / (1 + math.exp(-min(max(odds, -30.0), 30.0)))

    def score(
        self,
        sessions: Iterable[ChatSession | ExportSession],
        person: str | None = None,
    ) -> dict[str, float]:
        """Return `occasions`, bits per occasion by `base` rate and `own`, and `skill`.

        Skill is the saved share of the base rate's bits: 0 is no better, 1 is perfect.
        """
        threads = ([*iter_turns(s["messages"], person, self.gap)] for s in sessions)
        found = [o for turns in threads for o in self.occasions_in(turns)]
        base = sum(_bits(self.rate, o) for o in found) / max(1, len(found))
        own = sum(_bits(self.predict(o), o) for o in found) / max(1, len(found))
        skill = 1 - own / base if base else 0.0
        return {"occasions": len(found), "base": base, "own": own, "skill": skill}

    def occasions_in(self, turns: Sequence[Turn]) -> Iterator[Occasion]:
        """Yield the occasions of a chat."""
        return iter_occasions(turns, self.rate, self.hours)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON types; `ReplyRhythm(**values)` reads them."""
        return self.model_dump(mode="json", exclude={"name"})

    def invoke(
        self,
        input: Sequence[BaseMessage],
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> ReplyDecision:
        """Return the decision for now."""
        return self._call_with_config(self.decide, input, config, **kwargs)


def _dot(features: Sequence[float], weights: Sequence[float]) -> float:
    return float(sum(map(mul, features, weights)))


def _bits(probability: float, occasion: Occasion) -> float:
    share = probability if occasion.reply else 1 - probability
    return -math.log2(share)


def _resample(values: Sequence[float]) -> tuple[float, ...]:
    """Return sorted values as quantiles at `LEVELS`."""
    last = len(values) - 1
    positions = (level * last for level in LEVELS)
    return tuple(
        values[int(p)] + p % 1 * (values[min(int(p) + 1, last)] - values[int(p)])
        for p in positions
    )


def _bubble_shares(bubbles: Sequence[int]) -> tuple[float, ...]:
    """Return the shares of 1, 2, … bubbles; few replies are close to geometric."""
    sizes = [min(size, MAX_BUBBLES) for size in bubbles]
    more = 1.001 - len(sizes) / sum(sizes) if sizes else 1 / 3
    shares = [
        _BUBBLE_STRENGTH * (1 - more) * more**size + sizes.count(size + 1)
        for size in range(MAX_BUBBLES)
    ]
    return tuple(share / sum(shares) for share in shares)


def _is_skilled(rhythm: ReplyRhythm, occasions: Sequence[Occasion]) -> bool:
    """Return whether a rhythm is surely better than its rate, day by day."""
    gains: dict[float, list[float]] = {}
    for occasion in occasions:
        gain = _bits(rhythm.rate, occasion) - _bits(rhythm.predict(occasion), occasion)
        gains.setdefault(occasion.time // _DAY, []).append(gain)
    total = sum(map(sum, gains.values()))
    mean = total / max(1, len(occasions))
    errors = (sum(day) - len(day) * mean for day in gains.values())
    return len(gains) >= _MIN_DAYS and total > 1.96 * math.sqrt(
        sum(error**2 for error in errors)
    )

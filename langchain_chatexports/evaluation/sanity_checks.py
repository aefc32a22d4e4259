"""What the style measures cannot see: stock replies, half a vocabulary, cut ends."""

from __future__ import annotations

from collections import Counter
from math import exp, lgamma
from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from langchain_chatexports.evaluation.results import PersonChecks, SanityChecks
from langchain_chatexports.evaluation.text_features import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_chatexports.evaluation.model_server import Reply

__all__ = ["expected_distinct", "reach", "sanity_checks"]

_WORDS = 400
_TOP = 200


def sanity_checks(
    contestant: str,
    replies: Sequence[Reply],
    person: Sequence[str],
    training: Sequence[str],
) -> SanityChecks:
    """Return a contestant's values beside the person's own."""
    known = _counted(training)
    return SanityChecks(
        contestant=contestant,
        cut=sum(reply.is_cut for reply in replies) / len(replies),
        person=PersonChecks(**_values(known, person)),
        **_values(known, [reply.text for reply in replies]),
    )


class _Values(TypedDict):
    variety: float
    words_400: float | None
    reach: float | None
    empty: float
    reason: str | None


def _values(known: Mapping[str, int], texts: Sequence[str]) -> _Values:
    used = _counted(texts)
    distinct, found = expected_distinct(used, _WORDS), reach(known, used)
    reasons = {
        f"the replies have fewer than {_WORDS} words": distinct is None,
        "the training half has no words": found is None,
    }
    return _Values(
        variety=len(set(texts)) / len(texts),
        words_400=distinct,
        reach=found,
        empty=sum(not text.strip() for text in texts) / len(texts),
        reason="; ".join(why for why, is_so in reasons.items() if is_so) or None,
    )


def expected_distinct(counts: Mapping[str, int], drawn: int) -> float | None:
    """Return the expected distinct words of a sample without replacement.

    `None` if there are fewer words than are drawn.
    """
    total = sum(counts.values())
    if total < drawn:
        return None
    whole = _log_ways(total, drawn)
    return sum(
        1.0
        if total - count < drawn
        else 1 - exp(_log_ways(total - count, drawn) - whole)
        for count in counts.values()
    )


def reach(known: Mapping[str, int], used: Mapping[str, int]) -> float | None:
    """Return the share of the person's 200 most common words, by use, that are used.

    `None` for a person without words.
    """
    top = sorted(known, key=lambda word: (-known[word], word))[:_TOP]
    mass = sum(known[word] for word in top)
    return sum(known[word] for word in top if word in used) / mass if mass else None


def _log_ways(total: int, drawn: int) -> float:
    return lgamma(total + 1) - lgamma(drawn + 1) - lgamma(total - drawn + 1)


def _counted(texts: Sequence[str]) -> Counter[str]:
    return Counter(word for text in texts for word in words(text))

"""Function words, which show an author's style and not the topic."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from langchain_chatexports._function_words import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["choose_function_words"]

_LEARNED = 100
# In English chats about half of the words are in the list, elsewhere few.
_ENGLISH_FROM = 0.25


def choose_function_words(
    words_by_person: Iterable[Mapping[str, int]],
) -> tuple[str, frozenset[str]]:
    """Return the language, and its function words.

    Args:
        words_by_person: For each person how often they use each word.

    Returns:
        `en` and the English list; for any other language `und` and the 100 words with
        the highest mean relative frequency over the people.
    """
    people = [words for words in words_by_person if words]
    shares: Counter[str] = Counter()
    for words in people:
        total = sum(words.values())
        for word, count in words.items():
            shares[word] += count / total  # type: ignore[assignment]  # Shares, summed.
    english = sum(share for word, share in shares.items() if word in ENGLISH)
    if people and english / len(people) >= _ENGLISH_FROM:
        return "en", ENGLISH
    ranked = sorted(shares, key=lambda word: (-shares[word], word))
    return "und", frozenset(ranked[:_LEARNED])

"""Sampling settings, with the names of OpenAI and llama.cpp.

Without a penalty, small models repeat whole messages up to the token limit. DRY ("don't
repeat yourself") allows a few repeated words, and makes each further word of the same
phrase less likely. Its usual breakers at line ends are not used, because loops in chats
are made of lines. See "How good is it?" in `docs/evaluation.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

# llama.cpp uses no more of a text that ends a repetition.
_MAX_BREAKER = 40


@dataclass(frozen=True)
class Sampling:
    """Sampling settings; the defaults are those of a talk."""

    temperature: float = 1.0
    top_p: float = 1.0
    # The minimum probability of a token, as a share of the likeliest one's.
    min_p: float = 0.02
    # The strength of the penalty for repetitions; 0 for none.
    dry_multiplier: float = 0.8
    # The growth of the penalty with the length of a repetition.
    dry_base: float = 1.75
    # The number of tokens that may be repeated.
    dry_allowed_length: int = 3
    # The number of tokens to search for repetitions, the prompt's included; -1: all.
    dry_penalty_last_n: int = 512

    def without_talk(self) -> "Sampling":
        """Return the settings for structured answers, such as JSON."""
        return replace(self, min_p=0.0, dry_multiplier=0.0)

    def dry_penalties(self, tokens: Sequence[int], answered: int) -> dict[int, float]:
        """Return DRY's penalties for the logits of tokens, as in llama.cpp."""
        size = len(tokens) if self.dry_penalty_last_n < 0 else self.dry_penalty_last_n
        window = tokens[max(0, len(tokens) - size) :]
        end = len(window) - 1
        if not self.dry_multiplier or answered < self.dry_allowed_length:
            return {}
        longest: dict[int, int] = {}
        for at in range(end):
            length = 0
            while (
                length < min(answered, at + 1)
                and window[at - length] == window[end - length]
            ):
                length += 1
            following = window[at + 1]
            longest[following] = max(length, longest.get(following, 0))
        return {
            token: self.dry_multiplier
            * self.dry_base ** (length - self.dry_allowed_length)
            for token, length in longest.items()
            if length >= self.dry_allowed_length
        }


def dry_breakers(header: str) -> list[str]:
    """Return the texts that end a repetition for llama.cpp: an answer's header."""
    return [header[-_MAX_BREAKER:]]

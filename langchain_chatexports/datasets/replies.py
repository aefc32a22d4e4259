"""A person's earlier replies: find them by the message they answer, show them."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from langchain_chatexports.datasets.chat_prompts import PROMPT_ROLES, message_text

REPLIES = "Some of your earlier replies, each after what it answered:"
"""The line that precedes replies in a system prompt."""

# The prompt is the largest cost of an answer: about 30 tokens for each reply.
_MAX_MESSAGE, _MAX_REPLY = 60, 100
# The length of the question, which is made of the others' last messages.
_MAX_QUESTION = 500
# Okapi BM25, with the parameters of most search engines.
_K1, _B = 1.2, 0.75
# Trigrams in a quarter of the replies are slow to score and say little.
_MAX_SHARE, _MIN_COUNT = 0.25, 50


class EarlierReply(NamedTuple):
    """A person's reply, and the message that it answers."""

    message: str
    reply: str

    def __repr__(self) -> str:
        """Show sizes, never content."""
        return f"EarlierReply({len(self.message)}, {len(self.reply)} characters)"


class ReplyIndex:
    """Finds the replies to messages similar to a question, by trigrams and BM25."""

    def __init__(self, replies: Iterable[EarlierReply] = ()) -> None:
        self._replies: list[EarlierReply] = []
        self._sizes: list[int] = []
        self._total = 0
        self._places: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for reply in replies:
            self.add(reply)

    def __len__(self) -> int:
        """Return the number of replies."""
        return len(self._replies)

    def __iter__(self) -> Iterator[EarlierReply]:
        """Yield all replies."""
        return iter(self._replies)

    def add(self, reply: EarlierReply) -> None:
        """Add a reply."""
        grams = _grams(reply.message)
        for gram, count in grams.items():
            self._places[gram].append((len(self._replies), count))
        self._replies.append(reply)
        self._sizes.append(grams.total())
        self._total += grams.total()

    def nearest(self, question: str, k: int) -> list[EarlierReply]:
        """Return the replies to the messages most similar to a question."""
        scores: defaultdict[int, float] = defaultdict(float)
        count = len(self._replies)
        mean = self._total / max(count, 1) or 1
        most = max(_MIN_COUNT, _MAX_SHARE * count)
        for gram in _grams(question):
            found = self._places.get(gram, ())
            if not found or len(found) > most:
                continue
            idf = math.log(1 + (count - len(found) + 0.5) / (len(found) + 0.5))
            for index, times in found:
                length = 1 - _B + _B * self._sizes[index] / mean
                scores[index] += idf * times * (_K1 + 1) / (times + _K1 * length)
        # Prefer the latest of equal scores.
        ranked = sorted(scores, key=lambda index: (-scores[index], -index))
        best: dict[str, EarlierReply] = {}
        for index in ranked:
            if len(best) == k:
                break
            best.setdefault(self._replies[index].reply, self._replies[index])
        return [*best.values()][::-1]


def _grams(text: str) -> Counter[str]:
    words = " ".join(text.lower().split())
    padded = f" {words} "
    return Counter(padded[at : at + 3] for at in range(len(padded) - 2))


def replies_of(example: Mapping[str, Any]) -> Iterator[EarlierReply]:
    """Yield the replies in an example that are trained on."""
    messages = [one for one in example["messages"] if one["role"] not in PROMPT_ROLES]
    for before, message in pairwise(messages):
        is_reply = before["role"] == "user" and message["role"] == "assistant"
        if is_reply and message.get("weight") != 0:
            text, reply = message_text(before).strip(), message_text(message).strip()
            if text and reply:
                yield EarlierReply(text, reply)


def question_of(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return the question to search replies with: the last messages of others."""
    texts = [message_text(one) for one in messages if one["role"] == "user"]
    return "\n".join(texts)[-_MAX_QUESTION:]


def show_replies(system: str | None, replies: Sequence[EarlierReply]) -> str | None:
    """Append replies to a system prompt."""
    if not replies:
        return system
    lines = [f"> {_end(one.message)}\n{_beginning(one.reply)}" for one in replies]
    listed = "\n".join([REPLIES, *lines])
    return f"{system}\n\n{listed}" if system else listed


def _end(text: str) -> str:
    # A reply is usually about the end of a message.
    line = " ".join(text.split())
    return line if len(line) <= _MAX_MESSAGE else f"…{line[-_MAX_MESSAGE:].lstrip()}"


def _beginning(text: str) -> str:
    # Lines with "> " are the answered messages, so change quotations in replies.
    stripped = (re.sub("^> +", ">", line.strip()) for line in text.splitlines())
    lines = "\n".join(filter(None, stripped))
    return lines if len(lines) <= _MAX_REPLY else f"{lines[:_MAX_REPLY].rstrip()}…"

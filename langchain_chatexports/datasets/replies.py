"""Find a person's earlier replies to similar messages, for prompts."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from langchain_chatexports.datasets.chat_prompts import PROMPT_ROLES, message_text

REPLIES = "Some of your earlier replies, each after what it answered:"
"""The line before the replies in a system prompt."""

# The prompt is most of the cost of an answer: about 30 tokens for each reply.
_MAX_MESSAGE_CHARS, _MAX_REPLY_CHARS = 60, 100
_MAX_QUERY_CHARS = 500
# Okapi BM25, with the parameters of most search engines.
_K1, _B = 1.2, 0.75
# Trigrams that occur in more replies are slow to score and not distinctive.
_MAX_FRACTION, _MIN_LIMIT = 0.25, 50


class EarlierReply(NamedTuple):
    """A person's reply and the message it answers."""

    message: str
    reply: str

    def __repr__(self) -> str:
        """Show sizes, never content."""
        return f"EarlierReply({len(self.message)}, {len(self.reply)} characters)"


class ReplyIndex:
    """Finds replies to similar messages, using trigrams and BM25."""

    def __init__(self, replies: Iterable[EarlierReply] = ()) -> None:
        self._replies: list[EarlierReply] = []
        self._sizes: list[int] = []
        self._total = 0
        self._postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
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
        grams = count_trigrams(reply.message)
        for gram, count in grams.items():
            self._postings[gram].append((len(self._replies), count))
        self._replies.append(reply)
        self._sizes.append(grams.total())
        self._total += grams.total()

    def search(self, query: str, k: int) -> list[EarlierReply]:
        """Return up to `k` replies to the most similar messages, best match last."""
        scores: defaultdict[int, float] = defaultdict(float)
        count = len(self._replies)
        mean = self._total / max(count, 1) or 1
        max_matches = max(_MIN_LIMIT, _MAX_FRACTION * count)
        for gram in count_trigrams(query):
            postings = self._postings.get(gram, ())
            matches = len(postings)
            if not matches or matches > max_matches:
                continue
            idf = math.log(1 + (count - matches + 0.5) / (matches + 0.5))
            for index, frequency in postings:
                length = 1 - _B + _B * self._sizes[index] / mean
                weight = frequency * (_K1 + 1) / (frequency + _K1 * length)
                scores[index] += idf * weight
        # Among equal scores, prefer the latest reply.
        ranked = sorted(scores, key=lambda index: (-scores[index], -index))
        best: dict[str, EarlierReply] = {}
        for index in ranked:
            if len(best) == k:
                break
            best.setdefault(self._replies[index].reply, self._replies[index])
        return [*best.values()][::-1]


def count_trigrams(text: str) -> Counter[str]:
    """Count the trigrams of a text, in lower case."""
    words = " ".join(text.lower().split())
    padded = f" {words} "
    return Counter(padded[start : start + 3] for start in range(len(padded) - 2))


def extract_replies(example: Mapping[str, Any]) -> Iterator[EarlierReply]:
    """Yield the trainable replies in an example."""
    messages = [m for m in example["messages"] if m["role"] not in PROMPT_ROLES]
    for previous, message in pairwise(messages):
        is_reply = previous["role"] == "user" and message["role"] == "assistant"
        if is_reply and message.get("weight") != 0:
            text, reply = message_text(previous).strip(), message_text(message).strip()
            if text and reply:
                yield EarlierReply(text, reply)


def reply_query(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return the search query for replies: the user's last messages."""
    texts = [message_text(m) for m in messages if m["role"] == "user"]
    return "\n".join(texts)[-_MAX_QUERY_CHARS:]


def append_replies(system: str | None, replies: Sequence[EarlierReply]) -> str | None:
    """Append replies to a system prompt."""
    if not replies:
        return system
    lines = [
        f"> {_shorten_message(message)}\n{_shorten_reply(reply)}"
        for message, reply in replies
    ]
    section = "\n".join([REPLIES, *lines])
    return f"{system}\n\n{section}" if system else section


def _shorten_message(text: str) -> str:
    # Shorten from the start, since replies usually refer to the end of a message.
    line = " ".join(text.split())
    if len(line) <= _MAX_MESSAGE_CHARS:
        return line
    return f"…{line[-_MAX_MESSAGE_CHARS:].lstrip()}"


def _shorten_reply(text: str) -> str:
    # Lines starting with "> " quote the original message, so escape quotes in replies.
    lines = (re.sub("^> +", ">", line.strip()) for line in text.splitlines())
    reply = "\n".join(filter(None, lines))
    if len(reply) <= _MAX_REPLY_CHARS:
        return reply
    return f"{reply[:_MAX_REPLY_CHARS].rstrip()}…"

"""Leave out examples that say what an earlier one says, word for word or nearly."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports.datasets.trace import AnyExample, TracedExample
from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from langchain_chatexports.datasets.examples import TrainingExample

__all__ = [
    "DuplicateCounts",
    "NearDuplicateIndex",
    "deduplicate_examples",
    "example_text",
    "message_text",
    "normalized_text",
]

_MIN_THRESHOLD = 0.7
# 32 bands of 4 rows: of the pairs with 70 % in common fewer than one in 5,000 is
# missed, of those with 80 % one in ten millions.
_PERMUTATIONS = 128
_BANDS = 32
_SEED = 42
# Characters, not words: Chinese, Japanese and Thai have no spaces between theirs.
_SHINGLE = 5
_SPACES = re.compile(r"\s+")


@dataclass
class DuplicateCounts:
    """What became of the examples: pass a new one to `deduplicate_examples`.

    `examples` = `kept` + the sum of `left_out`. The reasons: `exact` and `near`.
    `messages` and `messages_left_out` say the same of the messages in them.
    """

    examples: int = 0
    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    messages_left_out: Counter[str] = field(default_factory=Counter)

    def leave_out(self, reason: str, messages: int) -> None:
        """Count an example that is left out."""
        self.left_out[reason] += 1
        self.messages_left_out[reason] += messages


def deduplicate_examples(
    examples: Iterable[AnyExample],
    *,
    near: float | None = None,
    counts: DuplicateCounts | None = None,
) -> Iterator[AnyExample]:
    """Leave out examples that repeat an earlier one.

    Args:
        examples: Plain or traced examples; the first of equal ones stays.
        near: From which share of common text on (0.7 to 1: Jaccard similarity of
            runs of five characters, without regard to case, spaces and system
            prompts) two examples count as equal; needs the extra `dedup`, and keeps
            the examples' texts in memory. `None`: only if they are the same, letter
            by letter.
        counts: Where to count what is kept and what is left out.

    Yields:
        The examples that stay, lazily.

    Raises:
        MissingExtraError: If `near` is given and the extra is not installed.
        ValueError: If `near` is out of range.
    """
    counts = counts if counts is not None else DuplicateCounts()
    index = None if near is None else NearDuplicateIndex(near)
    seen: set[bytes] = set()
    for item in examples:
        example = item.example if isinstance(item, TracedExample) else item
        messages = len(example["messages"])
        counts.examples += 1
        counts.messages += messages
        digest = _digest(example)
        if digest in seen:
            counts.leave_out("exact", messages)
            continue
        seen.add(digest)
        if index is not None and index.add_if_new(example_text(example)):
            counts.leave_out("near", messages)
            continue
        counts.kept += 1
        yield item


class NearDuplicateIndex:
    """Texts that can be asked whether they hold nearly the same as another one.

    Candidates come from MinHash (library rensa); each is then compared exactly, so
    that what is found is at least as similar as asked for.
    """

    def __init__(self, threshold: float) -> None:
        """Begin without texts.

        Args:
            threshold: Jaccard similarity from which on texts count as the same.

        Raises:
            MissingExtraError: If the extra `dedup` is not installed.
            ValueError: If the threshold is below 0.7 or above 1.
        """
        if not _MIN_THRESHOLD <= threshold <= 1:
            msg = f"The threshold must be from {_MIN_THRESHOLD} to 1: {threshold}."
            raise ValueError(msg)
        try:
            import rensa
        except ImportError as error:
            feature = "Finding near-duplicates"
            raise MissingExtraError(feature, "dedup") from error
        self._threshold = threshold
        self._new_hash: Callable[[], Any] = lambda: rensa.RMinHash(
            num_perm=_PERMUTATIONS, seed=_SEED
        )
        self._index = rensa.RMinHashLSH(threshold, _PERMUTATIONS, _BANDS)
        # Texts and not their shingles, which take fifty times the memory.
        self._texts: list[str] = []
        self._known: set[str] = set()

    def add(self, text: str) -> None:
        """Take a text in, given as `normalized_text`."""
        if text not in self._known:
            self._insert(text, self._hash(_shingles(text)))

    def holds(self, text: str) -> bool:
        """Return whether nearly the same text, given as `normalized_text`, is in."""
        if text in self._known:
            return True
        shingles = _shingles(text)
        return self._finds(shingles, self._hash(shingles))

    def add_if_new(self, text: str) -> bool:
        """Take a text in unless nearly the same one is in; tell whether it is."""
        shingles = _shingles(text)
        hashed = self._hash(shingles)
        if self._finds(shingles, hashed):
            return True
        self._insert(text, hashed)
        return False

    def _hash(self, shingles: set[str]) -> Any:
        hashed = self._new_hash()
        hashed.update(sorted(shingles))
        return hashed

    def _insert(self, text: str, hashed: Any) -> None:
        self._index.insert(len(self._texts), hashed)
        self._texts.append(text)
        self._known.add(text)

    def _finds(self, shingles: set[str], hashed: Any) -> bool:
        return any(
            _similarity(shingles, _shingles(self._texts[key])) >= self._threshold
            for key in sorted(self._index.query(hashed))
        )


def example_text(example: TrainingExample) -> str:
    """Return an example's normalized text without system prompts."""
    texts = [
        message_text(message)
        for message in example["messages"]
        if message["role"] not in {"system", "developer"}
    ]
    return normalized_text("\n".join(texts))


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return content or ""


def normalized_text(text: str) -> str:
    """Return a text without what does not matter in a comparison: case and spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SPACES.sub(" ", folded).strip()


def _digest(example: TrainingExample) -> bytes:
    # ASCII, so that halves of surrogate pairs pass.
    text = json.dumps(example, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _shingles(text: str) -> set[str]:
    if len(text) <= _SHINGLE:
        return {text}
    return {text[i : i + _SHINGLE] for i in range(len(text) - _SHINGLE + 1)}


def _similarity(some: set[str], others: set[str]) -> float:
    return len(some & others) / len(some | others)

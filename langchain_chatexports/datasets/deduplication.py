"""Deduplication of examples, exact or by similarity."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.datasets.message_text import message_text
from langchain_chatexports.datasets.trace import AnyExample, TracedExample
from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType

    from langchain_chatexports.datasets.examples import TrainingExample

__all__ = [
    "NearDuplicateIndex",
    "deduplicate_examples",
    "example_text",
    "normalized_text",
    "require_rensa",
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


def deduplicate_examples(
    examples: Iterable[AnyExample],
    *,
    near: float | None = None,
    ledger: list[Counts] | None = None,
) -> Iterator[AnyExample]:
    """Leave out examples that repeat an earlier one.

    Args:
        examples: Plain or traced examples; the first of equal ones stays.
        near: From which share of common text on (0.7 to 1: Jaccard similarity of
            runs of five characters, without regard to case, spaces and system
            prompts) two examples count as equal; needs the extra `dedup`, and keeps
            the examples' texts in memory. `None`: only if they are the same, letter
            by letter.
        ledger: Where to enter what is kept and what is left out, as `Duplicates`. The
            reasons: `exact` and `near`.

    Yields:
        The examples that stay, lazily.

    Raises:
        MissingExtraError: If `near` is given and the extra is not installed.
        ValueError: If `near` is out of range.
    """
    ledger = ledger if ledger is not None else []
    index = None if near is None else NearDuplicateIndex(near)
    seen: set[bytes] = set()
    messages, counts = Counts("Duplicates"), Counts("Duplicates", "examples")
    with entered_at_end(ledger, messages, counts):
        for item in examples:
            example = item.example if isinstance(item, TracedExample) else item
            size = len(example["messages"])
            counts.found += 1
            messages.found += size
            digest = _digest(example)
            reason = None
            if digest in seen:
                reason = "exact"
            elif index is not None and index.add_if_new(example_text(example)):
                reason = "near"
            seen.add(digest)
            if reason is not None:
                counts.skip(reason)
                messages.skip(reason, size)
                continue
            counts.kept += 1
            messages.kept += size
            yield item


class NearDuplicateIndex:
    """An index of texts that finds nearly equal ones.

    Candidates come from MinHash (library rensa); each is then compared exactly, so no
    less similar text is found.
    """

    def __init__(self, threshold: float) -> None:
        """Initialize an empty index.

        Args:
            threshold: Jaccard similarity from which on texts count as the same.

        Raises:
            MissingExtraError: If the extra `dedup` is not installed.
            ValueError: If the threshold is below 0.7 or above 1.
        """
        if not _MIN_THRESHOLD <= threshold <= 1:
            msg = f"The threshold must be from {_MIN_THRESHOLD} to 1: {threshold}."
            raise ValueError(msg)
        rensa = require_rensa()
        self._threshold = threshold
        self._new_hash: Callable[[], Any] = lambda: rensa.RMinHash(
            num_perm=_PERMUTATIONS, seed=_SEED
        )
        self._index = rensa.RMinHashLSH(threshold, _PERMUTATIONS, _BANDS)
        # Texts and not their shingles, which take fifty times the memory.
        self._texts: list[str] = []
        self._known: set[str] = set()

    def add(self, text: str) -> None:
        """Add a text, given as `normalized_text`."""
        if text not in self._known:
            self._insert(text, self._hash(_shingles(text)))

    def holds(self, text: str) -> bool:
        """Return whether nearly the same text, given as `normalized_text`, is known."""
        if text in self._known:
            return True
        shingles = _shingles(text)
        return self._finds(shingles, self._hash(shingles))

    def add_if_new(self, text: str) -> bool:
        """Add a text unless nearly the same one is known; return whether it is."""
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


def require_rensa() -> ModuleType:
    """Return the library that finds near-duplicates.

    Raises:
        MissingExtraError: If the extra `dedup` is not installed.
    """
    try:
        import rensa
    except ImportError as error:
        feature = "Finding near-duplicates"
        raise MissingExtraError(feature, "dedup") from error
    return rensa  # type: ignore[no-any-return] # it is not typed


def example_text(example: TrainingExample) -> str:
    """Return an example's normalized text without system prompts.

    A digest stands for each image: examples about two pictures are not copies.
    """
    texts: list[str] = []
    for message in example["messages"]:
        if message["role"] not in {"system", "developer"}:
            texts.append(message_text(message))
            if isinstance(message.get("content"), list):
                texts += _image_digests(message)
    return normalized_text("\n".join(texts))


def _image_digests(message: Mapping[str, Any]) -> Iterator[str]:
    for part in message["content"]:
        if part.get("type") == "image_url":
            image = json.dumps(part, sort_keys=True)
            yield hashlib.blake2b(image.encode(), digest_size=32).hexdigest()


def normalized_text(text: str) -> str:
    """Return a text for comparison, without differences of case and spaces."""
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

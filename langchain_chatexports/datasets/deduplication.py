"""Examples without those that repeat another one, and texts in comparable form."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.message_text import PROMPT_ROLES, message_text
from langchain_chatexports.datasets.trace import AnyExample, TracedExample

_SPACES = re.compile(r"\s+")


def deduplicate_examples(
    examples: Iterable[AnyExample], *, counts: list[Counts] | None = None
) -> Iterator[AnyExample]:
    """Skip examples that are the same as an earlier one, letter by letter.

    Args:
        examples: Plain or traced examples.
        counts: Where to enter what is kept and skipped (`exact`), as `Duplicates`.

    Yields:
        The examples that stay, lazily.
    """
    counts = counts if counts is not None else []
    seen: set[bytes] = set()
    messages, passed = Counts("Duplicates"), Counts("Duplicates", "examples")
    with entered_at_end(counts, messages, passed):
        for item in examples:
            example = item.example if isinstance(item, TracedExample) else item
            size = len(example["messages"])
            passed.found += 1
            messages.found += size
            digest = _digest(example)
            if digest in seen:
                passed.skip("exact")
                messages.skip("exact", size)
                continue
            seen.add(digest)
            passed.kept += 1
            messages.kept += size
            yield item


def example_text(example: TrainingExample) -> str:
    """Return an example's normalized text without system prompts.

    A digest stands for each image: examples about two pictures are not copies.
    """
    texts: list[str] = []
    for message in example["messages"]:
        if message["role"] not in PROMPT_ROLES:
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

"""The newest examples of many."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from langchain_chatexports.datasets.trace import TracedExample

__all__ = ["newest_examples"]


def newest_examples(
    examples: Iterable[TracedExample], limit: int, *, ledger: list[Counts] | None = None
) -> Iterator[TracedExample]:
    """Leave out all examples but the newest, by the time of their last message.

    Args:
        examples: The examples; those without a time count as the oldest, and of one
            time the later one as the newer. No more than `limit` are in memory.
        limit: How many to keep.
        ledger: Where to enter what is kept and what is left out (`older`), as `Newest`.

    Yields:
        The newest examples, in the order in which they came.
    """
    ledger = ledger if ledger is not None else []
    messages, counts = Counts("Newest"), Counts("Newest", "examples")
    newest: list[tuple[float, int, TracedExample]] = []
    with entered_at_end(ledger, messages, counts):
        for number, item in enumerate(examples):
            counts.found += 1
            messages.found += len(item.example["messages"])
            last = item.origin.last
            entry = (float("-inf") if last is None else last, number, item)
            if len(newest) < limit:
                heapq.heappush(newest, entry)
                continue
            _, _, older = heapq.heappushpop(newest, entry)
            counts.skip("older")
            messages.skip("older", len(older.example["messages"]))
        for _, _, item in sorted(newest, key=lambda entry: entry[1]):
            counts.kept += 1
            messages.kept += len(item.example["messages"])
            yield item

"""The newest examples of many."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.datasets.trace import TracedExample


def newest_examples(
    examples: Iterable[TracedExample], limit: int, *, counts: list[Counts]
) -> Iterator[TracedExample]:
    """Keep the newest examples only, by the time of their last message, in order.

    Those without a time count as the oldest, and of one time the later one as the
    newer. No more than `limit` are in memory.
    """
    messages, passed = Counts("Newest"), Counts("Newest", "examples")
    newest: list[tuple[float, int, TracedExample]] = []
    with entered_at_end(counts, messages, passed):
        for number, item in enumerate(examples):
            passed.found += 1
            messages.found += len(item.example["messages"])
            last = item.origin.last
            entry = (float("-inf") if last is None else last, number, item)
            if len(newest) < limit:
                heapq.heappush(newest, entry)
                continue
            _, _, older = heapq.heappushpop(newest, entry)
            passed.skip("older")
            messages.skip("older", len(older.example["messages"]))
        for _, _, item in sorted(newest, key=lambda entry: entry[1]):
            passed.kept += 1
            messages.kept += len(item.example["messages"])
            yield item

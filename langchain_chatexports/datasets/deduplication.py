"""Skip examples that repeat another one, or that are older than the newest ones."""

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.datasets.trace import AnyExample, TracedExample


def deduplicate_examples(
    examples: Iterable[AnyExample], *, counts: list[Counts] | None = None
) -> Iterator[AnyExample]:
    """Skip examples that are identical to an earlier one.

    Args:
        examples: Plain or traced examples.
        counts: A list to which the counts are added, as `Duplicates`. The reason to
            skip an example is `exact`.

    Yields:
        The kept examples, lazily.
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
            # As ASCII, JSON can contain lone surrogates.
            text = json.dumps(example, sort_keys=True).encode()
            digest = hashlib.blake2b(text, digest_size=16).digest()
            if digest in seen:
                passed.skip("exact")
                messages.skip("exact", size)
                continue
            seen.add(digest)
            passed.kept += 1
            messages.kept += size
            yield item


def newest_examples(
    examples: Iterable[TracedExample], limit: int, *, counts: list[Counts]
) -> Iterator[TracedExample]:
    """Keep the newest examples, by the time of their last message, in order.

    Examples without a time count as the oldest. If times are equal, later examples
    count as newer. At most `limit` examples are in memory.
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

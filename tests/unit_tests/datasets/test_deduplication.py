from __future__ import annotations

from typing import Any

from langchain_chatexports.chat_loaders.counts import Counts, sum_of
from langchain_chatexports.datasets.deduplication import deduplicate_examples

STORY = (
    "The hare laughed at the tortoise, who said that she would race him to the old "
    "mill by the river, and that the fox should judge who of the two was there first."
)


def _example(*texts: Any, system: str | None = None) -> Any:
    roles = ("user", "assistant")
    messages = [
        {"role": roles[index % 2], "content": text} for index, text in enumerate(texts)
    ]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages}


def test_an_exact_copy_is_left_out_and_the_first_one_stays() -> None:
    first, other = _example("Hi", "Ho"), _example("Hi", "Hello")
    counts: list[Counts] = []
    kept = list(deduplicate_examples([first, other, dict(first)], counts=counts))
    assert kept == [first, other]
    assert sum_of(counts, "Duplicates", "examples").skipped == {"exact": 1}


def test_the_order_of_keys_makes_no_difference() -> None:
    first = _example("Hi", "Ho")
    turned: Any = {
        "messages": [dict(reversed(list(m.items()))) for m in first["messages"]]
    }
    assert list(deduplicate_examples([first, turned])) == [first]

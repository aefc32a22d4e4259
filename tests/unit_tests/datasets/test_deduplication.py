from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.counts import Counts, sum_of
from langchain_chatexports.datasets.deduplication import (
    NearDuplicateIndex,
    deduplicate_examples,
    normalized_text,
)
from langchain_chatexports.datasets.trace import UNKNOWN_ORIGIN, TracedExample
from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


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
    ledger: list[Counts] = []
    kept = list(deduplicate_examples([first, other, dict(first)], ledger=ledger))
    assert kept == [first, other]
    assert sum_of(ledger, "Duplicates", "examples").skipped == {"exact": 1}


def test_the_order_of_keys_makes_no_difference() -> None:
    first = _example("Hi", "Ho")
    turned: Any = {
        "messages": [dict(reversed(list(m.items()))) for m in first["messages"]]
    }
    assert list(deduplicate_examples([first, turned])) == [first]


def test_without_a_threshold_a_near_copy_stays() -> None:
    examples = [_example(STORY, "Ha!"), _example(STORY.upper(), "Ha!")]
    assert list(deduplicate_examples(examples)) == examples


def test_a_copy_but_for_case_and_spaces_is_as_near_as_can_be() -> None:
    examples = [_example(STORY, "Ha!"), _example(STORY.upper(), " ha! ")]
    ledger: list[Counts] = []
    assert list(deduplicate_examples(examples, near=1.0, ledger=ledger)) == examples[:1]
    messages = sum_of(ledger, "Duplicates")
    assert (messages.found, messages.skipped) == (4, {"near": 2})


def _picture(url: str) -> list[dict[str, Any]]:
    return [{"type": "image_url", "image_url": {"url": url}}]


def test_other_pictures_with_the_same_answer_are_both_kept() -> None:
    examples = [_example(_picture(url), "Nice!") for url in ("data:a", "data:b")]
    assert list(deduplicate_examples(examples, near=0.7)) == examples


def test_the_same_picture_with_the_same_answer_is_a_near_copy() -> None:
    examples = [_example(_picture("data:a"), text) for text in ("Nice!", "nice!")]
    assert list(deduplicate_examples(examples, near=1.0)) == examples[:1]


def test_one_text_in_two_codings_is_one() -> None:
    assert normalized_text("Cafe\u0301  \uff21") == normalized_text(" caf\u00e9 a")


def test_a_near_copy_is_left_out() -> None:
    near = STORY.replace("laughed", "Laughed").replace("old mill", "old  wind mill")
    examples = [_example(STORY, "Ha!"), _example(near, "Ha!")]
    ledger: list[Counts] = []
    assert list(deduplicate_examples(examples, near=0.8, ledger=ledger)) == examples[:1]
    assert sum_of(ledger, "Duplicates", "examples").skipped == {"near": 1}


def test_texts_without_spaces_are_compared_too() -> None:
    story = "兎は亀を笑った。亀は川のほとりの水車小屋まで競走しようと言った。"
    story += "狐が審判をした。鼠も見に来た。"
    examples = [_example(story, "はい"), _example(story.replace("狐", "猫"), "はい")]
    assert len(list(deduplicate_examples(examples, near=0.7))) == 1


def test_a_shared_system_prompt_makes_no_near_copy() -> None:
    examples = [
        _example("Ready?", "Always", system=STORY),
        _example("Where are you?", "At the mill", system=STORY),
    ]
    assert list(deduplicate_examples(examples, near=0.7)) == examples


def test_traced_examples_keep_their_origins() -> None:
    item = TracedExample(_example("Hi", "Ho"), UNKNOWN_ORIGIN)
    assert list(deduplicate_examples([item, item])) == [item]


def test_it_reads_lazily() -> None:
    def examples() -> Iterator[Any]:
        yield _example("Hi", "Ho")
        pytest.fail("read too far")

    assert next(deduplicate_examples(examples()))


@given(st.lists(st.text(max_size=8), max_size=30))
def test_the_counts_add_up_and_nothing_is_left_twice(texts: list[str]) -> None:
    ledger: list[Counts] = []
    examples = [_example(text, text) for text in texts]
    kept = list(deduplicate_examples(examples, near=0.8, ledger=ledger))
    counts = sum_of(ledger, "Duplicates", "examples")
    assert counts.found == len(examples)
    assert counts.found == counts.kept + counts.skipped.total()
    assert len(kept) == counts.kept
    again = list(deduplicate_examples(kept, near=0.8))
    assert again == kept


def test_near_copies_are_found_among_many_texts() -> None:
    numbers = random.Random(7)
    words = ["".join(numbers.choices("abcdefghij", k=6)) for _ in range(400)]
    texts = [" ".join(numbers.choices(words, k=30)) for _ in range(300)]
    index = NearDuplicateIndex(0.8)
    for text in texts:
        index.add(normalized_text(text))
    copies = [text.replace(text.split()[3], "x", 1) for text in texts]
    assert all(index.holds(normalized_text(text)) for text in copies)
    fresh = [" ".join(numbers.choices(words, k=30)) for _ in range(300)]
    assert not any(index.holds(normalized_text(text)) for text in fresh)


@pytest.mark.parametrize("threshold", [0.2, 1.1])
def test_a_threshold_out_of_range_is_an_error(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"0\.7 to 1"):
        NearDuplicateIndex(threshold)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rensa", None)
    with pytest.raises(MissingExtraError, match=r"\[dedup\]"):
        list(deduplicate_examples([], near=0.8))


def test_a_candidate_that_is_less_similar_than_asked_for_is_no_copy() -> None:
    numbers = random.Random(9)
    words = ["".join(numbers.choices("abcdefghij", k=6)) for _ in range(400)]
    index = NearDuplicateIndex(0.9)
    texts = [numbers.choices(words, k=30) for _ in range(50)]
    for text in texts:
        index.add(" ".join(text))
    # Two of thirty words: about 80 % in common, which MinHash alone takes for a copy.
    changed = [
        " ".join([*text[:10], "x", *text[11:20], "y", *text[21:]]) for text in texts
    ]
    assert not any(map(index.holds, changed))

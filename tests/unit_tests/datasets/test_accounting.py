"""The accounting of a set in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.datasets.accounting import accounting_sentence
from langchain_chatexports.datasets.write import WrittenSet

if TYPE_CHECKING:
    from collections.abc import Mapping


def stage(name: str, unit: str, taken: int, **skipped: int) -> Counts:
    found = Counts(name, unit, taken, taken - sum(skipped.values()))
    found.skipped.update(skipped)
    return found


def written(*stages: Counts, files: Mapping[str, int] | None = None) -> WrittenSet:
    place: Any = Path("set")
    by_unit = {stage.unit: stage for stage in stages}
    examples, answers = by_unit["examples"], by_unit["answers"]
    files = files or {"set": 1}
    return WrittenSet(place, "openai", files, place, place, examples, answers, stages)


EXPORT = stage("Export (imessage)", "messages", 12_345, reaction=2_000, media=300)
WINDOWS = stage("ChunkSessions", "messages", 10_045, tail=1, merged=44)


def test_it_says_what_was_made_of_how_much_and_the_rest_by_size() -> None:
    found = written(
        EXPORT,
        WINDOWS,
        stage("Written (openai)", "examples", 1_609),
        stage("Written (openai)", "answers", 3_000),
    )
    assert accounting_sentence(found, conversations=312) == (
        "1,609 examples from 12,345 messages in 312 conversations; skipped: 2,000 "
        "sent as a reaction, 300 media without text, 1 left over at the end."
    )


def test_one_of_each_is_in_the_singular() -> None:
    found = written(
        stage("Export (imessage)", "messages", 1),
        stage("Written (openai)", "examples", 1),
        stage("Written (openai)", "answers", 1),
    )
    sentence = accounting_sentence(found, conversations=1)
    assert sentence == "1 example from 1 message in 1 conversation."


def test_parts_have_their_sizes() -> None:
    found = written(
        stage("Written (openai)", "examples", 5),
        stage("Written (openai)", "answers", 5),
        files={"train.jsonl": 4, "test.jsonl": 1},
    )
    assert accounting_sentence(found) == "5 examples (train.jsonl 4, test.jsonl 1)."


def test_where_no_messages_are_counted_examples_are() -> None:
    found = written(
        stage("Duplicates", "examples", 9, exact=1),
        stage("Written (trl-prompt-completion)", "examples", 8),
        stage("Written (trl-prompt-completion)", "answers", 8, no_prompt=2),
    )
    assert accounting_sentence(found) == (
        "8 examples; skipped: 1 example repeated, 2 answers before the first message."
    )


def test_more_than_five_reasons_are_in_the_card() -> None:
    many = dict.fromkeys(("bot", "draft", "media", "spam", "system", "unsent"), 2)
    found = written(
        stage("Export (imessage)", "messages", 20, **many),
        stage("Written (openai)", "examples", 8),
        stage("Written (openai)", "answers", 8),
    )
    assert accounting_sentence(found).endswith(", 2 for other reasons.")

"""From exports to training data: names, chats, cuts, and what is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.counts import total_of
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.datasets.set_writer import SetOptions
from langchain_chatexports.datasets.trace_file import read_header, read_trace
from langchain_chatexports.exceptions import SenderNotFoundError, TrainingDataError
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.workflows import prepare, write_examples
from langchain_chatexports.workflows.prepare import speakers
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.telegram import ANN, BO, TelegramChat
from tests.unit_tests.builders.voice_server import write_talks

TORTOISE = PrepareOptions(ai=("Tortoise",))


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., list[list[str]]]:
    """Write a set, and return each example's texts."""

    def write(path: Path, **options: Any) -> list[list[str]]:
        write_examples(path, tmp_path / "set.jsonl", PrepareOptions(**options))
        return [
            [message["content"] for message in row["messages"]]
            for row in read_jsonl(tmp_path / "set.jsonl")
        ]

    return write


@pytest.fixture
def bursts(tmp_path: Path) -> Path:
    """A thread of three evenings of four messages, half an hour apart inside."""
    path = tmp_path / "bursts.db"
    with ChatDb(path) as database:
        chat = database.chat("+15550101234")
        for evening in range(3):
            for number in range(4):
                moment = 1_700_000_000 + 86_400 * evening + 1_800 * number
                text = f"evening {evening}, number {number}"
                chat.message(text, mine=number % 2 == 1, at=moment)
    return path


def write_table(path: Path, *rows: tuple[str, str, str]) -> Path:
    keys = ("conversation_id", "sender", "text")
    write_jsonl([dict(zip(keys, row, strict=True)) for row in rows], path)
    return path


@pytest.mark.parametrize("name", ["Nina Álvarez", "nina alvarez", "Nina", " NINA á"])
def test_case_accents_and_the_rest_of_a_name_do_not_matter(
    tmp_path: Path, name: str
) -> None:
    rows = [
        ("c", who, f"{who} {number}")
        for number in range(20)
        for who in ("Jonas", "Nina Álvarez")
    ]
    path = write_table(tmp_path / "table.jsonl", *rows)
    data = prepare(path, PrepareOptions(ai=(name,), size=2, overlap=0, gap=None))
    assert data.person == "Nina Álvarez"
    chosen = ChatChoice(include=(name,))
    options = PrepareOptions(ai=(name,), chats=chosen, size=2, overlap=0, gap=None)
    assert len(prepare(path, options).examples) == len(data.examples)


def test_a_beginning_of_two_names_is_an_error_that_lists_them(tmp_path: Path) -> None:
    rows = [("c", who, "x") for who in ("Ann Lee", "Ann Ode")]
    path = write_table(tmp_path / "table.jsonl", *rows)
    with pytest.raises(SenderNotFoundError, match=r"'Ann Lee'.*'Ann Ode'"):
        prepare(path, PrepareOptions(ai=("Ann",)))


def test_a_wrong_name_lists_the_senders_also_where_no_window_is_full(
    chats: Path,
) -> None:
    with pytest.raises(SenderNotFoundError, match=r"'Tortoise' \(108\)"):
        prepare(chats, PrepareOptions(ai=("Turtle",), size=40))


def test_a_chat_without_messages_is_said_to_be_empty(tmp_path: Path) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        database.chat("+15550101234")
    with pytest.raises(TrainingDataError, match="no messages to learn from"):
        prepare(tmp_path / "chat.db")


def test_without_a_name_the_owner_speaks(tmp_path: Path) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    data = prepare(threads, PrepareOptions(gap=None))
    assert data.person == "Harry Potter"
    ((export, owner),) = speakers(data.preparation)
    assert (export.path, owner) == (threads, "Harry Potter")


def test_without_a_name_or_an_owner_somebody_is_chosen(
    chats: Path, tmp_path: Path
) -> None:
    with pytest.raises(SenderNotFoundError, match="--ai NAME"):
        prepare(chats)
    threads = write_messenger(tmp_path / "hogwarts")
    asked: list[dict[str, int]] = []

    def choose(senders: Any) -> str:
        asked.append(dict(senders))
        return "Tortoise"

    alone = prepare(threads)
    both = prepare([chats, threads], choose_speaker=choose)
    assert asked[0]["Hare"] == 115
    # The owners that are known speak, too.
    assert len(both.examples) > len(alone.examples)


def test_an_export_without_the_named_person_is_warned_about(
    chats: Path, tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    with pytest.warns(UserWarning, match="hogwarts is skipped: nobody in it"):
        prepare([chats, threads], TORTOISE)


def test_the_newest_conversations_are_held_out(tmp_path: Path) -> None:
    write_talks(tmp_path / "talks.jsonl", 80)
    options = PrepareOptions(ai=("mia",), size=2, overlap=0)
    data = prepare(tmp_path / "talks.jsonl", options)
    assert 5 <= len(data.validation) <= len(data.examples) / 5
    assert not prepare(tmp_path / "talks.jsonl", options, validation=None).validation


def test_a_set_is_read_by_its_parts(tmp_path: Path) -> None:
    write_talks(tmp_path / "talks.jsonl", 80)
    wanted = SetOptions(split=True)
    options = PrepareOptions(ai=("mia",))
    write_examples(tmp_path / "talks.jsonl", tmp_path / "set", options, wanted=wanted)
    data = prepare(tmp_path / "set")
    assert data.examples == [*read_jsonl(tmp_path / "set" / "train.jsonl")]
    assert data.validation == [*read_jsonl(tmp_path / "set" / "validation.jsonl")]


def test_a_limit_that_is_too_low_is_blamed(chats: Path) -> None:
    with pytest.raises(TrainingDataError, match="limit of 8 examples is too low"):
        prepare(chats, PrepareOptions(ai=("Tortoise",), limit=8))


def test_a_system_prompt_says_who_speaks_and_to_whom(
    written: Callable[..., list[list[str]]], chats: Path, tmp_path: Path
) -> None:
    examples = written(chats, ai=("Tortoise",))
    prompt = "You are Tortoise. You are chatting with Hare."
    assert {texts[0] for texts in examples} == {prompt}
    plain = written(chats, ai=("Tortoise",), system=None)
    assert plain == [texts[1:] for texts in examples]
    own = written(chats, ai=("Tortoise",), system="You write to {others}.")
    assert {texts[0] for texts in own} == {"You write to Hare."}
    total = total_of(read_header(tmp_path / "set.jsonl").facts.stages)
    assert total is not None
    assert total.added["system_prompt"] == len(own)


def test_no_answer_is_learned_twice(
    written: Callable[..., list[list[str]]], bursts: Path, tmp_path: Path
) -> None:
    written(bursts, gap=None, size=6, overlap=3)
    answers = [
        (message["content"], message.get("weight", 1))
        for row in read_jsonl(tmp_path / "set.jsonl")
        for message in row["messages"]
        if message["role"] == "assistant"
    ]
    learned = [text for text, weight in answers if weight]
    assert len(learned) == len({*learned}) == len({text for text, _ in answers}) == 6
    assert len(answers) > 6


def test_the_card_accounts_for_every_message_of_two_exports(
    chats: Path, tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    target = tmp_path / "set.jsonl"
    options = PrepareOptions(ai=("Tortoise", "Harry Potter"))
    done = write_examples([chats, threads], target, options)
    total = total_of(read_header(target).facts.stages)
    assert total is not None
    assert done.preparation.examples == sum(1 for _ in read_jsonl(target))
    assert total.found == 223 + 663
    assert total.kept == sum(len(row["messages"]) for row in read_jsonl(target))


def test_a_set_that_is_made_of_a_set_keeps_its_origins(
    chats: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "plain.jsonl", tmp_path / "set.jsonl"
    write_examples(chats, first, TORTOISE)
    write_examples(first, second)
    origins = [[row.origin for row in read_trace(path)] for path in (first, second)]
    assert origins[0] == origins[1]


def test_a_row_that_was_changed_by_hand_is_of_unknown_origin(
    chats: Path, tmp_path: Path
) -> None:
    plain, target = tmp_path / "plain.jsonl", tmp_path / "set.jsonl"
    write_examples(chats, plain, TORTOISE)
    rows = list(read_jsonl(plain))
    rows[1]["messages"][0]["content"] = "changed"
    del rows[0]
    write_jsonl(rows, plain)
    write_examples(plain, target)
    known = [bool(row.origin.senders) for row in read_trace(target)]
    assert known == [False, *[True] * (len(rows) - 1)]


def test_what_was_forwarded_is_never_learned(tmp_path: Path) -> None:
    """It is in the examples as context: apart from own words, with weight 0."""
    chat = TelegramChat()
    chat.says(BO, "One?")
    chat.says(ANN, "own")
    chat.says(ANN, "of Cy", forwarded_from="Cy")
    chat.says(ANN, "of nobody", forwarded_from=None)
    chat.says(ANN, "own, too")
    chat.says(BO, "Two?")
    chat.says(ANN, "saved", saved_from="Cy")
    chat.says(BO, "Three?")
    chat.says(ANN, "end")
    path = chat.write(tmp_path / "result.json")
    (example,) = prepare(path, PrepareOptions(gap=None)).examples
    answers = [m for m in example["messages"] if m["role"] == "assistant"]
    context = [m["content"] for m in answers if m.get("weight") == 0]
    learned = [m["content"] for m in answers if m.get("weight") != 0]
    assert context == ["of Cy\n\nof nobody", "saved"]
    assert learned == ["own", "own, too", "end"]

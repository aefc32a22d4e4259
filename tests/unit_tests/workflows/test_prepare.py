"""From exports to training data: names, chats, parts, and sets."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.counts import sum_counts
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.trace_file import read_header, read_trace
from langchain_chatexports.exceptions import SenderNotFoundError, TrainingDataError
from langchain_chatexports.redaction import read_key_file, restore
from langchain_chatexports.redaction.redactor import Redactor
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.workflows import write_examples
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.prepare import (
    DatasetOptions,
    find_default_speakers,
    prepare,
)
from langchain_chatexports.workflows.redaction import Redaction
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.telegram import ANN, BO, TelegramChat
from tests.unit_tests.builders.voice_server import write_talks

TORTOISE = PrepareOptions(ai=("Tortoise",))


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


def prepare_texts(path: Path, **options: Any) -> list[list[str]]:
    """Return the texts of each example in Tortoise's voice."""
    choices = PrepareOptions(ai=("Tortoise",), **options)
    examples = prepare(path, choices, validation=None).examples
    return [[m["content"] for m in example["messages"]] for example in examples]


def write_table(path: Path, *rows: tuple[str, str, str]) -> Path:
    keys = ("conversation_id", "sender", "text")
    write_jsonl([dict(zip(keys, row, strict=True)) for row in rows], path)
    return path


@pytest.mark.parametrize("name", ["Nina Álvarez", "nina alvarez", "Nina", " NINA á"])
def test_name_matches_by_prefix(tmp_path: Path, name: str) -> None:
    rows = [
        ("c", who, f"{who} {number}")
        for number in range(20)
        for who in ("Jonas", "Nina Álvarez")
    ]
    path = write_table(tmp_path / "table.jsonl", *rows)
    data = prepare(path, PrepareOptions(ai=(name,), size=2, overlap=0, gap=None))
    assert data.person == "Nina Álvarez"
    chosen = ChatFilter(include=(name,))
    options = PrepareOptions(ai=(name,), chats=chosen, size=2, overlap=0, gap=None)
    assert len(prepare(path, options).examples) == len(data.examples)


def test_ambiguous_prefix_is_an_error(tmp_path: Path) -> None:
    rows = [("c", who, "x") for who in ("Ann Lee", "Ann Ode")]
    path = write_table(tmp_path / "table.jsonl", *rows)
    with pytest.raises(SenderNotFoundError, match=r"'Ann Lee'.*'Ann Ode'"):
        prepare(path, PrepareOptions(ai=("Ann",)))


def test_wrong_name_lists_the_senders(chats: Path) -> None:
    with pytest.raises(SenderNotFoundError, match=r"'Tortoise' \(108\)"):
        prepare(chats, PrepareOptions(ai=("Turtle",), size=40))


def test_empty_chat_is_an_error(tmp_path: Path) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        database.chat("+15550101234")
    with pytest.raises(TrainingDataError, match="no messages to train on"):
        prepare(tmp_path / "chat.db")


def test_owner_is_the_default_speaker(tmp_path: Path) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    data = prepare(threads, PrepareOptions(gap=None))
    assert data.person == "Harry Potter"
    ((export, owner),) = find_default_speakers(data.preparation)
    assert (export.path, owner) == (threads, "Harry Potter")


def test_speaker_is_asked_for(chats: Path, tmp_path: Path) -> None:
    with pytest.raises(SenderNotFoundError, match="with `ai`"):
        prepare(chats)
    threads = write_messenger(tmp_path / "hogwarts")
    choices: list[dict[str, int]] = []

    def choose(senders: Any) -> str:
        choices.append(dict(senders))
        return "Tortoise"

    alone = prepare(threads)
    both = prepare([chats, threads], choose_speaker=choose)
    assert choices[0]["Hare"] == 115
    # Known owners are speakers, too.
    assert len(both.examples) > len(alone.examples)


def test_export_without_speaker_is_skipped(chats: Path, tmp_path: Path) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    with pytest.warns(UserWarning, match="hogwarts: it has no messages from"):
        prepare([chats, threads], TORTOISE)


def test_newest_conversations_are_held_out(tmp_path: Path) -> None:
    write_talks(tmp_path / "talks.jsonl", 80)
    options = PrepareOptions(ai=("mia",), size=2, overlap=0)
    data = prepare(tmp_path / "talks.jsonl", options)
    assert 5 <= len(data.validation) <= len(data.examples) / 5
    assert not prepare(tmp_path / "talks.jsonl", options, validation=None).validation


def test_set_keeps_its_parts(tmp_path: Path) -> None:
    write_talks(tmp_path / "talks.jsonl", 80)
    paths = (tmp_path / "talks.jsonl", tmp_path / "set")
    options = PrepareOptions(ai=("mia",))
    write_examples(*paths, options, set_options=DatasetOptions(split=True))
    data = prepare(tmp_path / "set")
    assert data.examples == [*read_jsonl(tmp_path / "set" / "train.jsonl")]
    assert data.validation == [*read_jsonl(tmp_path / "set" / "validation.jsonl")]


def test_low_limit_is_an_error(chats: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"limit \(8\) is too low"):
        prepare(chats, PrepareOptions(ai=("Tortoise",), limit=8))


def test_system_prompt_names_the_people(chats: Path, tmp_path: Path) -> None:
    examples = prepare_texts(chats)
    prompt = "You are Tortoise. You are chatting with Hare."
    assert {texts[0] for texts in examples} == {prompt}
    assert prepare_texts(chats, system=None) == [texts[1:] for texts in examples]
    own = prepare_texts(chats, system="You write to {others}.")
    assert {texts[0] for texts in own} == {"You write to Hare."}
    write_examples(chats, tmp_path / "set.jsonl", TORTOISE)
    total = sum_counts(read_header(tmp_path / "set.jsonl").metadata.stages)
    assert total is not None
    assert total.added["system_prompt"] == len(examples)


def test_no_answer_is_learned_twice(tmp_path: Path) -> None:
    rows = [("c", who, f"{who} {number}") for number in range(6) for who in "AB"]
    path = write_table(tmp_path / "table.jsonl", *rows)
    options = PrepareOptions(ai=("B",), gap=None, size=6, overlap=3)
    answers = [
        (message["content"], message.get("weight", 1))
        for example in prepare(path, options, validation=None).examples
        for message in example["messages"]
        if message["role"] == "assistant"
    ]
    learned = [text for text, weight in answers if weight]
    assert len(learned) == len({*learned}) == len({text for text, _ in answers}) == 6
    assert len(answers) > 6


def test_card_counts_every_message(chats: Path, tmp_path: Path) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    target = tmp_path / "set.jsonl"
    options = PrepareOptions(ai=("Tortoise", "Harry Potter"))
    done = write_examples([chats, threads], target, options)
    total = sum_counts(read_header(target).metadata.stages)
    assert total is not None
    assert done.preparation.examples == sum(1 for _ in read_jsonl(target))
    assert total.found == 223 + 663
    assert total.kept == sum(len(row["messages"]) for row in read_jsonl(target))


def test_set_of_a_set_keeps_origins(chats: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "plain.jsonl", tmp_path / "set.jsonl"
    write_examples(chats, first, TORTOISE)
    write_examples(first, second)
    origins = [[row.origin for row in read_trace(path)] for path in (first, second)]
    assert origins[0] == origins[1]


def test_changed_row_has_no_origin(chats: Path, tmp_path: Path) -> None:
    plain, target = tmp_path / "plain.jsonl", tmp_path / "set.jsonl"
    write_examples(chats, plain, TORTOISE)
    rows = list(read_jsonl(plain))
    rows[1]["messages"][0]["content"] = "changed"
    del rows[0]
    write_jsonl(rows, plain)
    write_examples(plain, target)
    known = [bool(row.origin.senders) for row in read_trace(target)]
    assert known == [False, *[True] * (len(rows) - 1)]


def test_forwarded_messages_are_not_learned(tmp_path: Path) -> None:
    """They are separate turns with weight 0, as context."""
    chat = TelegramChat()
    chat.says(BO, "One?")
    chat.says(ANN, "own")
    chat.says(ANN, "of Cy", forwarded_from="Cy")
    chat.says(ANN, "of unknown", forwarded_from=None)
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
    assert context == ["of Cy\n\nof unknown", "saved"]
    assert learned == ["own", "own, too", "end"]


def test_redaction_reads_the_export_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for all names, which may occur in any message, and once for examples."""
    rows = [("c", "AB"[n % 2], f"{n}, call +1 650 253 000{n}") for n in range(8)]
    path = write_table(tmp_path / "table.jsonl", *rows)
    reads, redacted = [], []
    conversations = TableChatLoader.conversations
    redact_session = Redactor.redact_session

    def count_read(loader: TableChatLoader, *arguments: Any) -> Any:
        reads.append(loader)
        return conversations(loader, *arguments)

    def count_session(redactor: Redactor, *arguments: Any) -> Any:
        redacted.append(arguments)
        return redact_session(redactor, *arguments)

    monkeypatch.setattr(TableChatLoader, "conversations", count_read)
    monkeypatch.setattr(Redactor, "redact_session", count_session)
    redaction = Redaction(tmp_path / "set.key")
    options = PrepareOptions(ai=("B",), gap=None, redaction=redaction)
    write_examples(path, tmp_path / "set", options)
    assert (len(reads), len(redacted)) == (2, 1)
    stand_ins = read_key_file(tmp_path / "set.key").stand_ins
    (example,) = read_jsonl(tmp_path / "set")
    for message, (_, _, text) in zip(example["messages"][1:], rows, strict=True):
        assert text not in message["content"]
        assert restore(message["content"], stand_ins) == text

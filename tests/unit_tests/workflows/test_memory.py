"""The memory of a talk: found messages, unknown facts, small talk."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.personas.talk import RecalledMessages
from langchain_chatexports.retrieval.index_files import index_files
from langchain_chatexports.workflows.memory import Memory, open_memory
from tests.unit_tests.builders.whatsapp import START, WhatsAppChat

EVERY_DAY = ("Wie geht es dir?", "Gut, und dir?", "Was machst du?", "Ich koche gerade.")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An everyday chat with two facts."""
    chat = WhatsAppChat.ios()
    for number in range(60):
        for index, text in enumerate(EVERY_DAY):
            chat.says(("Jonas", "Mama")[index % 2], text)
        if number == 20:
            chat.says("Jonas", "Ich hab das rote Fahrrad in Bremen gekauft")
        if number == 40:
            chat.says("Mama", "Der Hund heißt Bruno " + "und bellt " * 400)
    return chat.to_file(tmp_path_factory.mktemp("chat") / "_chat.txt")


@contextmanager
def quick_memory(exports: list[Path], **options: Any) -> Iterator[Memory]:
    with open_memory(exports, only_if_quick=True, **options) as memory:
        assert memory is not None
        yield memory


@pytest.fixture(scope="module")
def memory(export: Path) -> Iterator[Memory]:
    with quick_memory([export], person="Mama", language="German") as memory:
        yield memory


def test_message_is_found_and_cited(memory: Memory) -> None:
    found = memory("Wo hab ich das Fahrrad gekauft?")
    assert "Jonas: Ich hab das rote Fahrrad in Bremen gekauft" in found.text
    assert "Do not invent anything" in found.text
    (cited,) = found.cited
    assert cited.startswith("2022-03-18 ")
    assert cited.endswith("Jonas: Ich hab das rote Fahrrad in Bremen gekauft")
    assert (found.asks_for_fact, found.refusal) == (True, "")


@pytest.mark.parametrize("hours", [1, 4])
def test_question_is_cited_with_its_answer(tmp_path: Path, hours: int) -> None:
    chat = WhatsAppChat.ios().says("Jonas", "Wann ist das Konzert?").says("Jonas", "?")
    later = START + timedelta(hours=hours)
    chat.says("Mama", "Am 12. Juni", later).says("Jonas", "Super")
    export = chat.to_file(tmp_path / "_chat.txt")
    with quick_memory([export], person="Mama") as memory:
        found = memory("Wann war das Konzert?")
    assert "Mama: Am 12. Juni" in found.text
    question, answer = found.cited
    assert question.endswith("Jonas: Wann ist das Konzert?")
    assert answer.endswith("Mama: Am 12. Juni")


@pytest.mark.parametrize(
    "line",
    [
        "Wo hab ich das Auto gekauft?",
        "wann waren wir in Paris",
        "What is the name of my cat?",
        "wie viel hat das klavier gekauft",
        "我们什么时候去巴黎?",
    ],
)
def test_unknown_fact_is_refused(memory: Memory, line: str) -> None:
    assert memory(line) == RecalledMessages(refusal="Weiß ich nicht")


def test_refusal_is_in_the_language_of_the_message(export: Path) -> None:
    with quick_memory([export]) as memory:
        found = memory("Wo haben wir das Auto für Anna?")
        assert found.refusal == "Weiß ich nicht"
        assert memory("Who won the match?").refusal == "I don't know"


def test_fact_from_the_talk_is_not_refused(memory: Memory) -> None:
    line = "Wie heißt meine Katze?"
    assert memory(line).refusal
    assert memory(line, "Meine Katze heißt Mimi\nSchön!") == RecalledMessages()


@pytest.mark.parametrize(
    "line",
    [
        *("Wie geht es dir?", "Ok", "Hm?", "", "Magst du Ananas?", "I like trains"),
        *("I know where the museum is", "Wo bist du gerade?", "When are you coming?"),
    ],
)
def test_small_talk_recalls_nothing(memory: Memory, line: str) -> None:
    assert memory(line) == RecalledMessages()


def test_greetings_recall_nothing(tmp_path: Path) -> None:
    chat = (
        WhatsAppChat.ios().says("Jonas", "Hallo Mama, bist du da?").says("Mama", "Ja")
    )
    export = chat.to_file(tmp_path / "_chat.txt")
    with quick_memory([export], person="Mama") as memory:
        assert memory("Hallo Mama, was machst du?") == RecalledMessages()
        assert memory("Hallo!") == RecalledMessages()
    with quick_memory([export], person="Jonas") as memory:
        assert memory("Hallo Jonas, wo ist Mama?").text


def test_only_own_chats_are_recalled(tmp_path: Path, export: Path) -> None:
    other = WhatsAppChat.ios().says("Ann", "The lighthouse is in Wick").says("Bo", "Ok")
    exports = [export, other.to_file(tmp_path / "_chat.txt")]
    with quick_memory(exports, person="Mama") as memory:
        assert memory("Where is the lighthouse?").refusal
    with quick_memory(exports, person="Bo") as memory:
        assert len(memory("Where is the lighthouse?").cited) == 1


def test_quick_memory_builds_no_index(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = "langchain_chatexports.retrieval.index_files.default_index_dir"
    monkeypatch.setattr(default, lambda: tmp_path / "indexes")
    with open_memory([export], only_if_quick=True):
        assert not index_files(None)
    with open_memory([export]) as memory:
        assert memory is not None
        assert index_files(None)
    monkeypatch.setattr(default, lambda: tmp_path / "empty")
    module = "langchain_chatexports.workflows.memory"
    monkeypatch.setattr(f"{module}.estimate_message_count", lambda _: 10**6)
    with open_memory([export], only_if_quick=True) as memory:
        assert memory is None
    with open_memory([]) as memory:
        assert memory is None


def test_a_message_that_asks_nothing_quotes_nothing(tmp_path: Path) -> None:
    chat = WhatsAppChat.ios()
    for number in range(30):
        chat.says("Jonas", f"Nummer {number}").says("Mama", "Gut so")
    chat.says("Mama", "Die Schnecken fressen den Salat")
    with open_memory([chat.to_file(tmp_path / "_chat.txt")], person="Mama") as found:
        assert found is not None
        assert found("Was fressen die Schnecken?").cited
        assert not found("Magst du Schnecken?").cited
        said = found("Ich habe Schnecken gesehen")
        assert said.text
        assert not said.cited

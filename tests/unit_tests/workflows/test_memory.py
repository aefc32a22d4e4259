"""What a talk remembers of exports: what is found, what is unknown, what is neither."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.personas.talk import Recalled
from langchain_chatexports.workflows.memory import Memory, memory_of
from tests.unit_tests.builders.whatsapp import START, WhatsAppChat

EVERY_DAY = ("Wie geht es dir?", "Gut, und dir?", "Was machst du?", "Ich koche gerade.")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat of every day, with two facts in it."""
    chat = WhatsAppChat.ios()
    for number in range(60):
        for place, text in enumerate(EVERY_DAY):
            chat.says(("Jonas", "Mama")[place % 2], text)
        if number == 20:
            chat.says("Jonas", "Ich hab das rote Fahrrad in Bremen gekauft")
        if number == 40:
            chat.says("Mama", "Der Hund heißt Bruno " + "und bellt " * 400)
    return chat.to_file(tmp_path_factory.mktemp("chat") / "_chat.txt")


@contextmanager
def remembered(exports: list[Path], **options: Any) -> Iterator[Memory]:
    with memory_of(exports, only_if_quick=True, **options) as memory:
        assert memory is not None
        yield memory


@pytest.fixture(scope="module")
def memory(export: Path) -> Iterator[Memory]:
    with remembered([export], person="Mama", language="German") as memory:
        yield memory


def test_what_was_said_is_found_and_cited_with_its_time_and_sender(
    memory: Memory,
) -> None:
    found = memory("Wo hab ich das Fahrrad gekauft?")
    assert "Jonas: Ich hab das rote Fahrrad in Bremen gekauft" in found.text
    assert "Do not invent anything" in found.text
    (cited,) = found.cited
    assert cited.startswith("2022-03-18 ")
    assert cited.endswith("Jonas: Ich hab das rote Fahrrad in Bremen gekauft")
    assert (found.is_fact, found.refusal) == (True, "")


@pytest.mark.parametrize("hours", [1, 4])
def test_a_question_is_cited_with_its_answer(tmp_path: Path, hours: int) -> None:
    chat = WhatsAppChat.ios().says("Jonas", "Wann ist das Konzert?").says("Jonas", "?")
    later = START + timedelta(hours=hours)
    chat.says("Mama", "Am 12. Juni", later).says("Jonas", "Super")
    export = chat.to_file(tmp_path / "_chat.txt")
    with remembered([export], person="Mama") as memory:
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
def test_a_fact_that_nobody_mentioned_is_unknown_in_the_persons_language(
    memory: Memory, line: str
) -> None:
    assert memory(line) == Recalled(refusal="Weiß ich nicht")


def test_without_the_persons_language_it_is_that_of_the_line(export: Path) -> None:
    with remembered([export]) as memory:
        found = memory("Wo haben wir das Auto für Anna?")
        assert found.refusal == "Weiß ich nicht"
        assert memory("Who won the match?").refusal == "I don't know"


def test_what_the_talk_has_told_is_not_refused(memory: Memory) -> None:
    line = "Wie heißt meine Katze?"
    assert memory(line).refusal
    assert memory(line, "Meine Katze heißt Mimi\nSchön!") == Recalled()


@pytest.mark.parametrize(
    "line",
    [
        *("Wie geht es dir?", "Ok", "Hm?", "", "Magst du Ananas?", "I like trains"),
        *("I know where the museum is", "Wo bist du gerade?", "When are you coming?"),
    ],
)
def test_small_talk_brings_nothing_to_mind(memory: Memory, line: str) -> None:
    assert memory(line) == Recalled()


def test_greetings_bring_nothing_to_mind(tmp_path: Path) -> None:
    chat = (
        WhatsAppChat.ios().says("Jonas", "Hallo Mama, bist du da?").says("Mama", "Ja")
    )
    export = chat.to_file(tmp_path / "_chat.txt")
    with remembered([export], person="Mama") as memory:
        assert memory("Hallo Mama, was machst du?") == Recalled()
        assert memory("Hallo!") == Recalled()
    with remembered([export], person="Jonas") as memory:
        assert memory("Hallo Jonas, wo ist Mama?").text


def test_a_person_remembers_only_chats_that_they_were_in(
    tmp_path: Path, export: Path
) -> None:
    other = WhatsAppChat.ios().says("Ann", "The lighthouse is in Wick").says("Bo", "Ok")
    exports = [export, other.to_file(tmp_path / "_chat.txt")]
    with remembered(exports, person="Mama") as memory:
        assert memory("Where is the lighthouse?").refusal
    with remembered(exports, person="Bo") as memory:
        assert len(memory("Where is the lighthouse?").cited) == 1


def test_nothing_is_kept_or_waited_for_unless_that_is_wanted(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_of([export], only_if_quick=True, index_dir=tmp_path / "i"):
        assert not (tmp_path / "i").exists()
    with memory_of([export], index_dir=tmp_path / "i") as memory:
        assert memory is not None
        assert [*(tmp_path / "i").iterdir()]
    module = "langchain_chatexports.workflows.memory"
    monkeypatch.setattr(f"{module}.estimate_message_count", lambda _: 10**6)
    with memory_of([export], only_if_quick=True) as memory:
        assert memory is None
    with memory_of([]) as memory:
        assert memory is None

import os
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports import ChatExportRetriever
from langchain_chatexports.exceptions import ExportFormatError, SenderNotFoundError
from langchain_chatexports.retrieval import ChatIndex, IndexCounts
from tests.unit_tests.builders.sessions import said, talk

HOURS = 3600


def chat(*lines: str, name: str = "c1", **metadata: Any) -> ChatSession:
    facts = {"id": name, "platform": "races", "title": name, "is_group": False}
    return talk(*lines, metadata={**facts, **metadata})


def filled(*sessions: ChatSession, path: Path | None = None) -> ChatIndex:
    index = ChatIndex(path)
    index.rebuild(sessions)
    return index


def found(index: ChatIndex, query: str, **filters: Any) -> list[str]:
    """Return the texts of the best matching messages."""
    return [hit.match.text for hit in index.search(query, **filters)]


@pytest.fixture
def garden() -> ChatIndex:
    return filled(
        chat("Hare: I planted carrots", "Tortoise: Water them tonight"),
        chat("Ron: The race is at nine", "Tortoise: I will be there", name="c2"),
        chat("Hare: New shoes!", "Ron: Whose?", "Tortoise: Mine", name="Shoe club"),
    )


def test_best_message_is_found(garden: ChatIndex) -> None:
    assert found(garden, "when is the race?") == ["The race is at nine"]
    (hit,) = garden.search("carrot")
    assert hit.document.page_content.startswith("Chat: c1 (Hare, Tortoise)\n")


def test_person_filter_finds_low_ranked_windows() -> None:
    others = [
        chat("Tortoise: the race, the race", "Hare: yes", name=f"c{number}")
        for number in range(300)
    ]
    text = "I am not sure that I have ever told you about my race of last summer"
    index = filled(*others, chat(f"Hare: {text}", name="last"))
    assert found(index, "race", k=1, person="Hare") == [text]
    assert found(index, "race", k=1, person="Tortoise") == ["the race, the race"]


def test_function_words_are_ignored(garden: ChatIndex) -> None:
    assert found(garden, "what is the capital of France") == []
    assert found(garden, "what did they say about the shoes?") == ["New shoes!"]
    assert found(garden, "whose?") == ["Whose?"]


def common_chat() -> ChatIndex:
    """A chat with a window per line, in which most lines have the same words."""
    lines = ["Oggi mangiamo presto zuppa", "Quando mangiamo presto?"] * 30
    lines += ["Gli gnocchi sono pronti", "Gnocchi mangiamo presto!", "Pane e pane"]
    return filled(*(chat(f"Hare: {x}", name=f"c{n}") for n, x in enumerate(lines)))


def test_common_words_of_any_language_are_not_enough() -> None:
    """The function words of most languages are not listed."""
    index = common_chat()
    matches = found(index, "Quando mangiamo presto gnocchi?", k=10)
    assert sorted(matches) == [
        "Gli gnocchi sono pronti",
        "Gnocchi mangiamo presto!",
    ]
    assert len(found(index, "Quando mangiamo?", k=10)) == 10
    assert len(found(index, '"mangiamo presto" gnocchi', k=10)) == 10
    assert len(found(index, "Quando mangiamo torta?", k=10)) == 10


@pytest.mark.parametrize(
    ("question", "matches"),
    [("Wann gibt es Rouladen?", ["Ich mache Rouladen"]), ("Wann gibt es Kaffee?", [])],
)
def test_listed_function_words_are_ignored(question: str, matches: list[str]) -> None:
    index = filled(chat("Hare: Ich mache Rouladen"), chat("Ron: Wann gibt es Eis?"))
    assert found(index, question) == matches


def test_quoted_phrase_must_occur() -> None:
    index = filled(
        chat("Hare: shoes, all new", name="1"), chat("Hare: my new shoes", name="2")
    )
    assert found(index, '"new shoes"') == ["my new shoes"]
    assert found(index, '"new shoes" all') == ["my new shoes"]
    assert len(found(index, "new shoes")) == 2


def test_repeated_word_does_not_improve_a_match() -> None:
    index = filled(chat("Hare: a race", "Ron: race, race, RACE!", "Hare: carrots"))
    (hit,) = index.search("race")
    assert [line.text for line in hit.matches] == ["a race", "race, race, RACE!"]
    assert hit.words == 1


def test_message_with_all_words_is_first() -> None:
    text = "the train to Bremen, if I remember it, leaves late at night"
    parts = [
        chat(f"Ron: train, {n}", "Ron: bremen, bremen", name=f"{n}") for n in range(60)
    ]
    fillers = ["Ron: well, " * 30] * 7
    index = filled(*parts, chat(f"Hare: {text}", *fillers, name="all"))
    assert found(index, "train Bremen", k=2)[0] == text
    assert found(index, "train Bremen", k=1, person="Ron") != [text]


def test_case_accents_and_endings_do_not_matter() -> None:
    index = filled(chat("Hare: Un CAFÉ, dos carreras, three RACES"))
    for query in ("café", "cafe\u0301", "CAFE", "race", "racing"):
        assert found(index, query), query


@pytest.mark.parametrize(
    ("text", "query", "other"),
    [
        ("我们明天九点在图书馆见面", "图书馆", "火车站"),
        ("我们明天九点在图书馆见面", "面", "火"),
        ("明日の九時に図書館で会いましょう", "図書館で", "駅"),
        ("เจอกันที่ห้องสมุดตอนเก้าโมง", "ห้องสมุด", "รถไฟ"),
        ("도서관에서 만나요", "도서관", "기차"),
        ("हम पुस्तकालय में मिलेंगे", "पुस्तकालय", "पुल"),
        ("Встретимся в библиотеке в девять", "библиотеке", "поезд"),
        ("نلتقي في المكتبة الساعة التاسعة", "المكتبة", "القطار"),
    ],
)
def test_words_are_found_in_all_scripts(text: str, query: str, other: str) -> None:
    index = filled(chat(f"Hare: {text}"), chat("Hare: hello", name="c2"))
    assert found(index, query) == [text]
    assert found(index, other) == []


@pytest.mark.parametrize(
    "query",
    [
        *("", "   ", '"', '""', '"race', "race*", "race AND", "NOT race", "(race"),
        *("race NEAR(nine, 2)", "text:race", "race) OR (1=1", "race\0nine"),
        *("'; DROP TABLE message; --", "^race - + {nine}", "😀", "\ud83d race"),
    ],
)
def test_query_operators_are_ignored(garden: ChatIndex, query: str) -> None:
    assert set(found(garden, query)) <= {"The race is at nine"}
    assert len(garden.chats()) == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_any_text_is_a_valid_query(garden: ChatIndex, query: str) -> None:
    garden.search(query)


class TestFilters:
    @pytest.mark.parametrize("filters", [{"chat": []}, {"person": []}, {"k": 0}])
    def test_empty_filters_match_nothing(
        self, garden: ChatIndex, filters: dict[str, Any]
    ) -> None:
        assert found(garden, "race", **filters) == []
        retriever = ChatExportRetriever(index=garden)
        assert retriever.invoke("race", **filters) == []
        assert ChatExportRetriever(index=garden, **filters).invoke("race") == []

    def test_person_filter_selects_the_sender(self, garden: ChatIndex) -> None:
        assert found(garden, "race carrots", person="HARE") == ["I planted carrots"]
        assert found(garden, "nine there", person="Tortoise") == ["I will be there"]

    @pytest.mark.parametrize("name", ["Shoe club", "shoe", "races:Shoe club"])
    def test_chat_filter_selects_by_title_or_id(
        self, garden: ChatIndex, name: str
    ) -> None:
        assert found(garden, "shoes race", chat=name) == ["New shoes!"]
        assert found(garden, "race carrots", chat="Ron") == ["The race is at nine"]

    def test_unknown_names_are_errors(self, garden: ChatIndex) -> None:
        with pytest.raises(SenderNotFoundError, match="Did you mean 'Hare'"):
            garden.search("race", person="Hair")
        with pytest.raises(SenderNotFoundError, match="No chat"):
            garden.search("race", chat="Dormouse")

    def test_time_filter_has_exact_bounds(self) -> None:
        days = [said("Hare", f"race {day}", at=24 * HOURS * day) for day in range(4)]
        index = filled(cast("ChatSession", {"messages": [*days, said("Hare", "race")]}))
        noon = datetime(2023, 8, 29, 12, tzinfo=UTC)
        assert sorted(found(index, "race", start=noon)) == ["race 2", "race 3"]
        assert sorted(found(index, "race", end=noon)) == ["race 0", "race 1"]
        day = date(2023, 8, 29)
        assert found(index, "race", start=day, end=day) == ["race 1"]
        with pytest.raises(ValueError, match="time zone"):
            index.search("race", start=noon.replace(tzinfo=None))


class TestRebuild:
    def test_rebuild_replaces_the_contents(self) -> None:
        index = ChatIndex()
        sessions = [chat("Hare: carrot", "Hare: beet"), chat("Ron: turnip", name="c2")]
        assert index.rebuild(sessions) == IndexCounts(chats=2, messages=3)
        assert index.rebuild(chat("Hare: lettuce")) == IndexCounts(1, 1)
        assert found(index, "carrot beet turnip lettuce") == ["lettuce"]
        assert index.people() == {"Hare": 1}

    def test_deleted_texts_are_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / "index.sqlite"
        with filled(chat("Zebulon: quagmire"), path=path) as index:
            index.rebuild(chat("Hare: carrot"))
        data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"carrot" in data
        assert b"quagmire" not in data
        assert b"Zebulon" not in data

    def test_loader_error_keeps_the_contents(self) -> None:
        index = ChatIndex()
        index.rebuild(chat("Hare: carrot"), note="first")

        def broken() -> Any:
            yield chat("Hare: turnip")
            raise EOFError

        with pytest.raises(EOFError):
            index.rebuild(broken(), note="second")
        assert found(index, "carrot turnip") == ["carrot"]
        assert index.note() == "first"

    def test_full_disk_keeps_the_index_alone(self, tmp_path: Path) -> None:
        """A rebuild is a registered part, journal included, until it is complete."""
        path = tmp_path / "index.sqlite"
        index = filled(chat("Hare: carrot"), path=path)

        def sessions() -> Any:
            yield chat("Hare: turnip")
            assert len([*tmp_path.iterdir()]) == 2
            raise sqlite3.OperationalError

        with pytest.raises(ExportFormatError, match="cannot be used"):
            index.rebuild(sessions())
        assert [*tmp_path.iterdir()] == [path]
        assert found(index, "carrot turnip") == ["carrot"]

    @pytest.mark.parametrize("is_locked", [False, True])
    def test_open_indexes_read_the_new_contents(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        is_locked: bool,
    ) -> None:
        path = tmp_path / "index.sqlite"
        index = filled(chat("Hare: carrot"), path=path)
        other = ChatIndex(path)
        if is_locked:

            def refuse(*_: object) -> None:
                raise PermissionError

            monkeypatch.setattr(Path, "replace", refuse)  # As on Windows.
        index.rebuild(chat("Hare: turnip"))
        assert found(other, "carrot turnip") == ["turnip"]
        assert found(index, "carrot turnip") == ["turnip"]
        assert [*tmp_path.iterdir()] == [path]


class TestFile:
    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    def test_index_is_private(self, tmp_path: Path) -> None:
        folder = tmp_path / "indexes"
        index = filled(chat("Hare: carrot"), path=folder / "index.sqlite")
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}
        assert modes == {"index.sqlite": 0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "index.sqlite").chmod(0o644)
        index.close()
        ChatIndex(folder / "index.sqlite").close()
        assert stat.S_IMODE((folder / "index.sqlite").stat().st_mode) == 0o600

    def test_other_databases_are_not_changed(self, tmp_path: Path) -> None:
        path = tmp_path / "chat.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE message (text)")
            database.commit()
        before = path.read_bytes(), path.stat().st_mode
        with pytest.raises(ExportFormatError, match="not a search index"):
            ChatIndex(path)
        assert (path.read_bytes(), path.stat().st_mode) == before

    def test_index_of_another_version_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "index.sqlite"
        ChatIndex(path).close()
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 99")
        with pytest.raises(ExportFormatError, match="another version"):
            ChatIndex(path)

    def test_damaged_index_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "index.sqlite"
        filled(chat("Hare: carrot"), path=path).close()
        data = path.read_bytes()
        path.write_bytes(data[:100] + b"\xff" * 4000)
        with pytest.raises(ExportFormatError, match="delete it"):
            ChatIndex(path)


def test_merged_message_is_found_by_each_id() -> None:
    merged = said("Hare", "a\n\nb", message_ids=["m1", 'm"2'])
    index = filled(cast("ChatSession", {"messages": [merged]}))
    assert index.message_context('m"2', before=0, after=0, chat=None) is not None
    assert index.message_context("m", before=0, after=0, chat=None) is None


def test_chats_and_people_are_listed(garden: ChatIndex) -> None:
    first = garden.chats()[0]
    assert (first.title, first.messages) == ("Shoe club", 3)
    assert first.participants == ("Hare", "Ron", "Tortoise")
    assert garden.people() == {"Tortoise": 3, "Hare": 2, "Ron": 2}

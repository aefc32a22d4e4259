from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.retrieval import ChatIndex, ForgetCounts, storage
from langchain_chatexports.retrieval.queries import LINE_END
from langchain_chatexports.samples import write_whatsapp
from tests.unit_tests.builders.sessions import talk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from langchain_core.chat_sessions import ChatSession


def group(*lines: str, name: str = "club", **metadata: Any) -> ChatSession:
    facts = {"id": name, "platform": "races", "title": name, "is_group": True}
    names = dict.fromkeys(line.split(":")[0] for line in lines)
    return talk(*lines, metadata={**facts, "participants": [*names], **metadata})


def pair(*lines: str, name: str) -> ChatSession:
    return group(*lines, name=name, is_group=False)


CLUB = group("Zebulon: quagmire", "Tortoise: slowly", "Ron: carrots")
DIRECT = pair("Zebulon: xylophone", "Tortoise: your kazoo", name="Zebulon")
OTHER = pair("Ron: a turnip", "Tortoise: thanks", name="Ron")


def words_in(path: Path) -> set[str]:
    """All words of the full-text index."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, words, row)"
        )
        return {word for (word,) in database.execute("SELECT term FROM temp.v")}


def texts(index: ChatIndex, query: str) -> list[str]:
    return [hit.match.text for hit in index.search(query, k=99)]


def filled(
    path: Path, sessions: Iterable[ChatSession] = (CLUB, DIRECT, OTHER)
) -> ChatIndex:
    index = ChatIndex(path)
    index.update(sessions)
    return index


def test_nothing_of_a_person_is_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with filled(path) as index:
        assert index.forget("zebulon") == ForgetCounts(chats=1, messages=3)
        assert index.people() == {"Tortoise": 2, "Ron": 2}
    there = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for gone in ("Zebulon", "zebulon", "quagmire", "xylophone", "kazoo"):
        assert gone.encode() not in there
    between = LINE_END.strip()
    assert words_in(path) == {"slowli", "carrot", "a", "turnip", "thank", between}


def test_the_rest_of_a_group_stays(tmp_path: Path) -> None:
    with filled(tmp_path / "index") as index:
        index.forget("Zebulon")
        (hit,) = index.search("carrots")
        assert hit.document.page_content.endswith(
            "Tortoise: slowly\n00:33 Ron: carrots"
        )
        assert hit.document.metadata["participants"] == ["Tortoise", "Ron"]


def test_later_updates_do_not_bring_a_person_back(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with filled(path) as index:
        index.forget("Zebulon")
    with ChatIndex(path) as index:
        assert index.update([CLUB, DIRECT, OTHER]) == (0, 0, 0, 2)
        index.update(group("Zebulon: again", "Ron: hi", "Tortoise: hi", name="new"))
        assert texts(index, "quagmire again xylophone") == []
        assert index.people() == {"Ron": 3, "Tortoise": 3}
    assert b"Zebulon" not in path.read_bytes()


def test_a_person_can_be_forgotten_before_an_update() -> None:
    index = ChatIndex()
    index.forget("Zebulon")
    index.update([CLUB, DIRECT, OTHER])
    assert sorted(index.people()) == ["Ron", "Tortoise"]


def test_silent_members_and_titles_lose_their_name(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    club = group(
        "Ron: hello", "Tortoise: hi", name="g", title="For Zebulon",
        participants=["Ron", "Tortoise", "Zebulon"],
    )  # fmt: skip
    with filled(path, [club]) as index:
        index.forget("Zebulon")
        (chat,) = index.chats()
        assert (chat.title, chat.participants) == (None, ("Ron", "Tortoise"))
    assert b"Zebulon" not in path.read_bytes()


def test_a_group_of_two_is_a_chat_between_them_and_one_other(tmp_path: Path) -> None:
    two = group("Zebulon: x", "Ron: I agree with quagmire", name="two")
    with filled(tmp_path / "index", [two]) as index:
        assert index.forget("Zebulon").chats == 1
        assert index.chats() == []


def test_a_conversation_is_forgotten_by_its_id(tmp_path: Path) -> None:
    with filled(tmp_path / "index") as index:
        assert index.forget(conversations="Ron") == ForgetCounts(1, 2)
        index.update(OTHER)
        assert texts(index, "turnip") == []
        assert texts(index, "carrots") == ["carrots"]


def test_what_could_not_be_forgotten_is_there_and_can_be_forgotten_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_BUSY_SECONDS", 0.01)
    path = tmp_path / "index.sqlite"
    with filled(path) as index, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM chat").fetchone()
        with pytest.raises(ExportFormatError, match="locked"):
            index.forget("Zebulon")
        assert "Zebulon" in index.people()
        other.rollback()
        assert index.forget("Zebulon") == ForgetCounts(chats=1, messages=3)


def test_vectors_go_with_their_windows(tmp_path: Path) -> None:
    pytest.importorskip("numpy")  # Of the extra.
    path = tmp_path / "index.sqlite"
    with ChatIndex(path, embeddings=DeterministicFakeEmbedding(size=8)) as index:
        index.update([CLUB, DIRECT, OTHER])
        index.forget("Zebulon")
    with closing(sqlite3.connect(path)) as database:
        count = (
            "SELECT count(*) FROM vector WHERE window NOT IN (SELECT id FROM window)"
        )
        assert database.execute(count).fetchone() == (0,)


def test_a_sample_export(tmp_path: Path) -> None:
    loader = open_export(write_whatsapp(tmp_path / "w")).loader
    path = tmp_path / "index.sqlite"
    with ChatIndex(path) as index:
        index.update(loader)
        index.forget("Hare")
        assert index.update(loader) == (0, 0, 0, 0)
    assert b"Hare" not in path.read_bytes()

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError
from langchain_chatexports.retrieval import ChatIndex, WordLlamaEmbeddings
from langchain_chatexports.retrieval.search import joined_by_rank
from tests.unit_tests.builders.sessions import talk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("numpy")  # Of the extra.

SESSIONS = [
    talk("Hare: My automobile broke down", metadata={"id": "1"}),
    talk("Ron: I cooked soup", metadata={"id": "2"}),
    talk("Hare: The dentist was fine", metadata={"id": "3"}),
]


class Counting(Embeddings):
    """Vectors of two letters' counts; says how many texts it was given."""

    def __init__(self) -> None:
        self.texts = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.texts += len(texts)
        return [[1.0 * text.count("a"), 1.0 * text.count("o")] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def best(index: ChatIndex, query: str, **filters: Any) -> str:
    return index.search(query, k=1, **filters)[0].match.text


def test_the_model_in_the_wheel_finds_by_meaning_without_a_network() -> None:
    pytest.importorskip("wordllama")
    index = ChatIndex(embeddings=WordLlamaEmbeddings())
    index.update(SESSIONS)
    assert best(index, "car trouble") == "My automobile broke down"
    assert best(index, "teeth") == "The dentist was fine"
    assert best(index, "teeth", person="Hare") == "The dentist was fine"
    assert index.search("teeth", person="Ron") == []
    assert index.search("quarterly tax return") == []


def test_only_new_windows_are_embedded() -> None:
    embeddings = Counting()
    index = ChatIndex(embeddings=embeddings)
    index.update(SESSIONS)
    assert embeddings.texts == 3
    index.update([*SESSIONS, talk("Ron: more", metadata={"id": "4"})])
    assert embeddings.texts == 4


def test_vectors_are_of_one_model(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with ChatIndex(path, embeddings=Counting()) as index:
        index.update(SESSIONS)
    other = DeterministicFakeEmbedding(size=8)
    with ChatIndex(path, embeddings=other, min_similarity=-1) as index:
        with pytest.raises(ExportFormatError, match="another embedding model"):
            index.search("car")
        index.update(SESSIONS)
        assert len(index.search("car")) == 3


def test_another_size_of_a_model_makes_vectors_anew(tmp_path: Path) -> None:
    class Sized(Counting):
        dimensions = 2

    class Larger(Counting):
        dimensions = 3

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[*vector, 0.0] for vector in super().embed_documents(texts)]

    Larger.__qualname__ = Sized.__qualname__
    for embeddings in (Sized(), Larger()):
        with ChatIndex(tmp_path / "index.sqlite", embeddings=embeddings) as index:
            index.update(SESSIONS)
            assert best(index, "aa") == "The dentist was fine"


class TestTwoProcesses:
    """Two processes on one file, the other at work while this one makes vectors."""

    class Interrupted(Counting):
        interruption: Callable[[], object] | None = None

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            interruption, self.interruption = self.interruption, None
            if interruption is not None:
                interruption()
            return super().embed_documents(texts)

    def test_both_make_the_same_vectors(self, tmp_path: Path) -> None:
        path = tmp_path / "index.sqlite"
        embeddings = self.Interrupted()
        with (
            ChatIndex(path, embeddings=embeddings) as one,
            ChatIndex(path, embeddings=self.Interrupted()) as other,
        ):
            embeddings.interruption = lambda: other.update(())
            one.update(SESSIONS)
            assert best(one, "aa") == best(other, "aa") == "The dentist was fine"

    def test_a_person_who_is_forgotten_meanwhile_has_no_vector(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "index.sqlite"
        embeddings = self.Interrupted()
        with ChatIndex(path, embeddings=embeddings) as one, ChatIndex(path) as other:
            embeddings.interruption = lambda: other.forget("Hare")
            one.update(SESSIONS)
            vectors = one._connection.execute("SELECT window FROM vector")
            assert len(vectors.fetchall()) == 1
            assert [hit.match.sender for hit in one.search("oooo")] == ["Ron"]


def test_an_index_without_vectors_is_searched_by_words(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with ChatIndex(path) as index:
        index.update(SESSIONS)
    with ChatIndex(path, embeddings=Counting()) as index:
        assert best(index, "soup") == "I cooked soup"
        assert index.search("car") == []


def test_the_match_of_a_window_found_by_meaning_is_the_nearest_message() -> None:
    index = ChatIndex(embeddings=Counting())
    index.update(talk("Hare: oooo", "Ron: aaaa", "Hare: oooa"))
    assert best(index, "aa") == "aaaa"


def test_filters_choose_before_the_nearest_are_taken() -> None:
    index = ChatIndex(embeddings=Counting())
    near = [talk("Hare: aaa", metadata={"id": f"{i}"}) for i in range(60)]
    index.update([*near, talk("Ron: aao", metadata={"id": "r"})])
    assert best(index, "aaaa", person="Ron") == "aao"


def test_numpy_missing_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingExtraError, match=r"\[retrieval\]"):
        ChatIndex(embeddings=Counting())


def test_the_model_missing_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(MissingExtraError, match=r"\[retrieval\]"):
        WordLlamaEmbeddings()


def test_what_two_rankings_agree_on_comes_first() -> None:
    ranked = joined_by_rank([[1, 2, 3], [4, 2, 5]], (1, 1))
    assert [number for number, _ in ranked] == [2, 1, 4, 3, 5]
    assert ranked[0][1] == 2 / 62


def test_what_only_meaning_finds_comes_behind_what_words_find() -> None:
    index = ChatIndex(embeddings=Counting())
    index.update([*SESSIONS, talk("Hare: aaa", metadata={"id": "4"})])
    assert [hit.words > 0 for hit in index.search("soup aaaa", k=4)][:1] == [True]
    assert index.search("aaaa soup", k=9)[-1].words == 0

"""The one order in which names are looked up."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.names import NameIndex, name_key
from langchain_chatexports.exceptions import SenderNotFoundError
from tests.unit_tests.builders.names import LOOKUPS, Lookup

NAMES = ["Harry Potter", "Hermione Granger", "Draco Malfoy", "Hare"]


@pytest.mark.parametrize("lookup", LOOKUPS, ids=repr)
def test_first_step_that_finds_someone_decides(lookup: Lookup) -> None:
    found = NameIndex.of(lookup.known).find(lookup.query)
    assert sorted(map(sorted, found)) == sorted([name] for name in lookup.found)


def test_spellings_of_a_name_are_one() -> None:
    zoe = "Zoë"
    decomposed = unicodedata.normalize("NFD", zoe)
    index = NameIndex.of([zoe, decomposed, "ZOË", "Zoe"])
    assert index.find("zoë") == (frozenset({zoe, decomposed, "ZOË"}),)
    assert index.find("zoe") == (frozenset({"Zoe"}),)


def test_handle_and_name_of_a_person_are_not_ambiguous() -> None:
    people = {1: ["Lea Köhler", "lea_123"], 2: ["Tom", "+49 170 1234567"]}
    index = NameIndex(people)
    assert index.find("le") == (1,)
    assert index.find("0170 1234567") == (2,)


def test_namesakes_are_ambiguous() -> None:
    people = {1: ["Ann"], 2: ["Ann"], 3: ["ann"]}
    assert NameIndex(people).find("Ann") == (1, 2)
    assert NameIndex(people).find("ann") == (3,)
    assert NameIndex(people).find("ANN") == (1, 2, 3)


def test_equal_names_are_complete() -> None:
    index = NameIndex.of(["Ann Lee", "Zoë"])
    assert index.find_equal("Ann") == ()
    assert index.find_equal("zoe") == (frozenset({"Zoë"}),)
    assert index.find_same("zoe") == ()


def test_error_suggests_names() -> None:
    index = NameIndex.of(NAMES)
    with pytest.raises(
        SenderNotFoundError, match=r"No sender .* mean 'Draco Malfoy'\?"
    ):
        index.resolve("Drako")
    several = "More than one sender matches --ai. Pass 'Hare' or 'Harry Potter'."
    with pytest.raises(SenderNotFoundError, match=several):
        index.resolve("ha", option="--ai")
    assert index.resolve("malf") == {"Draco Malfoy"}
    with pytest.raises(SenderNotFoundError, match=r"name\.$"):
        index.resolve("Zz")


@given(st.text(), st.text())
def test_any_text_is_a_name(name: str, other: str) -> None:
    index = NameIndex.of([name, other])
    for query in (name, other):
        found = index.find(query)
        assert all(query in names for names in found)
        assert bool(found) == bool(name_key(query))
        index.suggest(query)

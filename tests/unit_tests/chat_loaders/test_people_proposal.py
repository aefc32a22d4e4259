"""Proposals of who is one person, with their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.people import people_table
from langchain_chatexports.chat_loaders.people_proposal import propose_people
from langchain_chatexports.chat_loaders.recognition import Export

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping
    from pathlib import Path

    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.chat_loaders.ledger import Tally
    from langchain_chatexports.chat_loaders.people_proposal import PeopleProposal


class Names(ChatExportLoader):
    """An export of which only the names count."""

    def __init__(
        self,
        path: str,
        names: Mapping[str, Collection[str]],
        owner: str | None = None,
        label: str | None = None,
    ) -> None:
        super().__init__(path, owner=label)
        self.names, self.own = names, owner

    def handles(self) -> Mapping[str, Collection[str]]:
        return self.names

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        del tally
        about: Any = {"participants": [*self.names], "owner": self.own}
        yield {"messages": [], "metadata": about}


def proposed(*loaders: Names) -> PeopleProposal:
    exports = [Export(path=one.path, format="names", loader=one) for one in loaders]
    return propose_people([(one, one.loader.lazy_load()) for one in exports])


@pytest.mark.parametrize(
    ("one", "other", "names", "evidence"),
    [
        (
            {"Ann Ode": ["+49 170 1234567"]},
            {"01701234567": []},
            ("Ann Ode", "+49 170 1234567", "01701234567"),
            "same number in a and b",
        ),
        (
            {"Ann Ode": ["ANN@example.org"]},
            {"A.": ["U1", "ann@example.org"]},
            ("Ann Ode", "A.", "ANN@example.org"),
            "same e-mail address in a and b",
        ),
        (
            {"Ann Ode": ["+491701234567"]},
            {"ANN ODE": [], "Annie": ["+491701234567"]},
            ("Ann Ode", "Annie", "+491701234567"),
            "same number in a and b, same name in a and b",
        ),
        (
            {"A. Ode": ["ann.ode"]},
            {"Annie": ["ann.ode"]},
            ("A. Ode", "ann.ode", "Annie"),
            "same handle in a and b",
        ),
        (
            {"Ann": ["80351110224678912"]},
            {"Annie": ["80351110224678912"]},
            ("Annie", "Ann", "80351110224678912"),
            "same id in a and b",
        ),
    ],
)
def test_what_is_equal_is_proposed_with_its_evidence(
    one: dict[str, list[str]],
    other: dict[str, list[str]],
    names: tuple[str, ...],
    evidence: str,
) -> None:
    (person,) = proposed(Names("a", one), Names("b", other)).people
    assert person == (names, evidence)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Ann Ode": ["+491701234567"]}, {"Bo": ["+491701234568"]}),
        ({"Bo": []}, {"Bo": []}),  # One person without any table.
        ({"Ann (a)": ["Ann", "a"], "Ann (b)": ["Ann", "b"]}, {"Cy": []}),
    ],
)
def test_who_is_apart_or_one_already_is_not_proposed(
    one: dict[str, list[str]], other: dict[str, list[str]]
) -> None:
    proposal = proposed(Names("a", one), Names("b", other))
    assert (proposal.people, proposal.hints) == ((), ())


def test_an_equal_first_name_is_a_hint_only() -> None:
    proposal = proposed(Names("a", {"Ann Ode": []}), Names("b", {"ann": []}))
    assert proposal.people == ()
    (hint,) = proposal.hints
    assert hint == (("Ann Ode", "ann"), "only the first name is one in a and b")
    assert "# Ann Ode;ann;# only the first name" in str(proposal)


def test_namesakes_in_one_export_give_no_hint() -> None:
    proposal = proposed(Names("a", {"Ann Ode": [], "Ann": []}), Names("b", {"Bo": []}))
    assert proposal.hints == ()


def test_owners_of_several_exports_are_a_hint() -> None:
    own = Names("a", {"Me": [], "Bo": []}, owner="Me", label="Me")
    hint = proposed(own, Names("b", {"Ann": [], "Cy": []}, owner="Ann")).hints
    assert hint == ((("Ann", "Me"), "the owners of a and b"),)


def test_two_owners_with_the_loaders_own_word_are_not_one_person() -> None:
    exports = [
        Names(name, {"Me": [f"{name}@example.org"]}, owner="Me", label="Me")
        for name in ("a", "b")
    ]
    both = Names("c", {"Ann": ["a@example.org"], "Bo": ["b@example.org"]})
    people = proposed(*exports, both).people
    assert [person.names for person in people] == [
        ("Ann", "a@example.org"),
        ("Bo", "b@example.org"),
    ]


def test_two_names_with_one_id_in_one_export_are_proposed() -> None:
    names = {"Ann": ["80351110224678912"], "Annie": ["80351110224678912"]}
    (person,) = proposed(Names("a", names)).people
    assert person.evidence == "same id in a"


def test_a_name_that_two_proposed_people_have_is_in_no_line() -> None:
    own = {"Ann": ["+491701234567"], "ANN": ["ann@example.org"]}
    other = {"X Y": ["+491701234567"], "Z": ["ann@example.org"]}
    people = proposed(Names("a", own), Names("b", other)).people
    assert [person.names for person in people] == [
        ("Z", "ann@example.org"),
        ("X Y", "+491701234567"),
    ]


def test_exports_of_one_name_are_told_apart(tmp_path: Path) -> None:
    exports = [
        Names(str(tmp_path / folder / "chat.db"), {name: ["ann@example.org"]})
        for folder, name in (("mac", "Ann"), ("phone", "Annie"))
    ]
    (person,) = proposed(*exports).people
    assert str(tmp_path / "mac" / "chat.db") in person.evidence


SPELLED = st.sampled_from(
    [
        "Ann",
        "ann",
        "Ann Ode",
        "+491701234567",
        "01701234567",
        "a@x.y",
        "=a",
        "#a",
        "a;b",
    ]
)
EXPORT = st.dictionaries(SPELLED, st.lists(SPELLED, max_size=3), max_size=4)


@given(EXPORT, EXPORT)
def test_a_proposal_is_a_table_in_which_nobody_is_twice(
    tmp_path_factory: pytest.TempPathFactory,
    one: dict[str, list[str]],
    other: dict[str, list[str]],
) -> None:
    proposal = proposed(Names("a", one), Names("b", other))
    path = tmp_path_factory.getbasetemp() / "people.csv"
    path.write_text(str(proposal), encoding="utf-8")
    if proposal.people:
        rows = people_table(path).rows
        assert rows == tuple(person.names for person in proposal.people)

"""Steps that know who has which names."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_chatexports.chat_loaders.people import people_table
from langchain_chatexports.steps import MapAIMessages, SelectSessions, SessionTransform

PEOPLE = {"Ann": ["Ann Ode", "+49 170 1234567"], "Bo": "bo@example.org"}
SESSION: Any = {
    "messages": [
        HumanMessage(name, additional_kwargs={"sender": name})
        for name in ("ann ode", "01701234567", "Bo", "Cy")
    ],
    "metadata": {"participants": ["Ann Ode", "Cy"]},
}


def steps(people: Any) -> list[SessionTransform]:
    return [
        MapAIMessages(sender="ANN", people=people),
        SelectSessions(participants="Ann", people=people),
    ]


@pytest.mark.parametrize("sender", ["Ann", "Ann Ode", "+491701234567", ("x", "Ann")])
def test_all_names_of_the_person_become_the_ai(sender: Any) -> None:
    (session,) = MapAIMessages(sender=sender, people=PEOPLE).invoke(SESSION)
    kinds = [message.type for message in session["messages"]]
    assert kinds == ["ai", "ai", "human", "human"]


@pytest.mark.parametrize("named", ["bo@example.org", "Ann", "+491701234567", "cy"])
def test_people_are_selected_by_any_name(named: str) -> None:
    assert SelectSessions(participants=named, people=PEOPLE).invoke(SESSION)
    assert not SelectSessions(without=named, people=PEOPLE).invoke(SESSION)


def test_a_file_a_mapping_and_a_table_are_one_setting(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("Ann;Ann Ode;+49 170 1234567\nBo;bo@example.org", encoding="utf-8")
    assert steps(PEOPLE) == steps(path) == steps(str(path)) == steps(people_table(path))
    assert set(map(hash, steps(PEOPLE))) == set(map(hash, steps(path)))


@pytest.mark.parametrize("step", [MapAIMessages, SelectSessions])
def test_two_people_of_one_name_are_refused(step: Any) -> None:
    with pytest.raises(ValueError, match="name or handle in common"):
        step(people={"Ann": "x", "Bo": "X"})

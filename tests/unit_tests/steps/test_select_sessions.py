from typing import Any

import pytest
from pydantic import ValidationError

from langchain_chatexports.steps import SelectSessions
from tests.unit_tests.builders.sessions import talk

DUEL = talk("Tortoise: Slow.", "Tortoise: And steady.", "Hare: Fast!", "Tortoise: Hm.")
GROUP = talk("Tortoise: Slow.", "Hare: Fast!", "Fox: Who won?")


def _keeps(session: Any = DUEL, **conditions: Any) -> bool:
    output = SelectSessions(**conditions).invoke(session)
    assert output in ([session], [])
    return bool(output)


def test_participants_match_case_insensitively() -> None:
    assert _keeps(participants="hARE")
    assert not _keeps(participants="Fox")


def test_without_drops_sessions() -> None:
    assert not _keeps(GROUP, without="fox")
    assert _keeps(DUEL, without="fox")


def test_group_without_metadata_has_over_two_senders() -> None:
    assert _keeps(GROUP, is_group=True)
    assert _keeps(DUEL, is_group=False)


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"participants": "Fox", "is_group": True}, "participants"),
        ({"without": "Hare"}, "participants"),
        ({"is_group": True}, "group"),
    ],
)
def test_dropped_session_is_counted_by_failed_condition(
    conditions: Any, reason: str
) -> None:
    assert SelectSessions(**conditions).skipped(DUEL) == {reason: 4}


@pytest.mark.parametrize("names", [[["Hare"]], [1], {"Hare": 1, None: 2}])
def test_names_are_text(names: Any) -> None:
    with pytest.raises(ValidationError, match="valid string"):
        SelectSessions(participants=names)

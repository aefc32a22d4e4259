"""SelectSessions: which sessions fit, and what the others are counted as."""

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from langchain_chatexports.steps import MapAIMessages, SelectSessions
from tests.unit_tests.builders.sessions import said, talk

_DAY = 86_400


DUEL = talk("Tortoise: Slow.", "Tortoise: And steady.", "Hare: Fast!", "Tortoise: Hm.")
GROUP = talk("Tortoise: Slow.", "Hare: Fast!", "Fox: Who won?")


def _keeps(session: Any = DUEL, **conditions: Any) -> bool:
    output = SelectSessions(**conditions).invoke(session)
    assert output in ([session], [])
    return bool(output)


def test_a_sender_is_found_without_regard_to_case() -> None:
    assert _keeps(participants="hARE")
    assert not _keeps(participants="Fox")


def test_without_drops_whoever_is_named() -> None:
    assert not _keeps(GROUP, without="fox")
    assert _keeps(DUEL, without="fox")


def test_a_group_is_more_than_two_where_the_export_says_nothing() -> None:
    assert _keeps(GROUP, is_group=True)
    assert _keeps(DUEL, is_group=False)


def _at(*days: int | None) -> Any:
    midnight = datetime(2024, 5, 1, tzinfo=timezone.utc).timestamp()
    times: list[dict[str, Any]] = [
        {} if day is None else {"message_time": int(midnight) + day * _DAY}
        for day in days
    ]
    return {"messages": [said("Hare", "hop", **time) for time in times]}


def test_dates_are_whole_days_in_utc() -> None:
    assert _keeps(_at(0, 1), start=date(2024, 5, 1), end=date(2024, 5, 2))
    assert not _keeps(_at(0, 2), end=date(2024, 5, 2))
    assert not _keeps(_at(-1, 2), start=date(2024, 5, 1))


def test_a_session_without_times_is_in_no_dates() -> None:
    assert not _keeps(_at(None), start=date(2024, 5, 1))
    assert _keeps(_at(None, 0), start=date(2024, 5, 1))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        SelectSessions(start=datetime(2024, 5, 1))  # noqa: DTZ001 - that is the point


def test_the_share_of_the_ai_is_of_messages() -> None:
    (mapped,) = MapAIMessages(sender="Hare").invoke(DUEL)
    assert _keeps(mapped, min_ai_share=0.25)
    assert not _keeps(mapped, min_ai_share=0.26)


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"participants": "Fox", "min_turns": 9}, "participants"),
        ({"without": "Hare"}, "participants"),
        ({"is_group": True}, "group"),
        ({"end": date(1999, 1, 1)}, "dates"),
        ({"min_turns": 9}, "turns"),
        ({"min_ai_share": 0.1}, "ai_share"),
    ],
)
def test_a_dropped_session_is_counted_under_the_first_condition_missed(
    conditions: dict[str, Any], reason: str
) -> None:
    assert SelectSessions(**conditions).skipped(DUEL) == {reason: 4}


def test_times_that_were_rounded_down_are_not_before_a_start_inside_of_a_second() -> (
    None
):
    session = {"messages": [said("Hare", "Fast!", at=0)]}
    moment = session["messages"][0].additional_kwargs["message_time"]
    start = datetime.fromtimestamp(moment + 0.5, timezone.utc)
    assert _keeps(session, start=start)
    assert not _keeps(session, start=start + timedelta(seconds=1))

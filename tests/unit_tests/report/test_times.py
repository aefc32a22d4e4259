"""Counts of messages by day, week, month and year."""

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.report.figures import TimeFigures
from langchain_chatexports.report.times import TimeCounts, find_time_zone

SECONDS = st.integers(0, 60 * 366 * 86_400)


def counted(times: list[int], zone: str = "UTC") -> TimeFigures:
    counts = TimeCounts(find_time_zone(zone))
    for time in times:
        counts.add(time, is_ai=time % 2 == 0)
    return counts.figures()


@given(st.lists(SECONDS, min_size=1, max_size=30))
def test_points_cover_all_messages(times: list[int]) -> None:
    figures = counted(times)
    assert sum(point.ai for point in figures.points) == sum(t % 2 == 0 for t in times)
    assert sum(p.ai + p.others for p in figures.points) == len(times)
    for point, following in pairwise(figures.points):
        expected = sum(point.start <= _day(time) < following.start for time in times)
        assert point.ai + point.others == expected
    assert len(figures.points) <= 121


def _day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


@pytest.mark.parametrize(
    ("days", "unit", "start"),
    [
        (3, "day", "2024-05-16"),
        (100, "week", "2024-05-13"),
        (3000, "month", "2024-05-01"),
        (9000, "year", "2024-01-01"),
    ],
)
def test_unit_depends_on_span(days: int, unit: str, start: str) -> None:
    begin = int(datetime(2024, 5, 16, 12, tzinfo=UTC).timestamp())
    figures = counted([begin, begin + days * 86_400])
    assert figures.unit == unit
    assert str(figures.points[0].start) == start


@pytest.mark.parametrize("seconds", [-62_135_596_800, 253_402_300_799])
def test_first_and_last_dates_are_counted(seconds: int) -> None:
    assert len(counted([seconds]).points) == 1


def test_daylight_saving_time_is_respected() -> None:
    winter = int(datetime(2024, 1, 10, 12, tzinfo=UTC).timestamp())
    summer = int(datetime(2024, 7, 10, 12, tzinfo=UTC).timestamp())
    figures = counted([winter, summer], "Europe/Berlin")
    assert figures.by_hour[13] == figures.by_hour[14] == 1


def test_local_zone_is_that_of_the_machine() -> None:
    figures = counted([0], "local")
    assert figures.zone == "local"
    expected = datetime.fromtimestamp(0, UTC).astimezone()
    assert figures.by_hour[expected.hour] == 1


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc"])
def test_unknown_time_zones_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Unknown time zone"):
        find_time_zone(name)

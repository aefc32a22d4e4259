from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports._fast.strings import iso_time

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_time_is_what_datetime_writes(moment: datetime) -> None:
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    assert iso_time(microseconds) == moment.isoformat()


def test_there_is_no_time_outside_of_the_years_that_python_knows() -> None:
    second = 1_000_000
    assert iso_time(253_402_300_799 * second) == "9999-12-31T23:59:59+00:00"
    assert iso_time(253_402_300_800 * second) is None
    assert iso_time(-62_135_596_801 * second) is None

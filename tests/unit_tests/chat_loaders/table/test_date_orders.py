"""Which number is the day in the dates of a table, and the zone of its times."""

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.tables import write_csv, write_lines, write_parquet

MAY = datetime(2024, 5, 1, 22, tzinfo=timezone.utc)


def write(path: Path, times: Iterable[Any]) -> Path:
    rows = [{"chat_id": 1, "time": time, "text": "Hi"} for time in times]
    if path.suffix == ".parquet":
        return write_parquet(path, rows)
    return write_csv(path, rows) if path.suffix == ".csv" else write_lines(path, rows)


def days_of(path: Path, **options: Any) -> list[str | None]:
    (session,) = TableChatLoader(path, timezone="UTC", **options).load()
    return [
        (m.additional_kwargs.get("events") or [{"message_time": "none"}])[0][
            "message_time"
        ][:10]
        for m in session["messages"]
    ]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("times", "first", "order"),
    [
        (["01.05.2024 10:00", "13.05.2024 10:00"], "2024-05-01", "day first"),
        (["5/1/2024 10:00 PM", "5/13/2024 9:00 AM"], "2024-05-01", "month first"),
        # Nothing is above twelve: the order without steps back.
        (["2/9/2022", "3/9/2022", "1/10/2022"], "2022-09-02", "day first"),
        (["9/2/2022", "9/3/2022", "10/1/2022"], "2022-09-02", "month first"),
    ],
)
def test_the_order_is_found_in_the_data(
    tmp_path: Path, suffix: str, times: list[str], first: str, order: str
) -> None:
    path = write(tmp_path / f"desk{suffix}", times)
    assert days_of(path)[0] == first
    assert TableChatLoader(path, timezone="UTC").inspect().details["date_orders"] == {
        order: 1
    }


def test_the_newest_row_may_come_first(tmp_path: Path) -> None:
    times = ["10/2/2022", "10/1/2022", "9/3/2022", "9/2/2022"]
    path = write(tmp_path / "desk.csv", times)
    assert days_of(path) == ["2022-09-02", "2022-09-03", "2022-10-01", "2022-10-02"]


def test_a_row_far_down_says_the_order(tmp_path: Path) -> None:
    times = ["01/02/2024", *["02/02/2024"] * 3_000, "13/02/2024"]
    assert days_of(write(tmp_path / "desk.csv", times))[0] == "2024-02-01"


@pytest.mark.parametrize(
    ("time", "day", "order"),
    [
        ("01/05/2024 10:00", "2024-05-01", "day first"),
        ("1.5.2024", "2024-05-01", "day first"),
        ("5/1/2024 10:00 PM", "2024-05-01", "month first"),
        ("5/1/2024 22:00", "2024-05-01", "month first"),
    ],
)
def test_an_order_that_nothing_tells_is_a_guess_and_said(
    tmp_path: Path, time: str, day: str, order: str
) -> None:
    path = write(tmp_path / "desk.csv", [time])
    with pytest.warns(UserWarning, match=rf"read with the {order}.*date_order"):
        assert days_of(path) == [day]
    with pytest.warns(UserWarning, match="which number is the day"):
        details = TableChatLoader(path, timezone="UTC").inspect().details
    assert details["date_orders"] == {f"{order} (a guess)": 1}


@pytest.mark.parametrize(
    ("order", "day"), [("dmy", "2024-01-05"), ("mdy", "2024-05-01")]
)
def test_the_order_can_be_given(tmp_path: Path, order: str, day: str) -> None:
    path = write(tmp_path / "desk.csv", ["5/1/2024"])
    assert days_of(path, date_order=order) == [day]


def test_a_short_year_may_come_first_if_that_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "desk.csv", ["24/05/01 10:00", "24/05/31"])
    assert days_of(path, date_order="ymd") == ["2024-05-01", "2024-05-31"]


def test_two_orders_in_one_table_are_an_error_with_their_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "desk.csv", ["13/05/2024", "05/14/2024"])
    with pytest.raises(ExportFormatError, match=r"rows 1 and 2.*such as 2024-05-31"):
        TableChatLoader(path).load()


def test_a_day_that_does_not_exist_is_no_time(tmp_path: Path) -> None:
    path = write(tmp_path / "desk.csv", ["30.02.2024", "13.05.2024"])
    with pytest.warns(
        UserWarning, match=r"1 time cannot .* first in row 1 of .*desk\.csv"
    ):
        assert days_of(path) == ["none", "2024-05-13"]

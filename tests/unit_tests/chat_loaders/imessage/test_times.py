"""Time units, possibly mixed in one database, and the order of messages."""

import time
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.sessions import texts

HARE = "+15550000001"


def read_time(path: Path, date: Any) -> tuple[int | None, str | None]:
    """Return the time of a message with a date, in seconds and as text."""
    with ChatDb(path) as db:
        db.chat(HARE).message("when?", date=date)
    (session,) = IMessageChatLoader(path)
    extra = session["messages"][0].additional_kwargs
    (event,) = extra.get("events", [{}])
    return extra.get("message_time"), event.get("message_time")


@pytest.mark.parametrize(
    ("date", "seconds", "iso"),
    [
        (720845450393148160, 1699152650, "2023-11-05T02:50:50.393148+00:00"),
        (604769645000000000, 1583076845, "2020-03-01T15:34:05+00:00"),
        (500000000, 1478307200, "2016-11-05T00:53:20+00:00"),
        (500000000.25, 1478307200, "2016-11-05T00:53:20.250000+00:00"),
        (1693182723, 1693182723, "2023-08-28T00:32:03+00:00"),
        (10**12, 978308200, "2001-01-01T00:16:40+00:00"),
        (999_999_999_999, None, None),
        (253_402_300_799, 253_402_300_799, "9999-12-31T23:59:59+00:00"),
        (0, None, None),
        (None, None, None),
        (-5, None, None),
        ("soon", None, None),
        (b"\x01", None, None),
    ],
)
def test_time_unit_is_detected_by_magnitude(
    path: Path, date: Any, seconds: int | None, iso: str | None
) -> None:
    assert read_time(path, date) == (seconds, iso)


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("1693182723", 1693182723), ("500000000", 1478307200), ("2023-08-28", None)],
)
def test_date_column_may_contain_text(
    path: Path, date: str, seconds: int | None
) -> None:
    """A database built by hand can declare `date TEXT`."""
    with ChatDb(path) as db:
        db.run(
            "DROP INDEX message_idx_date; DROP INDEX message_idx_handle;"
            "ALTER TABLE message DROP COLUMN date;"
            "ALTER TABLE message ADD COLUMN date TEXT;"
        )
        db.chat(HARE).message("when?", date=date)
    (session,) = IMessageChatLoader(path)
    assert session["messages"][0].additional_kwargs.get("message_time") == seconds


def test_recent_seconds_count_from_2001(path: Path) -> None:
    now = int(time.time())
    assert read_time(path, now - 978_307_200)[0] == now


def test_messages_with_mixed_units_are_sorted_by_time(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("third", date=720845450393148160)
        chat.message("second", date=1693182723)
        chat.message("first", date=500000000)
        chat.message("no time", date=0)
        chat.message("no time either", date=None)
        chat.message("beyond the calendar", date=999_999_999_999)
    (session,) = IMessageChatLoader(path)
    undated = ["no time", "no time either", "beyond the calendar"]
    assert texts(session) == [*undated, "first", "second", "third"]


@pytest.mark.parametrize("join_date", ["message_id", "-message_id"])
@pytest.mark.parametrize("is_synced_late", [False, True])
def test_join_dates_do_not_affect_the_order(
    path: Path, is_synced_late: bool, join_date: str
) -> None:
    """`chat_message_join.message_date` can be in another unit than `message.date`."""
    pair = [("older", 1_700_000_000), ("newer", 1_700_000_100)]
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        for text, at in reversed(pair) if is_synced_late else pair:
            chat.message(text, at=at)
        db.run(f"UPDATE chat_message_join SET message_date = {join_date}")
    (session,) = IMessageChatLoader(path)
    assert texts(session) == ["older", "newer"]


def test_most_recently_active_session_comes_first(path: Path) -> None:
    with ChatDb(path) as db:
        db.chat("a@x.example").message("2016", date=500000000)
        db.chat("b@x.example").message("2023 late", date=720845450393148160)
        db.chat("c@x.example").message("2023", date=1693182723)
        db.chat("d@x.example").message("never", date=0)
    sessions = IMessageChatLoader(path).load()
    first = [session["messages"][0].content for session in sessions]
    assert first == ["2023 late", "2023", "2016", "never"]


def test_messages_with_equal_times_keep_row_order(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        for text in ("a", "b", "c"):
            chat.message(text, at=1_700_000_000)
    (session,) = IMessageChatLoader(path)
    assert texts(session) == ["a", "b", "c"]

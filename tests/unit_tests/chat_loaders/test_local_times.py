"""Local times in UTC, across clock changes."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from langchain_chatexports import TelegramChatLoader, WhatsAppChatLoader
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.local_times import LocalClock, find_time_zone
from langchain_chatexports.chat_loaders.table import TableChatLoader
from tests.unit_tests.builders.tables import write_csv
from tests.unit_tests.builders.telegram import BO, Page, TelegramChat, text_block
from tests.unit_tests.builders.whatsapp import WhatsAppChat

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local
MAY_1 = datetime(2024, 5, 1, 10)  # noqa: DTZ001 - local
BERLIN = find_time_zone("Europe/Berlin")


def in_utc(clock: LocalClock, text: str) -> str:
    local = datetime.fromisoformat(text)
    time = clock.to_utc(int((local - EPOCH).total_seconds()))
    assert time is not None
    return f"{datetime.fromtimestamp(time / 1e6, UTC):%Y-%m-%d %H:%M}"


def check_year(clock: LocalClock) -> None:
    assert in_utc(clock, "2022-03-26 12:00") == "2022-03-26 11:00"
    # Times in the skipped hour are moved later.
    assert in_utc(clock, "2022-03-27 02:30") == "2022-03-27 01:30"
    assert in_utc(clock, "2022-07-01 12:00") == "2022-07-01 10:00"
    # The repeated hour: the first one until a time is earlier.
    assert in_utc(clock, "2022-10-30 02:10") == "2022-10-30 00:10"
    assert in_utc(clock, "2022-10-30 02:58") == "2022-10-30 00:58"
    assert in_utc(clock, "2022-10-30 02:05") == "2022-10-30 01:05"
    assert in_utc(clock, "2022-10-30 02:59") == "2022-10-30 01:59"
    assert in_utc(clock, "2022-10-30 03:00") == "2022-10-30 02:00"


def test_named_zone_changes_its_clock() -> None:
    check_year(LocalClock(BERLIN))


@pytest.mark.usefixtures("machine_in_berlin")
def test_machine_zone_changes_its_clock() -> None:
    check_year(LocalClock(None))


def test_swapped_messages_are_not_a_clock_change() -> None:
    clock = LocalClock(BERLIN)
    assert in_utc(clock, "2022-10-30 02:11") == "2022-10-30 00:11"
    assert in_utc(clock, "2022-10-30 02:10") == "2022-10-30 00:10"


def test_clock_may_change_within_an_hour() -> None:
    # Lord Howe changes its clocks by half an hour.
    clock = LocalClock(find_time_zone("Australia/Lord_Howe"))
    assert in_utc(clock, "2022-04-03 01:20") == "2022-04-02 14:20"
    assert in_utc(clock, "2022-04-03 01:40") == "2022-04-02 14:40"
    assert in_utc(clock, "2022-04-03 02:40") == "2022-04-02 16:10"


def test_year_out_of_range_has_no_time() -> None:
    assert LocalClock(BERLIN).to_utc(10**12) is None


def test_unknown_zone_error_has_an_example() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        find_time_zone("Berlin")


def whatsapp(folder: Path) -> ChatExportLoader:
    chat = WhatsAppChat.android(MAY_1).says("Ann", "Hi")
    path = chat.to_file(folder / "WhatsApp Chat with Ann.txt")
    return WhatsAppChatLoader(path, date_order="dmy")


def telegram(folder: Path) -> ChatExportLoader:
    chat = TelegramChat()
    chat.says(BO, "Hi", date_unixtime=None)
    return TelegramChatLoader(chat.write(folder / "result.json"))


def telegram_page(folder: Path) -> ChatExportLoader:
    page = Page(zone="")
    page.says("Bo", text_block("Hi"))
    return TelegramChatLoader(page.write(folder / "messages.html"))


def table(folder: Path) -> ChatExportLoader:
    times = ("2024-05-01 10:00", "45413.4166666667")
    rows = [{"chat_id": 1, "time": time, "text": "Hi"} for time in times]
    return TableChatLoader(write_csv(folder / "desk.csv", rows))


@pytest.mark.usefixtures("machine_in_berlin")
@pytest.mark.parametrize("write", [whatsapp, telegram, telegram_page, table])
def test_local_times_default_to_machine_zone(
    tmp_path: Path, write: Callable[[Path], ChatExportLoader]
) -> None:
    loader = write(tmp_path)
    with pytest.warns(
        UserWarning, match="read as this machine's .*timezone="
    ) as warned:
        summary = loader.inspect()
    assert len(warned) == 1
    (zone,) = summary.details["time_zone"]
    assert zone.startswith("this machine's")
    assert f"zone      {zone}" in str(summary)
    assert summary.first == summary.last == datetime(2024, 5, 1, 8, tzinfo=UTC)

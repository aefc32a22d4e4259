"""Files, zips and folders with chats, options, and warnings."""

import warnings
from contextlib import nullcontext
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.whatsapp import LRM, RLM, START, WhatsAppChat

NOTICE = "Messages and calls are end-to-end encrypted."
NAME = "WhatsApp Chat with Ann.txt"


def load(path: Path, **options: Any) -> list[Any]:
    return WhatsAppChatLoader(path, **{"timezone": "UTC", **options}).load()


def inspect(path: Path, **options: Any) -> ExportSummary:
    return WhatsAppChatLoader(path, timezone="UTC", **options).inspect()


def texts(path: Path, **options: Any) -> list[str]:
    return [str(m.content) for s in load(path, **options) for m in s["messages"]]


def short_chat() -> WhatsAppChat:
    return WhatsAppChat.android().says("Ann", "Hi!").says("Bob", "Yes?")


def test_message_has_sender_and_time(tmp_path: Path) -> None:
    path = short_chat().to_file(tmp_path / NAME)
    (session,) = load(path, timezone="Europe/Berlin")
    assert session["messages"][1].additional_kwargs == {
        "message_time": 1_647_611_820,
        "sender": "Bob",
        "is_from_me": True,
        "events": [{"message_time": "2022-03-18T13:57:00+00:00"}],
    }


def test_messages_keep_the_order_of_the_file(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().system(NOTICE, at=START + timedelta(days=5))
    chat.says("Ann", "one", at=START).says("Bob", "three").says("Ann", "late", at=START)
    path = chat.says("Bob", "two").to_file(tmp_path / NAME)
    assert texts(path) == ["one", "three", "late", "two"]
    assert texts(path, keep="system")[0] == NOTICE


def test_every_line_is_counted(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().line("Forwarded by Bob").line("").system(NOTICE)
    chat.says("Ann", "Hi!").says("Ann", "<Media omitted>").says("Bob", "null")
    chat.says("Bob", "This message was deleted").says("Ann", "")
    chat.says("Ann", "Missed voice call")
    chat.says("Bob", "location: https://maps.google.com/?q=1.0,2.0")
    summary = inspect(chat.to_file(tmp_path / NAME))
    assert (summary.found, summary.kept) == (9, 1)
    once = dict.fromkeys(("empty", "unreadable", "unsent"), 1)
    assert summary.skipped == {"media": 3, "system": 2, **once}


def test_system_messages_and_media_can_be_kept(tmp_path: Path) -> None:
    chat = WhatsAppChat.ios().system(NOTICE, "Ann").says("Ann", "Hi!")
    chat.by_app("Ann", "video omitted").by_app("Bob", "Missed voice call")
    chat.says("Bob", f"Look {LRM}<attached: 00000001-PHOTO-2022.jpg>")
    path = chat.to_file(tmp_path / "_chat.txt")
    messages = load(path, keep=("system", "media"))[0]["messages"]
    assert [(m.content, m.additional_kwargs.get("system")) for m in messages] == [
        (NOTICE, "notice"),
        ("Hi!", None),
        ("[video]", None),
        ("Missed voice call", "call"),
        ("Look", None),
    ]
    attachment = {"type": "photo", "name": "00000001-PHOTO-2022.jpg"}
    assert messages[4].additional_kwargs["attachments"] == [attachment]


@pytest.mark.parametrize(
    "chat",
    [
        WhatsAppChat.android().says("Cleo", "?"),
        WhatsAppChat.android().system("Ann created group “Run”"),
        WhatsAppChat.ios().system("Vi kreis ĉi tiun grupon", "Run"),
    ],
    ids=["three people", "notice", "silent name"],
)
def test_group_is_detected(tmp_path: Path, chat: WhatsAppChat) -> None:
    chat.says("Ann", "Hi!").says("Bob", "Yes?")
    (session,) = load(chat.to_file(tmp_path / "chat.txt"))
    assert session["metadata"]["is_group"] is True
    assert "Run" not in session["metadata"]["participants"]


def test_text_attachments_in_a_zip_are_ignored(tmp_path: Path) -> None:
    chat = WhatsAppChat.ios().system(NOTICE, "Ann").says("Bob", "Yes?")
    path = tmp_path / "WhatsApp Chat - Ann.zip"
    others = {"00000001-notes.txt": short_chat().text(), "__MACOSX/._chat.txt": "x"}
    chat.to_zip(path, **others)
    (session,) = load(path)
    assert session["metadata"]["id"] == "WhatsApp Chat - Ann.zip"
    assert session["metadata"]["title"] == "Ann"
    assert inspect(path).details["other_texts"] == 1


def test_web_zip_is_read_once(tmp_path: Path) -> None:
    chat = WhatsAppChat.web().says("Ann", "Hi!").says("You", "Yes?")
    chat.system("Ann left")
    path = chat.to_zip(tmp_path / "Ann.zip", "chat.txt", **{"chat.md": chat.text()})
    assert texts(path) == ["Hi!", "Yes?"]
    summary = inspect(path)
    assert (summary.found, summary.skipped) == (4, {"system": 2})


def test_folder_of_chats_is_read_by_name(tmp_path: Path) -> None:
    short_chat().to_file(tmp_path / NAME)
    short_chat().to_zip(tmp_path / "WhatsApp Chat - Cleo.zip")
    short_chat().to_file(tmp_path / "WhatsApp Chat - Dan" / "_chat.txt")
    (tmp_path / "notes.txt").write_text("milk, bread")
    found = [session["metadata"] for session in load(tmp_path)]
    assert [(metadata["id"], metadata["title"]) for metadata in found] == [
        ("WhatsApp Chat - Cleo.zip", "Cleo"),
        ("WhatsApp Chat - Dan/_chat.txt", "Dan"),
        (NAME, "Ann"),
    ]


def test_chats_from_several_paths_have_distinct_ids(tmp_path: Path) -> None:
    chats = []
    for name in ("Ann", "Cleo"):
        chat = WhatsAppChat.ios().system(NOTICE, name).says("Bob", name)
        chats.append(chat.to_file(tmp_path / name / "_chat.txt"))
    sessions = WhatsAppChatLoader(chats, timezone="UTC").load()
    ids = [metadata_of(session)["id"] for session in sessions]
    assert ids == ["_chat.txt", "_chat.txt (2)"]


@pytest.mark.parametrize("name", ["notes.txt", NAME, "_chat.txt"])
def test_file_that_is_not_a_chat_is_an_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("milk, bread\nhoney")
    with pytest.raises(ExportFormatError, match=name):
        load(path)


def test_ambiguous_dates_are_a_warning(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("3/4/22, 14:56 - Ann: Hi!\n3/5/22, 14:56 - Bob: Yes?\n")
    with pytest.warns(UserWarning, match="date_order"):
        summary = inspect(path)
    assert summary.details["date_orders"] == {"day first (a guess)": 1}
    chosen = inspect(path, date_order="mdy")
    assert chosen.details["date_orders"] == {"month first": 1}


def test_mixed_date_orders_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("20/3/22, 14:56 - Ann: Hi!\n3/21/22, 14:56 - Bob: Yes?\n")
    with pytest.raises(ExportFormatError, match="lines 1 and 2"):
        load(path)


def test_pasted_header_with_the_other_date_order_is_text(tmp_path: Path) -> None:
    chat = WhatsAppChat.android()
    for number in range(20):
        chat.says("Ann", f"line {number}", at=START + timedelta(days=number))
    chat.line("03/27/2022, 10:00 - Bob: pasted")
    assert texts(chat.to_file(tmp_path / NAME))[-1] == (
        "line 19\n03/27/2022, 10:00 - Bob: pasted"
    )


PHONE = (NAME, "", "18/03/2022, 14:56 - Ann: Hi!\n")
WEB = ("chat.txt", "Encrypted.\n", "[3/18/22, 2:56:01 PM] Ann: Hi!\n")


@pytest.mark.parametrize(
    ("exporter", "length", "limit"),
    [
        (PHONE, 9_899, None),
        (PHONE, 9_900, "40,000"),
        (PHONE, 10_001, None),
        (PHONE, 40_000, "40,000"),
        (WEB, 10_000, None),
        (WEB, 100_000, "100,000"),
    ],
)
def test_export_of_the_maximum_length_is_a_warning(
    exporter: tuple[str, str, str], length: int, limit: str | None, tmp_path: Path
) -> None:
    name, head, line = exporter
    path = tmp_path / name
    path.write_text(head + line * length)
    warns: Any = nullcontext()
    if limit:
        warns = pytest.warns(UserWarning, match=f"newest {limit}")
    with warns:  # Excluded messages are counted, but not built.
        assert inspect(path, end=date(2000, 1, 1)).found == length + bool(head)


def test_unsupported_calendar_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("1443/8/15, 14:56 - Ann: Hi!\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="calendar"):
        (session,) = load(path)
    assert "message_time" not in session["messages"][0].additional_kwargs


@pytest.mark.parametrize("option", [{"timezone": "Berlin"}, {"date_order": "dym"}])
def test_unknown_option_value_is_an_error(
    option: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"Berlin|dym"):
        WhatsAppChatLoader(tmp_path, **option)


def test_message_count_is_estimated(tmp_path: Path) -> None:
    chat = WhatsAppChat.android()
    for number in range(5000):
        chat.says("Ann", f"line {number}\nand another one")
    count = WhatsAppChatLoader(chat.to_file(tmp_path / NAME)).estimate_message_count()
    assert count is not None
    assert 4500 < count < 5500
    assert WhatsAppChatLoader(tmp_path / "nothing").estimate_message_count() is None


def test_other_chats_show_the_date_order(tmp_path: Path) -> None:
    for name, day in (("Ann", 4), ("Bob", 28)):
        path = tmp_path / f"WhatsApp Chat with {name}.txt"
        path.write_text(f"3/{day}/22, 14:56 - {name}: Hi!\n")
    assert inspect(tmp_path).details["date_orders"] == {"month first": 2}


@pytest.mark.parametrize(
    ("lines", "skipped"),
    [
        ([f"{RLM}ההודעות והשיחות מוצפנות", f"{RLM}התמונה הושמטה"], 2),
        ([f"{RLM}ההודעות והשיחות מוצפנות", *["שלום"] * 12], 1),
        ([f"{RLM}ההודעות והשיחות מוצפנות", "שלום", "שלום"] * 5, 5),
        # The keyboard also writes the mark.
        ([f"{RLM}שלום"] * 12, 0),
    ],
)
def test_mark_in_a_hebrew_chat_may_be_typed(
    lines: list[str], skipped: int, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios()
    for line in lines:
        chat.says("Ann", line)
    kept = texts(chat.to_file(tmp_path / "_chat.txt"))
    assert len(kept) == len(lines) - skipped


def test_file_of_another_app_is_an_error_without_warnings(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    path.write_bytes(b"SQLite format 3\0\xff")
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(ExportFormatError, match="not a WhatsApp chat"),
    ):
        WhatsAppChatLoader(path).load()

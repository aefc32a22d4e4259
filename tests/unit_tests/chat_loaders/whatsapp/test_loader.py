"""Whole exports: files, zips, folders, options and what is said about them."""

import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.sessions import metadata_of
from tests.unit_tests.builders.whatsapp import LRM, RLM, START, WhatsAppChat

NOTICE = "Messages and calls are end-to-end encrypted."
NAME = "WhatsApp Chat with Ann.txt"


def load(path: Path, **options: Any) -> list[Any]:
    return WhatsAppChatLoader(path, **{"timezone": "UTC", **options}).load()


def texts(path: Path, **options: Any) -> list[str]:
    return [str(m.content) for s in load(path, **options) for m in s["messages"]]


def two() -> WhatsAppChat:
    return WhatsAppChat.android().says("Ann", "Hi!").says("Bob", "Yes?")


def test_a_message_has_sender_and_time(tmp_path: Path) -> None:
    path = two().to_file(tmp_path / NAME)
    (session,) = load(path, timezone="Europe/Berlin")
    assert session["messages"][1].additional_kwargs == {
        "message_time": 1_647_611_820,
        "sender": "Bob",
        "is_from_me": True,
        "events": [{"message_time": "2022-03-18T13:57:00+00:00"}],
    }


def test_messages_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().system(NOTICE, at=START + timedelta(days=5))
    chat.says("Ann", "one", at=START).says("Bob", "three").says("Ann", "late", at=START)
    path = chat.says("Bob", "two").to_file(tmp_path / NAME)
    assert texts(path) == ["one", "three", "late", "two"]
    assert texts(path, keep="system")[0] == NOTICE


def test_every_line_is_accounted_for(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().line("Forwarded by Bob").line("").system(NOTICE)
    chat.says("Ann", "Hi!").says("Ann", "<Media omitted>").says("Bob", "null")
    chat.says("Bob", "This message was deleted").says("Ann", "")
    chat.says("Ann", "Missed voice call")
    chat.says("Bob", "location: https://maps.google.com/?q=1.0,2.0")
    path = chat.to_file(tmp_path / NAME)
    summary = WhatsAppChatLoader(path, timezone="UTC").inspect()
    assert (summary.found, summary.kept) == (9, 1)
    assert summary.skipped == {
        "empty": 1,
        "media": 3,
        "system": 2,
        "unreadable": 1,
        "unsent": 1,
    }


def test_what_is_left_out_can_be_kept(tmp_path: Path) -> None:
    chat = WhatsAppChat.ios().system(NOTICE, "Ann").says("Ann", "Hi!")
    chat.by_app("Ann", "video omitted").by_app("Bob", "Missed voice call")
    chat.says("Bob", f"Look {LRM}<attached: 00000001-PHOTO-2022.jpg>")
    path = chat.to_file(tmp_path / "_chat.txt")
    (session,) = load(path, keep=("system", "media"))
    assert [m.content for m in session["messages"]] == [
        NOTICE,
        "Hi!",
        "[video]",
        "Missed voice call",
        "Look",
    ]
    extras = [m.additional_kwargs for m in session["messages"]]
    assert [e.get("system") for e in extras] == ["notice", None, None, "call", None]
    assert extras[4]["attachments"] == [
        {"type": "photo", "uri": "00000001-PHOTO-2022.jpg"}
    ]


def test_a_group_is_told_by_its_people_or_its_lines(tmp_path: Path) -> None:
    three = two().says("Cleo", "?").to_file(tmp_path / "a.txt")
    created = WhatsAppChat.android().system("Ann created group “Run”")
    created.says("Ann", "Hi!").says("Bob", "Yes?").to_file(tmp_path / "b.txt")
    inner = WhatsAppChat.ios().system("Vi kreis ĉi tiun grupon", "Run")
    inner.says("Ann", "Hi!").says("Bob", "Yes?").to_file(tmp_path / "c.txt")
    for path in (three, tmp_path / "b.txt", tmp_path / "c.txt"):
        (session,) = load(path)
        assert session["metadata"]["is_group"] is True
    assert "Run" not in session["metadata"]["participants"]


def test_a_zip_of_an_iphone_is_read_beside_its_attachments(tmp_path: Path) -> None:
    chat = WhatsAppChat.ios().system(NOTICE, "Ann").says("Bob", "Yes?")
    path = tmp_path / "WhatsApp Chat - Ann.zip"
    pasted = {"00000001-notes.txt": two().text(), "__MACOSX/._chat.txt": "x"}
    chat.to_zip(path, **pasted)
    (session,) = load(path)
    assert session["metadata"]["id"] == "WhatsApp Chat - Ann.zip"
    assert session["metadata"]["title"] == "Ann"
    details = WhatsAppChatLoader(path, timezone="UTC").inspect().details
    assert details["other_texts"] == 1


def test_a_zip_of_the_web_is_read_once(tmp_path: Path) -> None:
    chat = WhatsAppChat.web().says("Ann", "Hi!").says("You", "Yes?")
    chat.system("Ann left")
    path = chat.to_zip(tmp_path / "Ann.zip", "chat.txt", **{"chat.md": chat.text()})
    assert texts(path) == ["Hi!", "Yes?"]
    summary = WhatsAppChatLoader(path, timezone="UTC").inspect()
    assert (summary.found, summary.skipped) == (4, {"system": 2})


def test_a_folder_of_chats_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    two().to_file(tmp_path / NAME)
    two().to_zip(tmp_path / "WhatsApp Chat - Cleo.zip")
    two().to_file(tmp_path / "WhatsApp Chat - Dan" / "_chat.txt")
    (tmp_path / "notes.txt").write_text("milk, bread")
    sessions = load(tmp_path)
    assert [s["metadata"]["id"] for s in sessions] == [
        "WhatsApp Chat - Cleo.zip",
        "WhatsApp Chat - Dan/_chat.txt",
        NAME,
    ]
    assert [s["metadata"]["title"] for s in sessions] == ["Cleo", "Dan", "Ann"]


def test_chats_of_several_paths_have_ids_of_their_own(tmp_path: Path) -> None:
    chats = []
    for name in ("Ann", "Cleo"):
        chat = WhatsAppChat.ios().system(NOTICE, name).says("Bob", name)
        chats.append(chat.to_file(tmp_path / name / "_chat.txt"))
    sessions = WhatsAppChatLoader(chats, timezone="UTC").load()
    ids = [metadata_of(session)["id"] for session in sessions]
    assert ids == ["_chat.txt", "_chat.txt (2)"]


@pytest.mark.parametrize("name", ["notes.txt", NAME, "_chat.txt"])
def test_a_file_that_is_no_chat_is_an_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("milk, bread\nhoney")
    with pytest.raises(ExportFormatError, match=name):
        load(path)


def test_dates_that_do_not_say_which_is_the_day_are_told(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("3/4/22, 14:56 - Ann: Hi!\n3/5/22, 14:56 - Bob: Yes?\n")
    loader = WhatsAppChatLoader(path, timezone="UTC")
    with pytest.warns(UserWarning, match="date_order"):
        summary = loader.inspect()
    assert summary.details["date_orders"] == {"day first (a guess)": 1}
    loader = WhatsAppChatLoader(path, timezone="UTC", date_order="mdy")
    assert loader.inspect().details["date_orders"] == {"month first": 1}


def test_a_file_of_both_orders_is_an_error_that_names_lines(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("20/3/22, 14:56 - Ann: Hi!\n3/21/22, 14:56 - Bob: Yes?\n")
    with pytest.raises(ExportFormatError, match="lines 1 and 2"):
        load(path)


def test_a_pasted_date_of_the_other_order_is_text(tmp_path: Path) -> None:
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
    ("form", "length", "limit"),
    [
        (PHONE, 9_899, None),
        (PHONE, 9_900, "40,000"),
        (PHONE, 10_001, None),
        (PHONE, 40_000, "40,000"),
        (WEB, 10_000, None),
        (WEB, 100_000, "100,000"),
    ],
)
def test_an_export_that_was_probably_cut_is_told(
    form: tuple[str, str, str], length: int, limit: str | None, tmp_path: Path
) -> None:
    name, head, line = form
    path = tmp_path / name
    path.write_text(head + line * length)
    # Of what is excluded, no messages are made.
    loader = WhatsAppChatLoader(path, timezone="UTC", end=date(2000, 1, 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert loader.inspect().found == length + bool(head)
    told = [str(one.message) for one in caught]
    assert any("000" in one for one in told) is bool(limit)
    assert any(limit in one for one in told if limit) is bool(limit)


def test_a_calendar_that_is_not_read_leaves_messages_without_time(
    tmp_path: Path,
) -> None:
    path = tmp_path / NAME
    path.write_text("1443/8/15, 14:56 - Ann: Hi!\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="calendar"):
        (session,) = load(path)
    assert "message_time" not in session["messages"][0].additional_kwargs


@pytest.mark.parametrize("option", [{"timezone": "Berlin"}, {"date_order": "dym"}])
def test_wrong_options_are_errors(option: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Berlin|dym"):
        WhatsAppChatLoader(tmp_path, **option)


def test_the_number_of_messages_is_estimated(tmp_path: Path) -> None:
    chat = WhatsAppChat.android()
    for number in range(5000):
        chat.says("Ann", f"line {number}\nand another one")
    count = WhatsAppChatLoader(chat.to_file(tmp_path / NAME)).estimate_message_count()
    assert count is not None
    assert 4500 < count < 5500
    assert WhatsAppChatLoader(tmp_path / "nothing").estimate_message_count() is None


def test_another_chat_of_the_phone_says_which_number_is_the_day(tmp_path: Path) -> None:
    short = "3/4/22, 14:56 - Ann: Hi!\n"
    (tmp_path / "WhatsApp Chat with Ann.txt").write_text(short)
    long = "3/28/22, 14:56 - Bob: Hi!\n"
    (tmp_path / "WhatsApp Chat with Bob.txt").write_text(long)
    summary = WhatsAppChatLoader(tmp_path, timezone="UTC").inspect()
    assert summary.details["date_orders"] == {"month first": 2}


@pytest.mark.parametrize(
    ("said", "skipped"),
    [
        ([f"{RLM}ההודעות והשיחות מוצפנות", f"{RLM}התמונה הושמטה"], 2),
        ([f"{RLM}ההודעות והשיחות מוצפנות", *["שלום"] * 12], 1),
        ([f"{RLM}ההודעות והשיחות מוצפנות", "שלום", "שלום"] * 5, 5),
        # The keyboard writes the mark, too.
        ([f"{RLM}שלום"] * 12, 0),
    ],
)
def test_what_begins_with_a_mark_in_hebrew_chats(
    said: list[str], skipped: int, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios()
    for text in said:
        chat.says("Ann", text)
    kept = texts(chat.to_file(tmp_path / "_chat.txt"))
    assert len(kept) == len(said) - skipped

"""Merging several exports of one chat."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from tests.unit_tests.builders.whatsapp import START, WhatsAppChat

NAME = "WhatsApp Chat with Ann.txt"
AGAIN = "WhatsApp Chat with Ann (1).txt"
NOTICE = "Messages and calls are end-to-end encrypted."
SECOND = timedelta(seconds=1)


def add_lines(
    numbers: Iterable[int], chat: WhatsAppChat | None = None, word: str = "line"
) -> WhatsAppChat:
    """Add messages from Ann and Bob in turn, each at the minute of its number."""
    chat = chat or WhatsAppChat.android()
    for number in numbers:
        name = ("Ann", "Bob")[number % 2]
        chat.says(name, f"{word} {number}", START + timedelta(minutes=number))
    return chat


def sessions(path: Path) -> list[Any]:
    loader = WhatsAppChatLoader(path, timezone="UTC")
    summary, found = loader.inspect(), loader.load()
    assert summary.found == summary.kept + sum(summary.skipped.values())
    assert summary.kept == sum(len(session["messages"]) for session in found)
    return found


def texts(path: Path) -> list[str]:
    (session,) = sessions(path)
    return [str(message.content) for message in session["messages"]]


def skipped(path: Path) -> dict[str, int]:
    return dict(WhatsAppChatLoader(path, timezone="UTC").inspect().skipped)


def lines(numbers: Iterable[int]) -> list[str]:
    return [f"line {number}" for number in numbers]


@pytest.mark.parametrize("names", [(NAME, AGAIN), (AGAIN, NAME)])
def test_common_messages_are_read_once(tmp_path: Path, names: tuple[str, str]) -> None:
    older, newer = names
    add_lines(range(8)).to_file(tmp_path / older)
    add_lines(range(4, 12)).to_file(tmp_path / newer)
    assert texts(tmp_path) == lines(range(12))
    assert skipped(tmp_path) == {"duplicate": 4}
    (session,) = sessions(tmp_path)
    assert metadata_of(session) == {
        "id": newer,
        "title": "Ann",
        "platform": "whatsapp",
        "participants": ["Ann", "Bob"],
        "owner": "Bob",
        "is_group": False,
    }
    stamps = [m.additional_kwargs["message_time"] for m in session["messages"]]
    assert stamps == [1_647_615_360 + 60 * number for number in range(12)]


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_times_may_differ_by_a_second(tmp_path: Path, shift: int) -> None:
    """Two equal messages within two seconds are distinct, however times differ."""
    older, newer = WhatsAppChat.ios(), WhatsAppChat.ios()
    add_lines(range(4), older)
    add_lines(range(4), newer)
    at = START + timedelta(minutes=10)
    for second in range(2):
        older.says("Ann", "ok", at + second * SECOND)
        newer.says("Ann", "ok", at + (second + shift) * SECOND)
    newer.says("Bob", "end")
    older.to_zip(tmp_path / "WhatsApp Chat - Ann.zip")
    newer.to_zip(tmp_path / "WhatsApp Chat - Ann (1).zip")
    assert texts(tmp_path) == [*lines(range(4)), "ok", "ok", "end"]


def test_equal_messages_of_one_export_are_kept(tmp_path: Path) -> None:
    older, newer = WhatsAppChat.android(), WhatsAppChat.android()
    for chat, end in ((older, 5), (newer, 8)):
        add_lines(range(4), chat)
        for _ in range(3):
            chat.says("Ann", "ha", START + timedelta(minutes=4))
        add_lines(range(5, end), chat)
    newer.says("Ann", "ha", START + timedelta(minutes=8))
    older.to_file(tmp_path / NAME)
    newer.to_file(tmp_path / AGAIN)
    expected = [*lines(range(4)), "ha", "ha", "ha", *lines(range(5, 8)), "ha"]
    assert texts(tmp_path) == expected


def test_message_of_one_export_keeps_its_position(tmp_path: Path) -> None:
    """For example, one person deleted it between the two exports."""
    older = add_lines([0, 1, 2, 3, 4, 6, 7, 9])
    newer = add_lines([0, 1, 3, 4, 5, 7, 8])
    older.to_file(tmp_path / NAME)
    newer.says("Ann", "end", START + timedelta(minutes=20)).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == [*lines(range(10)), "end"]


def test_late_messages_keep_their_position(tmp_path: Path) -> None:
    def chat(numbers: Iterable[int]) -> WhatsAppChat:
        return add_lines(numbers, WhatsAppChat.android().system(NOTICE, at=START))

    chat([5, 1, 6, 2, 7]).to_file(tmp_path / NAME)
    chat([6, 2, 7, 3, 8]).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == lines([5, 1, 6, 2, 7, 3, 8])
    assert skipped(tmp_path) == {"duplicate": 4, "system": 1}


def test_chats_with_namesakes_stay_separate(tmp_path: Path) -> None:
    """A greeting to both is in both chats at the same second, but answers differ."""
    one, two = WhatsAppChat.ios(), WhatsAppChat.ios()
    for chat, word in ((one, "yes"), (two, "oh")):
        add_lines(range(0, 10, 2), chat, word)
        for number in (11, 13, 15, 17):
            at = START + timedelta(minutes=number)
            chat.says("Bob", f"Happy day {number}!", at)
    one.to_zip(tmp_path / "WhatsApp Chat - Ann.zip")
    two.to_zip(tmp_path / "WhatsApp Chat - Ann (1).zip")
    with pytest.warns(UserWarning, match="too few messages .* as 2 sessions"):
        found = sessions(tmp_path)
    assert [len(session["messages"]) for session in found] == [9, 9]
    assert [metadata_of(s)["id"] for s in found] == [
        "WhatsApp Chat - Ann (1).zip",
        "WhatsApp Chat - Ann.zip",
    ]


def test_warning_shows_the_folders_of_separate_chats(tmp_path: Path) -> None:
    add_lines(range(8)).to_file(tmp_path / "old" / NAME)
    add_lines(range(8, 16)).to_file(tmp_path / "new" / NAME)
    with pytest.warns(UserWarning, match=f"new/{NAME} and .*old/{NAME} have"):
        assert len(sessions(tmp_path)) == 2


@pytest.mark.parametrize("copy", [AGAIN, "copy of it.txt", "A copy.txt"])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_copied_file_is_read_once(tmp_path: Path, length: int, copy: str) -> None:
    for name in (NAME, copy):
        add_lines(range(length)).to_file(tmp_path / name)
    assert texts(tmp_path) == lines(range(length))
    assert skipped(tmp_path) == {"duplicate": length}


def test_only_the_other_person_may_have_messages(tmp_path: Path) -> None:
    add_lines(range(0, 8, 2)).to_file(tmp_path / NAME)
    add_lines(range(0, 12, 2)).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == lines(range(0, 12, 2))


@pytest.mark.parametrize("is_first_with_media", [True, False])
def test_exports_with_and_without_media_are_merged(
    tmp_path: Path, *, is_first_with_media: bool
) -> None:
    with_media, without = add_lines(range(4)), add_lines(range(4))
    with_media.says("Ann", "IMG-20220327-WA0001.jpg (file attached)\nthe sea")
    with_media.says("Bob", "IMG-20220327-WA0002.jpg (file attached)")
    without.says("Ann", "<Media omitted>").says("Bob", "<Media omitted>")
    newer = without if is_first_with_media else with_media
    add_lines([9], newer)
    with_media.to_file(tmp_path / NAME)
    without.to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == [*lines(range(4)), "the sea", "line 9"]
    assert skipped(tmp_path) == {"duplicate": 6, "media": 1}
    (session,) = sessions(tmp_path)
    (attachment,) = session["messages"][4].additional_kwargs["attachments"]
    assert attachment["name"] == "IMG-20220327-WA0001.jpg"


@pytest.mark.parametrize(
    ("later", "expected", "reasons"),
    [
        ("Hello! <This message was edited>", ["Hello!"], {}),
        ("This message was deleted", [], {"unsent": 1}),
    ],
)
def test_newer_export_has_the_edited_or_deleted_message(
    tmp_path: Path, later: str, expected: list[str], reasons: dict[str, int]
) -> None:
    add_lines(range(4)).says("Ann", "Helo").to_file(tmp_path / NAME)
    newer = add_lines(range(4)).says("Ann", later)
    add_lines([9], newer).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == [*lines(range(4)), *expected, "line 9"]
    assert skipped(tmp_path) == {"duplicate": 5, **reasons}


def test_chat_exported_by_both_people_is_one_session(tmp_path: Path) -> None:
    """On each phone, it has the other person's name."""
    add_lines(range(9)).to_file(tmp_path / "WhatsApp Chat with Ann.txt")
    add_lines(range(12)).to_file(tmp_path / "WhatsApp Chat with Bob.txt")
    (session,) = sessions(tmp_path)
    assert len(session["messages"]) == 12
    assert skipped(tmp_path) == {"duplicate": 9}


def test_iphone_chats_are_named_by_their_first_lines(tmp_path: Path) -> None:
    for folder, name, end in (("a", "Ann", 8), ("b", "Ann", 12), ("c", "Cleo", 8)):
        chat = WhatsAppChat.ios().by_app(name, NOTICE, START)
        add_lines(range(end), chat).to_file(tmp_path / folder / "_chat.txt")
    found = sessions(tmp_path)
    assert [metadata_of(s)["title"] for s in found] == ["Ann", "Cleo"]
    assert [len(session["messages"]) for session in found] == [12, 8]


def test_deleted_message_in_older_export_identifies_the_owner(tmp_path: Path) -> None:
    """It is far after the beginning, which is read first."""
    older = add_lines(range(1_500)).says("Bob", "You deleted this message")
    add_lines(range(1_501, 1_510), older).to_file(
        tmp_path / "WhatsApp Chat with Run.txt"
    )
    newer = add_lines(range(1_503, 1_520)).says("Cleo", "Hi")
    newer.to_file(tmp_path / "WhatsApp Chat with Run (1).txt")
    (session,) = sessions(tmp_path)
    assert metadata_of(session)["owner"] == "Bob"


def test_iphone_and_android_exports_are_merged(tmp_path: Path) -> None:
    """Android writes no seconds, so equal messages in one minute are counted."""
    iphone, android = WhatsAppChat.ios(), WhatsAppChat.android()
    for chat in (iphone, android):
        add_lines(range(4), chat)
        for second in (1, 2):
            chat.says("Ann", "ha", START + timedelta(minutes=5, seconds=second))
    iphone.says("Bob", "only here", START + timedelta(minutes=6))
    android.says("Bob", "only there", START + timedelta(minutes=7))
    iphone.to_zip(tmp_path / "WhatsApp Chat - Ann.zip")
    android.to_file(tmp_path / NAME)
    expected = [*lines(range(4)), "ha", "ha", "only here", "only there"]
    assert texts(tmp_path) == expected
    assert skipped(tmp_path) == {"duplicate": 6}

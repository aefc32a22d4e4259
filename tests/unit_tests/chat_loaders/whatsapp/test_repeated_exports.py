"""Exports of one chat, made on different days: all of it once."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from tests.unit_tests.builders.sessions import metadata_of
from tests.unit_tests.builders.whatsapp import START, WhatsAppChat

NAME = "WhatsApp Chat with Ann.txt"
AGAIN = "WhatsApp Chat with Ann (1).txt"
NOTICE = "Messages and calls are end-to-end encrypted."
SECOND = timedelta(seconds=1)


def talk(
    numbers: Iterable[int], chat: WhatsAppChat | None = None, word: str = "line"
) -> WhatsAppChat:
    """Messages of Ann and Bob in turn, each at the minute of its number."""
    chat = chat or WhatsAppChat.android()
    for number in numbers:
        name = ("Ann", "Bob")[number % 2]
        chat.says(name, f"{word} {number}", START + timedelta(minutes=number))
    return chat


def sessions(path: Path, **options: Any) -> list[Any]:
    loader = WhatsAppChatLoader(path, timezone="UTC", **options)
    summary, found = loader.inspect(), loader.load()
    assert summary.found == summary.kept + sum(summary.skipped.values())
    assert summary.kept == sum(len(session["messages"]) for session in found)
    return found


def texts(path: Path, **options: Any) -> list[str]:
    (session,) = sessions(path, **options)
    return [str(message.content) for message in session["messages"]]


def skipped(path: Path, **options: Any) -> dict[str, int]:
    loader = WhatsAppChatLoader(path, timezone="UTC", **options)
    return dict(loader.inspect().skipped)


def lines(numbers: Iterable[int]) -> list[str]:
    return [f"line {number}" for number in numbers]


@pytest.mark.parametrize("names", [(NAME, AGAIN), (AGAIN, NAME)])
def test_what_two_exports_have_in_common_comes_once(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    older, newer = names
    talk(range(8)).to_file(tmp_path / older)
    talk(range(4, 12)).to_file(tmp_path / newer)
    assert texts(tmp_path) == lines(range(12))
    assert skipped(tmp_path) == {"duplicate": 4}
    loader = WhatsAppChatLoader(tmp_path, timezone="UTC")
    assert loader.inspect().found == 16
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
    """Two of one text in two seconds stay two, whichever way the times differ."""
    older, newer = WhatsAppChat.ios(), WhatsAppChat.ios()
    talk(range(4), older)
    talk(range(4), newer)
    at = START + timedelta(minutes=10)
    for second in range(2):
        older.says("Ann", "ok", at + second * SECOND)
        newer.says("Ann", "ok", at + (second + shift) * SECOND)
    newer.says("Bob", "end")
    older.to_zip(tmp_path / "WhatsApp Chat - Ann.zip")
    newer.to_zip(tmp_path / "WhatsApp Chat - Ann (1).zip")
    assert texts(tmp_path) == [*lines(range(4)), "ok", "ok", "end"]


def test_equal_messages_of_one_export_stay(tmp_path: Path) -> None:
    older, newer = WhatsAppChat.android(), WhatsAppChat.android()
    for chat, end in ((older, 5), (newer, 8)):
        talk(range(4), chat)
        for _ in range(3):
            chat.says("Ann", "ha", START + timedelta(minutes=4))
        talk(range(5, end), chat)
    newer.says("Ann", "ha", START + timedelta(minutes=8))
    older.to_file(tmp_path / NAME)
    newer.to_file(tmp_path / AGAIN)
    expected = [*lines(range(4)), "ha", "ha", "ha", *lines(range(5, 8)), "ha"]
    assert texts(tmp_path) == expected


def test_a_message_more_in_one_export_stays_in_its_place(tmp_path: Path) -> None:
    """Somebody deleted it for themselves, between the two exports."""
    older = talk([0, 1, 2, 3, 4, 6, 7, 9])
    newer = talk([0, 1, 3, 4, 5, 7, 8])
    older.to_file(tmp_path / NAME)
    newer.says("Ann", "end", START + timedelta(minutes=20)).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == [*lines(range(10)), "end"]


def test_late_messages_stay_where_they_arrived(tmp_path: Path) -> None:
    def chat(numbers: Iterable[int]) -> WhatsAppChat:
        return talk(numbers, WhatsAppChat.android().system(NOTICE, at=START))

    chat([5, 1, 6, 2, 7]).to_file(tmp_path / NAME)
    chat([6, 2, 7, 3, 8]).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == lines([5, 1, 6, 2, 7, 3, 8])
    assert skipped(tmp_path) == {"duplicate": 4, "system": 1}


def test_two_people_of_one_name_stay_apart(tmp_path: Path) -> None:
    """A greeting to both is in both chats at the same second; the answers differ."""
    one, two = WhatsAppChat.ios(), WhatsAppChat.ios()
    for chat, word in ((one, "yes"), (two, "oh")):
        talk(range(0, 10, 2), chat, word)
        for number in (11, 13, 15, 17):
            at = START + timedelta(minutes=number)
            chat.says("Bob", f"Happy day {number}!", at)
    one.to_zip(tmp_path / "WhatsApp Chat - Ann.zip")
    two.to_zip(tmp_path / "WhatsApp Chat - Ann (1).zip")
    with pytest.warns(
        UserWarning, match="not enough messages in common.* as 2 sessions"
    ):
        found = sessions(tmp_path)
    assert [len(session["messages"]) for session in found] == [9, 9]
    assert [metadata_of(s)["id"] for s in found] == [
        "WhatsApp Chat - Ann (1).zip",
        "WhatsApp Chat - Ann.zip",
    ]


def test_exports_of_one_name_that_stay_apart_are_named_with_their_folders(
    tmp_path: Path,
) -> None:
    for number, folder in enumerate(("old", "new")):
        (tmp_path / folder).mkdir()
        first = 8 * number
        talk(range(first, first + 8)).to_file(tmp_path / folder / NAME)
    with pytest.warns(UserWarning, match="not enough messages in common") as caught:
        assert len(sessions(tmp_path)) == 2
    warning = str(caught[0].message)
    assert f"new/{NAME}" in warning
    assert f"old/{NAME}" in warning


@pytest.mark.parametrize("length", [1, 2, 9])
def test_a_file_that_was_copied_is_read_once(tmp_path: Path, length: int) -> None:
    for name in (NAME, AGAIN):
        talk(range(length)).to_file(tmp_path / name)
    assert texts(tmp_path) == lines(range(length))
    assert skipped(tmp_path) == {"duplicate": length}


def test_who_the_chat_is_named_after_may_be_alone_in_it(tmp_path: Path) -> None:
    talk(range(0, 8, 2)).to_file(tmp_path / NAME)
    talk(range(0, 12, 2)).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == lines(range(0, 12, 2))


@pytest.mark.parametrize("is_first_with_media", [True, False])
def test_exports_with_and_without_media_are_one(
    tmp_path: Path, *, is_first_with_media: bool
) -> None:
    with_media, without = talk(range(4)), talk(range(4))
    with_media.says("Ann", "IMG-20220327-WA0001.jpg (file attached)\nthe sea")
    with_media.says("Bob", "IMG-20220327-WA0002.jpg (file attached)")
    without.says("Ann", "<Media omitted>").says("Bob", "<Media omitted>")
    newer = without if is_first_with_media else with_media
    talk([9], newer)
    with_media.to_file(tmp_path / NAME)
    without.to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == [*lines(range(4)), "the sea", "line 9"]
    assert skipped(tmp_path) == {"duplicate": 6, "media": 1}
    (session,) = sessions(tmp_path)
    (named,) = session["messages"][4].additional_kwargs["attachments"]
    assert named["uri"] == "IMG-20220327-WA0001.jpg"


@pytest.mark.parametrize(
    ("said", "expected", "reasons"),
    [
        ("Hello! <This message was edited>", ["Hello!"], {}),
        ("This message was deleted", [], {"unsent": 1}),
    ],
)
def test_what_was_edited_or_taken_back_since_is_as_in_the_newer_export(
    tmp_path: Path, said: str, expected: list[str], reasons: dict[str, int]
) -> None:
    talk(range(4)).says("Ann", "Helo").to_file(tmp_path / NAME)
    newer = talk(range(4)).says("Ann", said)
    talk([9], newer).to_file(tmp_path / AGAIN)
    assert texts(tmp_path) == [*lines(range(4)), *expected, "line 9"]
    assert skipped(tmp_path) == {"duplicate": 5, **reasons}


def test_a_chat_exported_by_both_of_its_people_is_one_session(tmp_path: Path) -> None:
    """On each phone it has the name of the other person."""
    talk(range(9)).to_file(tmp_path / "WhatsApp Chat with Ann.txt")
    talk(range(12)).to_file(tmp_path / "WhatsApp Chat with Bob.txt")
    (session,) = sessions(tmp_path)
    assert len(session["messages"]) == 12
    assert skipped(tmp_path) == {"duplicate": 9}


def test_unpacked_zips_of_an_iphone_are_told_by_their_first_lines(
    tmp_path: Path,
) -> None:
    for folder, name, end in (("a", "Ann", 8), ("b", "Ann", 12), ("c", "Cleo", 8)):
        chat = WhatsAppChat.ios().by_app(name, NOTICE, START)
        talk(range(end), chat).to_file(tmp_path / folder / "_chat.txt")
    found = sessions(tmp_path)
    assert [metadata_of(s)["title"] for s in found] == ["Ann", "Cleo"]
    assert [len(session["messages"]) for session in found] == [12, 8]


def test_what_the_owner_took_back_in_the_older_export_counts(tmp_path: Path) -> None:
    """Far behind its beginning, which is looked at first."""
    older = talk(range(1_500)).says("Bob", "You deleted this message")
    talk(range(1_501, 1_510), older).to_file(tmp_path / "WhatsApp Chat with Run.txt")
    newer = talk(range(1_503, 1_520)).says("Cleo", "Hi")
    newer.to_file(tmp_path / "WhatsApp Chat with Run (1).txt")
    (session,) = sessions(tmp_path)
    assert metadata_of(session)["owner"] == "Bob"


def test_a_chat_of_an_iphone_and_an_android_phone_is_one(tmp_path: Path) -> None:
    """Android writes no seconds; equal texts of one minute are told by their number."""
    iphone, android = WhatsAppChat.ios(), WhatsAppChat.android()
    for chat in (iphone, android):
        talk(range(4), chat)
        for second in (1, 2):
            chat.says("Ann", "ha", START + timedelta(minutes=5, seconds=second))
    iphone.says("Bob", "only here", START + timedelta(minutes=6))
    android.says("Bob", "only there", START + timedelta(minutes=7))
    iphone.to_zip(tmp_path / "WhatsApp Chat - Ann.zip")
    android.to_file(tmp_path / NAME)
    expected = [*lines(range(4)), "ha", "ha", "only here", "only there"]
    assert texts(tmp_path) == expected
    assert skipped(tmp_path) == {"duplicate": 6}


@pytest.mark.parametrize("copy", ["copy of it.txt", "A copy.txt"])
def test_a_copy_under_another_name_is_read_once(tmp_path: Path, copy: str) -> None:
    for name in (NAME, copy):
        talk(range(4)).to_file(tmp_path / name)
    paths = [tmp_path / NAME, tmp_path / copy]
    loader = WhatsAppChatLoader(paths, timezone="UTC", owner="Ann")
    (session,) = loader.load()
    assert [message.content for message in session["messages"]] == lines(range(4))
    assert loader.inspect().skipped == {"duplicate": 4}

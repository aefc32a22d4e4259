"""Kinds of messages, and the sessions that contain them."""

import time
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.schema import metadata_of
from tests.unit_tests.builders.chat_db import NOON, VERSIONS, ChatDb, apple_ns
from tests.unit_tests.builders.sessions import all_texts, texts
from tests.unit_tests.builders.typedstream import attributed_body

HARE, TORTOISE = "+15550000001", "tortoise@pond.example"

POLLS = (
    "com.apple.messages.MSMessageExtensionBalloonPlugin:0000000000:"
    "com.apple.messages.Polls"
)
TOMORROW = apple_ns(time.time() + 90_000)
CUT = attributed_body("Slow pace").partition(b"pace")[0]
TYPE, EMOJI = "associated_message_type", "associated_message_emoji"
GUID, BUNDLE = "associated_message_guid", "balloon_bundle_id"
STICKER = "Reacted with a sticker to “hi”"
# The columns of a message, its kind, and its text if kept.
KINDS: list[tuple[dict[str, Any], str, str | None]] = [
    ({TYPE: 2000, "text": "Loved “hi”"}, "reaction", "Loved “hi”"),
    ({TYPE: 2006, EMOJI: "🐢", GUID: "p:0/A", "text": None}, "reaction", "[🐢]"),
    ({TYPE: 2007, "text": f"{STICKER}\ufffc"}, "reaction", STICKER),
    ({TYPE: 3000, "text": "Removed a heart"}, "reaction", "Removed a heart"),
    ({TYPE: 3007, "text": "x"}, "reaction", "x"),
    ({TYPE: 1000, "text": "\ufffc"}, "reaction", "[sticker]"),
    ({TYPE: 4000, "text": "x"}, "system", "[vote]"),
    ({BUNDLE: POLLS, GUID: "another-guid", "text": "x"}, "system", "[vote]"),
    ({BUNDLE: POLLS, GUID: None, "text": "x"}, "media", "[poll]"),
    ({"schedule_type": 2, "is_sent": 0, "text": "later"}, "draft", "later"),
    ({"schedule_type": 2, "is_sent": 1, "date": TOMORROW, "text": "x"}, "draft", "x"),
    ({"is_spam": 1, "text": "win"}, "spam", "win"),
    ({"filter_action": 2, "text": "win"}, "spam", "win"),
    ({"filter_action": 3, "text": "win"}, "spam", "win"),
    ({"is_auto_reply": 1, "text": "On the road."}, "auto_reply", "On the road."),
    ({BUNDLE: "com.example.game", "text": "\ufffd"}, "media", "[app message]"),
    ({"text": "\ufffc"}, "media", "[attachment]"),
    ({"text": None}, "empty", None),
    ({"text": " \n\t"}, "empty", None),
    ({"text": None, "attributedBody": attributed_body("")}, "empty", None),
    ({"text": None, "attributedBody": b"unknown format"}, "unreadable", None),
    ({"text": None, "attributedBody": CUT}, "unreadable", None),
]


def write(path: Path, columns: dict[str, Any]) -> None:
    with ChatDb(path, VERSIONS[-1]) as db:
        db.handle(HARE)
        db.handle(TORTOISE)
        db.chat(HARE).message(**columns)


@pytest.mark.parametrize(("columns", "kind", "text"), KINDS)
def test_other_kinds_are_skipped_or_kept(
    path: Path, columns: dict[str, Any], kind: str, text: str | None
) -> None:
    write(path, columns)
    summary = IMessageChatLoader(path).inspect()
    assert (summary.found, summary.kept, summary.skipped) == (1, 0, {kind: 1})
    assert all_texts(IMessageChatLoader(path, keep=kind)) == [text] * bool(text)


@pytest.mark.parametrize("number", [None, 0, 2, 3, 1001, 1999, 2008, 2999, 3008, 5000])
def test_other_associated_types_are_text(path: Path, number: int | None) -> None:
    write(path, {"associated_message_type": number, "text": "Loved “it”"})
    assert IMessageChatLoader(path).inspect().kept == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, "from the body"), ("", "from the body"), ("wanted", "wanted")],
)
def test_body_replaces_a_missing_text(
    path: Path, text: str | None, expected: str
) -> None:
    write(path, {"text": text, "attributedBody": attributed_body("from the body")})
    assert all_texts(IMessageChatLoader(path)) == [expected]


def test_message_id_is_the_guid(path: Path) -> None:
    with ChatDb(path) as db:
        message_id = db.chat(HARE).message("hi")
        guid = db.guid(message_id)
    (session,) = IMessageChatLoader(path)
    assert session["messages"][0].id == guid


def test_message_in_two_sessions_counts_once(path: Path) -> None:
    with ChatDb(path) as db:
        first = db.chat(HARE)
        db.chat(TORTOISE).add(first.message("twice"))
    summary = IMessageChatLoader(path).inspect()
    assert (summary.found, summary.kept) == (1, 1)
    found = [m for s in IMessageChatLoader(path) for m in s["messages"]]
    assert [m.content for m in found] == ["twice", "twice"]
    assert [m.additional_kwargs.get("weight") for m in found] == [None, 0]


def test_kept_orphans_have_separate_sessions(path: Path) -> None:
    with ChatDb(path) as db:
        db.chat(HARE).message("in a chat")
        db.message("alone", handle_id=1)
        db.message("in a room", handle_id=1, cache_roomnames="chat77")
        db.message("unknown", handle_id=0)
    loader = IMessageChatLoader(path, keep="orphan")
    found = {metadata_of(session)["id"]: texts(session) for session in loader}
    assert found == {
        f"iMessage;-;{HARE}": ["in a chat"],
        f"orphans:{HARE}": ["alone"],
        "orphans:chat77": ["in a room"],
        "orphans:unknown": ["unknown"],
    }
    assert loader.inspect().skipped == {}


@pytest.mark.parametrize("keep", [["deleted"], ["deleted", "orphan"]])
def test_kept_deleted_message_stays_in_its_chat(path: Path, keep: list[str]) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("first")
        chat.delete(db.message("second", handle_id=1))
        chat.message("third")
    loader = IMessageChatLoader(path, keep=keep)
    (session,) = loader
    assert texts(session) == ["first", "second", "third"]
    assert loader.inspect().skipped == {}


def test_restored_message_is_not_deleted(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.delete(chat.message("back again"))
    for keep in ([], ["deleted"]):
        summary = IMessageChatLoader(path, keep=keep).inspect()
        assert (summary.found, summary.kept) == (1, 1)


@pytest.mark.parametrize(
    ("notes", "kept"),
    [
        ([("milk", True, 0), ("milk", False, 0)], ["milk"]),
        ([("milk", False, 0), ("milk", True, 1)], ["milk"]),
        ([(None, True, 0), ("milk", False, 0)], ["milk"]),
        ([("milk", True, 0)], ["milk"]),
        ([("milk", False, 0)], ["milk"]),
        ([("milk", True, 0), ("eggs", False, 1)], ["milk", "eggs"]),
        ([("milk", True, 0), ("milk", True, 1)], ["milk", "milk"]),
        ([("milk", True, 0), ("milk", False, 86_400)], ["milk", "milk"]),
        (
            [("a", True, 0), ("b", True, 1), ("a", False, 2), ("b", False, 3)],
            ["a", "b"],
        ),
    ],
)
def test_note_to_self_is_read_once(
    path: Path, notes: list[Any], kept: list[str]
) -> None:
    with ChatDb(path) as db:
        chat = db.chat("me@fables.example")
        for text, mine, seconds in notes:
            chat.message(text, mine=mine, at=NOON + seconds)
        db.chat(HARE).message(
            "x", mine=True, destination_caller_id="me@fables.example", at=NOON - 9
        )
    loader = IMessageChatLoader(path)
    session = loader.load()[0]
    assert texts(session) == kept
    assert all(m.additional_kwargs["is_from_me"] for m in session["messages"])
    assert metadata_of(session)["participants"] == ["Me"]
    summary = loader.inspect()
    assert summary.found == summary.kept + sum(summary.skipped.values())


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"associated_message_type": 2000, "item_type": 1, "is_spam": 1}, "reaction"),
        ({"associated_message_type": 4000, "schedule_type": 2}, "system"),
        ({"item_type": 2, "schedule_type": 2, "is_spam": 1}, "system"),
        ({"schedule_type": 2, "is_spam": 1, "is_auto_reply": 1}, "draft"),
        ({"is_spam": 1, "is_auto_reply": 1}, "spam"),
        ({"is_auto_reply": 1, "balloon_bundle_id": "com.example.game"}, "auto_reply"),
        ({"is_auto_reply": 1, "text": None}, "auto_reply"),
    ],
)
def test_first_matching_kind_wins(
    path: Path, columns: dict[str, Any], kind: str
) -> None:
    write(path, {"text": "hello", **columns})
    assert IMessageChatLoader(path).inspect().skipped == {kind: 1}

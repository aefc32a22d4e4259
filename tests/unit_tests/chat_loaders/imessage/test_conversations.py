"""Merging chats into conversations, without ever mixing two people."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.schema import SessionMetadata, metadata_of
from tests.unit_tests.builders.chat_db import ChatDb

HARE, HARE_MAIL, FOX = "+15550000001", "hare@meadow.example", "+15550000003"


def texts(path: Path, **options: Any) -> list[list[Any]]:
    return [
        [message.content for message in session["messages"]]
        for session in IMessageChatLoader(path, **options)
    ]


def metadata(path: Path) -> SessionMetadata:
    (session,) = IMessageChatLoader(path)
    return metadata_of(session)


def test_merged_chats_are_sorted_by_time(path: Path) -> None:
    with ChatDb(path) as db:
        blue, green = db.chat(HARE), db.chat(HARE, service="SMS")
        for number in range(3):
            blue.message(f"blue {number}")
            green.message(f"green {number}")
    assert texts(path) == [
        ["blue 0", "green 0", "blue 1", "green 1", "blue 2", "green 2"]
    ]


@pytest.mark.parametrize(("person", "count"), [("P1", 1), (None, 2), ("", 2)])
def test_handles_with_one_person_id_are_merged(
    path: Path, person: str | None, count: int
) -> None:
    with ChatDb(path) as db:
        db.handle(HARE, person_centric_id=person)
        db.handle(FOX, person_centric_id=person)
        db.chat(HARE).message("hare")
        db.chat(FOX).message("fox")
    assert len(texts(path)) == count


def test_contacts_merge_phone_and_mail(path: Path) -> None:
    with ChatDb(path) as db:
        db.chat(HARE).message("by phone")
        db.chat(HARE_MAIL).message("by mail")
    people = {"Hare": (HARE, HARE_MAIL)}
    assert texts(path) == [["by mail"], ["by phone"]]
    assert texts(path, people=people) == [["by phone", "by mail"]]


def test_chats_without_members_are_merged_by_identifier(path: Path) -> None:
    with ChatDb(path) as db:
        db.chat(HARE, listed=False).message("blue")
        db.chat(HARE, service="SMS", listed=False).message("green")
        db.run("DELETE FROM handle")
    assert texts(path) == [["blue", "green"]]


@pytest.mark.parametrize(("group_id", "count"), [("G1", 1), ("", 2), (None, 2)])
def test_groups_with_one_group_id_are_merged(
    path: Path, group_id: str | None, count: int
) -> None:
    with ChatDb(path) as db:
        for service in ("iMessage", "SMS"):
            chat = db.chat(HARE, FOX, name="Race", service=service, group_id=group_id)
            chat.message(service)
    assert len(texts(path)) == count


def test_groups_linked_by_a_lookup_are_merged(path: Path) -> None:
    with ChatDb(path) as db:
        db.run("CREATE TABLE chat_lookup (identifier TEXT, domain TEXT, chat INTEGER)")
        for number in range(4):
            chat = db.chat(HARE, FOX, name=f"Race {number}")
            chat.message(f"{number}")
        # a links 1 and 2, b links 2 and 3. Nothing links 4.
        for identifier, chat_id in (("a", 1), ("a", 2), ("b", 2), ("b", 3), ("c", 4)):
            db.insert("chat_lookup", identifier=identifier, domain="x", chat=chat_id)
    assert texts(path) == [["3"], ["0", "1", "2"]]


def test_one_to_one_chat_is_named_after_the_other_person(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("hers")
        chat.message("mine", mine=True)
    assert metadata(path) == {
        "id": f"iMessage;-;{HARE}",
        "title": HARE,
        "platform": "imessage",
        "participants": [HARE, "Me"],
        "owner": "Me",
        "is_group": False,
        "services": ["iMessage"],
    }


def test_group_has_its_name_and_all_participants(path: Path) -> None:
    with ChatDb(path) as db:
        group = db.chat(HARE, FOX, name="The race")
        group.message("from a former member", sender=HARE_MAIL)
        group.message("mine", mine=True)
    found = metadata(path)
    assert found["title"] == "The race"
    assert found["participants"] == [HARE, FOX, "Me", HARE_MAIL]
    assert found["is_group"] is True


@pytest.mark.parametrize(
    ("chat_service", "service", "expected"),
    [
        ("SMS", "SMS", ["SMS"]),
        ("SMS", "iMessage", ["SMS", "iMessage"]),
        ("RCS", "rcs", ["RCS"]),
        (None, "RCS", ["RCS"]),
        (None, None, []),
        ("iMessageLite", "Jabber", ["iMessageLite", "Jabber"]),
    ],
)
def test_services_come_from_chat_and_messages(
    path: Path, chat_service: str | None, service: str | None, expected: list[str]
) -> None:
    """On macOS 26 every guid begins with `any`."""
    with ChatDb(path) as db:
        chat = db.chat(HARE, guid=f"any;-;{HARE}", service_name=chat_service)
        chat.message("hi", service=service)
    assert metadata(path)["services"] == expected


@pytest.mark.parametrize(
    ("style", "guid", "is_group"),
    [
        (43, "x", True),
        (45, "x", False),
        (None, "any;+;chat1", True),
        (None, "any;-;chat1", False),
        (None, "x", False),
    ],
)
def test_group_is_detected_by_style_or_guid(
    path: Path, style: int | None, guid: str, is_group: bool
) -> None:
    with ChatDb(path) as db:
        db.chat(HARE, style=style, guid=guid).message("hi")
    assert metadata(path)["is_group"] is is_group

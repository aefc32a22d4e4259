"""Who said what: never the wrong person, rather nobody."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from tests.unit_tests.builders.chat_db import VERSIONS, ChatDb
from tests.unit_tests.builders.sessions import metadata_of

HARE, TORTOISE, FOX = "+15550000001", "tortoise@pond.example", "+15550000003"
MINIMAL = ("text", "date", "handle_id")


def lines(path: Path, **options: Any) -> list[list[tuple[str, Any]]]:
    return [
        [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]
        for session in IMessageChatLoader(path, **options)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_group_messages_come_once_and_from_their_senders(
    path: Path, version: str
) -> None:
    """Joined through `chat_handle_join` they would be nine, of the wrong people."""
    with ChatDb(path, version) as db:
        group = db.chat(HARE, TORTOISE, FOX, name="The race")
        group.message("first", sender=HARE)
        group.message("second", sender=FOX)
        group.message("third", mine=True)
    assert lines(path) == [[(HARE, "first"), (FOX, "second"), ("Me", "third")]]


@pytest.mark.parametrize("handle_id", [0, 1])
@pytest.mark.parametrize("owner", [None, "Ann"])
def test_own_message_names_the_other_party_but_is_the_owners(
    path: Path, owner: str | None, handle_id: int
) -> None:
    """Where the database says who its owner is, `owner` only names him."""
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("hers")
        chat.message("mine", mine=True, handle_id=handle_id)
    (session,) = IMessageChatLoader(path, owner=owner)
    found = [m.additional_kwargs for m in session["messages"]]
    assert [one["is_from_me"] for one in found] == [False, True]
    assert [one["sender"] for one in found] == [HARE, owner or "Me"]


@pytest.mark.parametrize("handle_id", [0, 99, None, "trash\n"])
def test_unknown_handle_is_the_sole_participant(
    path: Path, handle_id: int | str | None
) -> None:
    with ChatDb(path) as db:
        db.chat(HARE).message("hers", handle_id=handle_id)
    assert lines(path) == [[(HARE, "hers")]]


@pytest.mark.parametrize(
    ("people", "is_listed", "sender"),
    [((HARE,), False, HARE), ((HARE, TORTOISE), True, "unknown")],
    ids=["the chat's identifier without participants", "unknown in a group"],
)
def test_unknown_handle_is(
    path: Path, people: tuple[str, ...], is_listed: bool, sender: str
) -> None:
    with ChatDb(path) as db:
        db.chat(*people, listed=is_listed).message("who?", handle_id=0)
    assert lines(path) == [[(sender, "who?")]]


# A text that is taken as it stands, and one that is looked at closely.
@pytest.mark.parametrize("text", ["words", "two\rlines"])
def test_owner_is_unknown_where_nothing_is_from_him(path: Path, text: str) -> None:
    with ChatDb(path) as db:
        db.chat(HARE).message(text)
    loader = IMessageChatLoader(path)
    (session,) = loader
    assert "is_from_me" not in session["messages"][0].additional_kwargs
    assert metadata_of(session)["owner"] is None
    assert loader.inspect().owner is None


@pytest.mark.parametrize("text", ["words", "two\rlines"])
def test_owner_can_be_named_where_both_speakers_are_handles(
    path: Path, text: str
) -> None:
    with ChatDb(path, MINIMAL) as db:
        chat = db.chat("Hare", "Tortoise")
        chat.message(text, sender="Hare")
        chat.message(text, sender="Tortoise")
    loader = IMessageChatLoader(path, owner="Tortoise")
    (session,) = loader
    said = [m.additional_kwargs for m in session["messages"]]
    assert [one["is_from_me"] for one in said] == [False, True]
    assert [one["sender"] for one in said] == ["Hare", "Tortoise"]
    assert metadata_of(session)["participants"] == ["Hare", "Tortoise"]
    assert loader.inspect().owner_found_by == "name"


def test_own_addresses_are_reported_without_prefix(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("a", destination_caller_id="+15559990000")
        chat.message("b", mine=True, account="E:Aesop@fables.example")
    details = IMessageChatLoader(path).inspect().details
    assert details["owner_addresses"] == ["+15559990000", "aesop@fables.example"]

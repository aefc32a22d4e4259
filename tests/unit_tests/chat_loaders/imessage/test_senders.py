"""The sender of each message, and the owner."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.schema import metadata_of
from tests.unit_tests.builders.chat_db import VERSIONS, ChatDb

HARE, TORTOISE, FOX = "+15550000001", "tortoise@pond.example", "+15550000003"
MINIMAL = ("text", "date", "handle_id")


def lines(path: Path) -> list[list[tuple[str, Any]]]:
    return [
        [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]
        for session in IMessageChatLoader(path)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_group_messages_have_their_senders(path: Path, version: str) -> None:
    """A join with `chat_handle_join` would return nine messages with wrong senders."""
    with ChatDb(path, version) as db:
        group = db.chat(HARE, TORTOISE, FOX, name="The race")
        group.message("first", sender=HARE)
        group.message("second", sender=FOX)
        group.message("third", mine=True)
    assert lines(path) == [[(HARE, "first"), (FOX, "second"), ("Me", "third")]]


@pytest.mark.parametrize("handle_id", [0, 1])
@pytest.mark.parametrize("owner", [None, "Ann"])
def test_own_message_with_a_handle_is_from_the_owner(
    path: Path, owner: str | None, handle_id: int
) -> None:
    """In a database that shows the owner, `owner` is just a name."""
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("hers")
        chat.message("mine", mine=True, handle_id=handle_id)
    (session,) = IMessageChatLoader(path, owner=owner)
    extras = [message.additional_kwargs for message in session["messages"]]
    assert [extra["is_from_me"] for extra in extras] == [False, True]
    assert [extra["sender"] for extra in extras] == [HARE, owner or "Me"]


@pytest.mark.parametrize("handle_id", [0, 99, None, "trash\n"])
@pytest.mark.parametrize(
    ("people", "is_listed", "sender"),
    [((HARE,), True, HARE), ((HARE,), False, HARE), ((HARE, FOX), True, "unknown")],
)
def test_unknown_handle_is_the_only_other_person(
    path: Path, people: tuple[str, ...], is_listed: bool, sender: str, handle_id: Any
) -> None:
    with ChatDb(path) as db:
        db.chat(*people, listed=is_listed).message("who?", handle_id=handle_id)
    assert lines(path) == [[(sender, "who?")]]


# Plain text, and text that needs cleaning.
@pytest.mark.parametrize("text", ["words", "two\rlines"])
def test_owner_without_messages_is_unknown(path: Path, text: str) -> None:
    with ChatDb(path) as db:
        db.chat(HARE).message(text)
    loader = IMessageChatLoader(path)
    (session,) = loader
    assert "is_from_me" not in session["messages"][0].additional_kwargs
    assert metadata_of(session)["owner"] is None
    assert loader.inspect().owner is None


@pytest.mark.parametrize("text", ["words", "two\rlines"])
def test_owner_can_be_a_handle(path: Path, text: str) -> None:
    with ChatDb(path, MINIMAL) as db:
        chat = db.chat("Hare", "Tortoise")
        chat.message(text, sender="Hare")
        chat.message(text, sender="Tortoise")
    loader = IMessageChatLoader(path, owner="Tortoise")
    (session,) = loader
    extras = [message.additional_kwargs for message in session["messages"]]
    assert [extra["is_from_me"] for extra in extras] == [False, True]
    assert [extra["sender"] for extra in extras] == ["Hare", "Tortoise"]
    assert metadata_of(session)["participants"] == ["Hare", "Tortoise"]
    assert loader.inspect().owner_found_by == "name"


def test_owner_addresses_are_reported_without_prefix(path: Path) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        chat.message("a", destination_caller_id="+15559990000")
        chat.message("b", mine=True, account="E:Aesop@fables.example")
    details = IMessageChatLoader(path).inspect().details
    assert details["owner_addresses"] == ["+15559990000", "aesop@fables.example"]

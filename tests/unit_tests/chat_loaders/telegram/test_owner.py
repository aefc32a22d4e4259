"""The people of Telegram's exports, and their owner."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
from tests.unit_tests.builders.sessions import messages_by_session
from tests.unit_tests.builders.telegram import (
    ANN,
    BO,
    USER,
    Person,
    TelegramChat,
    make_chat,
    make_group,
    write_account,
)

PERSONAL_CHATS: dict[str, tuple[dict[str, Any], list[Person], str | None]] = {
    "chat has the other's id": ({}, [BO, ANN], "Ann"),
    "old ids are numbers": (
        {"name": "X"},
        [Person("Bo", 22), Person("Ann", 11)],
        "Ann",
    ),
    "ids are missing": ({}, [BO, ANN, Person(None, None)], "Ann"),
    "deleted account": ({"name": None}, [Person(None, "user22"), ANN], "Ann"),
    "chat has the other's name": ({"number": 5}, [BO, ANN], "Ann"),
    "no evidence": ({"name": "X", "number": 5}, [BO, ANN], None),
    "group": ({"kind": "private_group"}, [ANN], None),
}


@pytest.mark.parametrize(
    ("chat", "people", "owner"), PERSONAL_CHATS.values(), ids=PERSONAL_CHATS
)
def test_owner_is_found_by_personal_chats(
    tmp_path: Path, chat: dict[str, Any], people: list[Person], owner: str | None
) -> None:
    is_without_ids = people[-1] == Person(None, None)
    personal_chat = TelegramChat(**chat)
    for person in people:
        record = personal_chat.says(person, "Hi")
        if is_without_ids:
            del record["from_id"]
    loader = TelegramChatLoader(personal_chat.write(tmp_path / "result.json"))
    summary = loader.inspect()
    assert summary.owner == owner
    assert summary.owner_found_by == ("personal chats" if owner else None)
    (session,) = loader.load()
    senders = [m.additional_kwargs["sender"] for m in session["messages"]]
    assert senders == [person.name or "unknown" for person in people]
    for message in session["messages"]:
        assert ("is_from_me" in message.additional_kwargs) is bool(owner)


def test_owner_is_the_account_holder(tmp_path: Path) -> None:
    loader = TelegramChatLoader(write_account(tmp_path, make_group(ANN, BO), user=USER))
    summary = loader.inspect()
    assert (summary.owner, summary.owner_found_by) == ("Ann", "personal information")
    (session,) = loader.load()
    flags = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert flags == [True, False]


def test_owner_is_in_all_personal_chats(tmp_path: Path) -> None:
    # The ids and titles do not fit, so each chat alone is ambiguous.
    for number in (5, 6):
        chat = TelegramChat("was renamed", number=number)
        chat.says(Person(f"P{number}", f"user9{number}"), "yours")
        chat.says(ANN, "mine")
        chat.write(tmp_path / f"{number}" / "result.json")
    assert TelegramChatLoader(tmp_path).inspect().owner == "Ann"


def test_people_are_identified_by_id(tmp_path: Path) -> None:
    namesakes = [Person("Ann", "user1"), Person("Ann", "user2"), Person("Bo", 22)]
    group = make_group(*namesakes, Person(None, "user3"), Person(None, "user4"))
    loader = TelegramChatLoader(group.write(tmp_path / "result.json"))
    messages = messages_by_session(loader)["chat7"]
    assert [sender for sender, _ in messages] == [
        *("Ann (user1)", "Ann (user2)", "Bo", "unknown (user3)", "unknown (user4)")
    ]


def test_namesakes_have_handles(tmp_path: Path) -> None:
    group = make_group(ANN, Person("Ann", "user44"))
    loader = TelegramChatLoader(write_account(tmp_path, make_chat(), group, user=USER))
    names = loader.list_names()
    assert names.names_of("user44") == {"Ann (user44)"}
    # In chats without a namesake, there is no id after the name.
    assert names.names_of("user11") == {"Ann (user11)", "Ann"}
    _, session = loader.load()
    metadata = metadata_of(session)
    assert metadata["owner"] == "Ann (user11)"
    assert metadata["owner"] in metadata["participants"]

"""Whose export it is."""

from pathlib import Path

import pytest

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from tests.unit_tests.builders.sessions import metadata_of
from tests.unit_tests.builders.whatsapp import WhatsAppChat

NOTICE = "Messages and calls are end-to-end encrypted."


def owner(path: Path) -> tuple[str | None, str | None]:
    summary = WhatsAppChatLoader(path, timezone="UTC").inspect()
    return summary.owner, summary.owner_found_by


def test_the_owner_is_not_who_the_file_is_named_after(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().says("Ann", "Hi!").says("Bob", "Yes?")
    path = chat.to_file(tmp_path / "WhatsApp Chat with Ann.txt")
    assert owner(path) == ("Bob", "the chat's name")


def test_the_owner_is_not_the_sender_of_an_iphones_first_line(tmp_path: Path) -> None:
    chat = WhatsAppChat.ios().system(NOTICE, "Ann")
    chat.says("Bob", "Yes?").says("Ann", "Hi!")
    assert owner(chat.to_file(tmp_path / "_chat.txt")) == ("Bob", "the chat's name")


def test_given_and_family_name_may_be_swapped(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().says("Lee Ann", "Hi!").says("Bob", "Yes?")
    path = chat.to_file(tmp_path / "WhatsApp Chat with Ann Lee.txt")
    assert owner(path)[0] == "Bob"


def test_the_only_talker_is_the_owner_or_not(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().system(NOTICE).says("Bob", "Hello?")
    assert owner(chat.to_file(tmp_path / "WhatsApp Chat with Ann.txt"))[0] == "Bob"
    chat = WhatsAppChat.android().system(NOTICE).says("Ann", "Hello?")
    path = chat.to_file(tmp_path / "b" / "WhatsApp Chat with Ann.txt")
    assert owner(path)[0] is None


@pytest.mark.parametrize("make", [WhatsAppChat.ios, WhatsAppChat.android])
def test_only_the_owner_takes_messages_back_like_this(
    make: type[WhatsAppChat], tmp_path: Path
) -> None:
    chat = make()  # type: ignore[call-arg] # a class method without arguments
    for name in ("Ann", "Bob", "Cleo"):
        chat.says(name, "Hi!")
    chat.says("Cleo", "You deleted this message").says(
        "Ann", "This message was deleted"
    )
    path = chat.to_file(tmp_path / "WhatsApp Chat with Run.txt")
    assert owner(path) == ("Cleo", "deleted messages")


def test_a_sentence_that_both_sides_have_names_nobody(tmp_path: Path) -> None:
    chat = WhatsAppChat.android()
    for name in ("Ann", "Bob", "Cleo"):
        chat.says(name, "Oi!").says(name, "Mensagem apagada")
    assert owner(chat.to_file(tmp_path / "Conversa do WhatsApp com Run.txt"))[0] is None


def test_the_owner_of_a_web_export_is_you(tmp_path: Path) -> None:
    chat = WhatsAppChat.web().says("Ann", "Hi!").says("You", "Yes?").says("Cleo", "?")
    path = chat.to_zip(tmp_path / "Run.zip", "chat.txt")
    assert owner(path) == ("You", "the sender You")
    (session,) = WhatsAppChatLoader(path, timezone="UTC", owner="Bob").load()
    senders = {m.additional_kwargs["sender"]: m for m in session["messages"]}
    assert list(senders) == ["Ann", "Bob", "Cleo"]
    assert senders["Bob"].additional_kwargs["is_from_me"] is True


def test_the_owner_that_is_given_counts_first(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().says("~ Ann", "Hi!").says("Bob", "Yes?")
    path = chat.to_file(tmp_path / "WhatsApp Chat with Ann.txt")
    loader = WhatsAppChatLoader(path, timezone="UTC", owner="~ ann")
    (session,) = loader.load()
    own = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert own == [True, False]
    assert loader.inspect().owner_found_by == "option"


def test_nobody_is_known_where_nothing_tells(tmp_path: Path) -> None:
    chat = WhatsAppChat.android().says("Ann", "Hi!").says("Bob", "Yes?")
    path = chat.to_file(tmp_path / "WhatsApp Chat with Run.txt")
    assert owner(path) == (None, None)
    (session,) = WhatsAppChatLoader(path, timezone="UTC").load()
    assert all("is_from_me" not in m.additional_kwargs for m in session["messages"])


@pytest.mark.parametrize(("others", "expected"), [(2, "Bob"), (1, None)])
def test_the_owner_of_most_chats_is_that_of_a_group(
    tmp_path: Path, others: int, expected: str | None
) -> None:
    for name in ("Ann", "Cleo")[:others]:
        chat = WhatsAppChat.android().says(name, "Hi!").says("Bob", "Yes?")
        chat.to_file(tmp_path / f"WhatsApp Chat with {name}.txt")
    chat = WhatsAppChat.android().says("Bob", "Hi!").says("Dan", "Yes?")
    chat.to_file(tmp_path / "WhatsApp Chat with Bob.txt")
    group = WhatsAppChat.android()
    for name in ("Dan", "Bob", "Cleo"):
        group.says(name, "Hi!")
    group.to_file(tmp_path / "WhatsApp Chat with A group.txt")
    loader = WhatsAppChatLoader(tmp_path, timezone="UTC")
    (first, *_) = loader.load()
    assert metadata_of(first)["owner"] == expected
    own = [m.additional_kwargs.get("is_from_me") for m in first["messages"]]
    assert own == ([False, True, False] if expected else [None] * 3)
    assert loader.inspect().owner == "Bob"

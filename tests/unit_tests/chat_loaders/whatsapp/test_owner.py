"""The owner of an export."""

from pathlib import Path

import pytest

from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from tests.unit_tests.builders.whatsapp import WhatsAppChat

NOTICE = "Messages and calls are end-to-end encrypted."


def owner(path: Path) -> tuple[str | None, str | None]:
    summary = WhatsAppChatLoader(path, timezone="UTC").inspect()
    return summary.owner, summary.owner_found_by


def write(folder: Path, title: str, *senders: str) -> Path:
    """Write an Android chat with a message from each sender."""
    chat = WhatsAppChat.android()
    for sender in senders:
        chat.says(sender, "Hi!")
    return chat.to_file(folder / f"WhatsApp Chat with {title}.txt")


@pytest.mark.parametrize(
    ("title", "other", "expected"),
    [
        ("Ann", "Ann", ("Bob", "the chat's name")),
        ("Ann Lee", "Lee Ann", ("Bob", "the chat's name")),
        ("Run", "Ann", (None, None)),
    ],
)
def test_other_person_is_in_the_file_name(
    tmp_path: Path, title: str, other: str, expected: tuple[str | None, str | None]
) -> None:
    path = write(tmp_path, title, other, "Bob")
    assert owner(path) == expected
    (session,) = WhatsAppChatLoader(path, timezone="UTC").load()
    own = [m.additional_kwargs.get("is_from_me") for m in session["messages"]]
    assert own == ([False, True] if expected[0] else [None, None])


def test_other_person_is_in_the_first_line_on_iphones(tmp_path: Path) -> None:
    chat = WhatsAppChat.ios().system(NOTICE, "Ann")
    chat.says("Bob", "Yes?").says("Ann", "Hi!")
    assert owner(chat.to_file(tmp_path / "_chat.txt")) == ("Bob", "the chat's name")


@pytest.mark.parametrize(("sender", "expected"), [("Bob", "Bob"), ("Ann", None)])
def test_only_sender_may_be_the_owner(
    tmp_path: Path, sender: str, expected: str | None
) -> None:
    chat = WhatsAppChat.android().system(NOTICE).says(sender, "Hello?")
    assert owner(chat.to_file(tmp_path / "WhatsApp Chat with Ann.txt"))[0] == expected


@pytest.mark.parametrize("make", [WhatsAppChat.ios, WhatsAppChat.android])
def test_deleted_messages_identify_the_owner(
    make: type[WhatsAppChat], tmp_path: Path
) -> None:
    chat = make()  # type: ignore[call-arg] # a class method without arguments
    for name in ("Ann", "Bob", "Cleo"):
        chat.says(name, "Hi!")
    chat.says("Cleo", "You deleted this message")
    chat.says("Ann", "This message was deleted")
    path = chat.to_file(tmp_path / "WhatsApp Chat with Run.txt")
    assert owner(path) == ("Cleo", "deleted messages")


def test_ambiguous_deleted_message_does_not_identify_the_owner(tmp_path: Path) -> None:
    chat = WhatsAppChat.android()
    for name in ("Ann", "Bob", "Cleo"):
        chat.says(name, "Oi!").says(name, "Mensagem apagada")
    assert owner(chat.to_file(tmp_path / "Conversa do WhatsApp com Run.txt"))[0] is None


def test_owner_of_a_web_export_is_called_you(tmp_path: Path) -> None:
    chat = WhatsAppChat.web().says("Ann", "Hi!").says("You", "Yes?").says("Cleo", "?")
    path = chat.to_zip(tmp_path / "Run.zip", "chat.txt")
    assert owner(path) == ("You", "the sender You")
    (session,) = WhatsAppChatLoader(path, timezone="UTC", owner="Bob").load()
    senders = {m.additional_kwargs["sender"]: m for m in session["messages"]}
    assert list(senders) == ["Ann", "Bob", "Cleo"]
    assert senders["Bob"].additional_kwargs["is_from_me"] is True


def test_given_owner_takes_precedence(tmp_path: Path) -> None:
    path = write(tmp_path, "Ann", "~ Ann", "Bob")
    loader = WhatsAppChatLoader(path, timezone="UTC", owner="~ ann")
    (session,) = loader.load()
    own = [m.additional_kwargs["is_from_me"] for m in session["messages"]]
    assert own == [True, False]
    assert loader.inspect().owner_found_by == "option"


@pytest.mark.parametrize(("others", "expected"), [(2, "Bob"), (1, None)])
def test_owner_of_most_chats_is_the_owner_of_a_group(
    tmp_path: Path, others: int, expected: str | None
) -> None:
    for name in ("Ann", "Cleo")[:others]:
        write(tmp_path, name, name, "Bob")
    write(tmp_path, "Bob", "Bob", "Dan")
    write(tmp_path, "A group", "Dan", "Bob", "Cleo")
    loader = WhatsAppChatLoader(tmp_path, timezone="UTC")
    (first, *_) = loader.load()
    assert metadata_of(first)["owner"] == expected
    own = [m.additional_kwargs.get("is_from_me") for m in first["messages"]]
    assert own == ([False, True, False] if expected else [None] * 3)
    assert loader.inspect().owner == "Bob"

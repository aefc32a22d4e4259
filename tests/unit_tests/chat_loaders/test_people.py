"""The table of people, and sessions in which each person has one name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.discord import DiscordChatLoader
from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.chat_loaders.people import to_people
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError
from langchain_chatexports.steps import Redact
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.discord import DiscordChannel, author

ANN = {"Ann": ("Ann Ode", "+49 170 123-4567", "ann@example.org", "annie")}


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("Ann", "ANN ODE", " ann  ode ", "@annie", "Ann@Example.org"),
        *("491701234567", "+49 (170) 1234567", "0170 1234567"),
    ],
)
def test_person_is_found_by_any_name_or_handle(name: str) -> None:
    card = to_people(ANN).find([name])
    assert card
    assert card.name == "Ann"


def test_ambiguous_national_number_has_no_match() -> None:
    people = to_people({"A": "+491701234567", "B": "+431701234567"})
    assert people.find(["01701234567"]) is None
    assert people.find(["+431701234567"]) is people.rows[1]


@pytest.mark.parametrize(
    "text",
    [
        "Ann;Ann Ode;annie\nBo",
        "Ann, Ann Ode, annie\nBo\n",
        'Ann\t"Ann Ode"\tannie\t\nBo\t\t\t\n',
        "\ufeff# people\r\n\r\nAnn;Ann Ode;annie;\r\nBo;;;\r\n",
    ],
)
def test_all_delimiters_are_read(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "people.csv", text)
    rows = [card.handles for card in to_people(path).rows]
    assert rows == [("Ann", "Ann Ode", "annie"), ("Bo",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann;annie\n# x\nBo;ANNIE", "Entries 1 and 2 of .*people.csv have a name or"),
        ("Ann;0170 1234567\nBo;+1\nCy;0170-1234567", "Entries 1 and 3"),
        ("# nobody\n;;\n", "is empty. Write one line"),
        ("", "is empty"),
        ('Ann;"annie', r"people.csv cannot be parsed .* quotation mark"),
        (b"Ann;J\xf6rg", "not a table of people in UTF-8. Save it"),
        (b"\xff\xfeA\0n\0n\0", "not a table of people in UTF-8"),
    ],
)
def test_invalid_table_of_people_error_has_remedy(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = write(tmp_path / "people.csv", text)
    with pytest.raises(ExportFormatError, match=message) as raised:
        to_people(path)
    assert raised.value.path == path
    assert not any(name in str(raised.value) for name in ("Ann", "annie", "0170", "Bo"))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_raise_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    try:
        to_people(path)
    except ChatExportError:
        return


def test_handle_does_not_match_namesake(tmp_path: Path) -> None:
    ann = author("11", "annie", nickname="Ann", isBot=False)
    namesake = author("44", "anna", nickname="Ann", isBot=False)
    for name, people in {"a": (ann,), "b": (namesake,), "c": (ann, namesake)}.items():
        channel = DiscordChannel(name, channel_id=name)
        for person in people:
            channel.says(person, f"by {person['name']}")
        channel.write(tmp_path / f"{name}.json")
    sessions = DiscordChatLoader(tmp_path, people={"Ann Ode": "annie"}).load()
    assert {
        (message.content, message.additional_kwargs["sender"])
        for session in sessions
        for message in session["messages"]
    } == {("by annie", "Ann Ode"), ("by anna", "Ann")}
    loader = DiscordChatLoader(tmp_path)
    assert loader.names_of("annie") == {"Ann", "Ann (annie)"}


def test_owner_matches_address_and_label(tmp_path: Path) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        chat = database.chat("+15550001111")
        chat.message("Yes", mine=True, account="E:ann@example.org")
    for people in (ANN, {"Ann": "Me"}):
        loader = IMessageChatLoader(tmp_path / "chat.db", people=people)
        assert loader.inspect().owner == "Ann"
        (session,) = loader
        assert metadata_of(session)["owner"] == "Ann"
        assert session["messages"][0].additional_kwargs["is_from_me"] is True


def test_redaction_covers_names_from_the_table(tmp_path: Path) -> None:
    rows = [
        {"conversation_id": "1", "sender": "Annabel", "text": "I am Annabel"},
        {"conversation_id": "1", "sender": "Bo", "text": "Annabel, or Bellissima?"},
    ]
    write_jsonl(rows, tmp_path / "rows.jsonl")
    people = {"Ann": ("Annabel", "Bellissima")}
    loader = TableChatLoader(tmp_path / "rows.jsonl", people=people)
    redacted = str(list(loader | Redact.for_export(loader)))
    assert not any(name in redacted for name in ("Ann", "Bellissima"))

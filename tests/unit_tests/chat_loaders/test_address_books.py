"""Names from vCards and address books, for every app."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.address_books import Card, read_vcards
from langchain_chatexports.chat_loaders.people import People, to_people
from langchain_chatexports.chat_loaders.signal import SignalChatLoader
from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.signal import SignalExport
from tests.unit_tests.builders.whatsapp import WhatsAppChat

HARE, TORTOISE = "+15550001111", "tortoise@pond.example"
BOOK = "31bb7ba8914766d4ba40d6dfb6113c8b614be442"

VCARDS = """BEGIN:VCARD\r
VERSION:3.0\r
N:Hare;Harriet;;;\r
FN:Harriet Hare\r
item1.TEL;type=CELL;type=VOICE:+1 (555) 00\r
 0-1111\r
END:VCARD\r
BEGIN:VCARD\r
VERSION:2.1\r
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Schildkr=C3=B6te;=\r
Toni\r
EMAIL;INTERNET:Tortoise@Pond.example\r
END:VCARD\r
BEGIN:VCARD\r
VERSION:4.0\r
ORG:Fox\\, Sons\\; Co;Den\r
TEL;VALUE=uri:tel:+1-555-000-3333\r
END:VCARD\r
BEGIN:VCARD\r
TEL:+15550004444\r
END:VCARD\r
"""


def write_chats(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with ChatDb(path) as db:
        db.chat(HARE).message("fast")
        db.chat(TORTOISE).message("slow")
    return path


MAC_BOOK = """
CREATE TABLE ZABCDRECORD (Z_PK INTEGER PRIMARY KEY, ZFIRSTNAME TEXT, ZLASTNAME TEXT,
    ZNICKNAME TEXT, ZORGANIZATION TEXT);
CREATE TABLE ZABCDPHONENUMBER (ZOWNER INTEGER, ZFULLNUMBER TEXT);
CREATE TABLE ZABCDEMAILADDRESS (ZOWNER INTEGER, ZADDRESS TEXT, ZADDRESSNORMALIZED TEXT);
INSERT INTO ZABCDRECORD VALUES (1, 'Harriet', 'Hare', NULL, NULL);
INSERT INTO ZABCDRECORD VALUES (2, NULL, NULL, 'Toni', NULL);
INSERT INTO ZABCDPHONENUMBER VALUES (1, '(555) 000-1111');
INSERT INTO ZABCDEMAILADDRESS VALUES
    (2, 'Tortoise@Pond.example', 'tortoise@pond.example');
"""
PHONE_BOOK = """
CREATE TABLE ABPersonFullTextSearch_content (docid INTEGER PRIMARY KEY, c0First TEXT,
    c1Last TEXT, c16Phone TEXT, c17Email TEXT);
INSERT INTO ABPersonFullTextSearch_content VALUES
    (1, 'Harriet', 'Hare', '+15550001111 5550001111', NULL),
    (2, 'Toni', NULL, NULL, 'tortoise@pond.example');
"""


def write_book(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as book:
        book.executescript(script)


def senders(path: Path, **options: Any) -> set[str]:
    return {
        message.additional_kwargs["sender"]
        for session in IMessageChatLoader(path, **options)
        for message in session["messages"]
    }


def test_vcards_of_all_versions_are_read() -> None:
    assert [(card.name, card.handles) for card in read_vcards(VCARDS)] == [
        ("Harriet Hare", ("+1 (555) 000-1111",)),
        ("Toni Schildkröte", ("Tortoise@Pond.example",)),
        ("Fox, Sons; Co", ("tel:+1-555-000-3333",)),
    ]


@pytest.mark.parametrize(
    "book_path",
    [
        "Library/Application Support/AddressBook/AddressBook-v22.abcddb",
        "Library/Application Support/AddressBook/Sources/A1/AddressBook-v22.abcddb",
        "Library/Messages/AddressBook-v22.abcddb",
        "Library/Messages/AddressBook/AddressBook-v22.abcddb",
    ],
)
def test_mac_address_book_is_found(tmp_path: Path, book_path: str) -> None:
    path = write_chats(tmp_path / "Library" / "Messages" / "chat.db")
    write_book(tmp_path / book_path, MAC_BOOK)
    assert senders(path) == {"Harriet Hare", "Toni"}


def test_phone_address_book_is_found(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "Library" / "SMS" / "sms.db")
    write_book(tmp_path / "Library/AddressBook/AddressBook.sqlitedb", PHONE_BOOK)
    assert senders(path) == {"Harriet Hare", "Toni"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Harriet", "Hare", "Harry", "Meadow Ltd"), "Harriet Hare"),
        (("", "", "Harry", "Meadow Ltd"), "Harry"),
        ((None, None, None, "Meadow Ltd"), "Meadow Ltd"),
    ],
)
def test_name_of_a_mac_card_has_fallbacks(
    tmp_path: Path, names: tuple[str | None, ...], expected: str
) -> None:
    path = write_chats(tmp_path / "chat.db")
    book = tmp_path / "AddressBook-v22.abcddb"
    write_book(book, f"{MAC_BOOK} DELETE FROM ZABCDRECORD;")
    with closing(sqlite3.connect(book, isolation_level=None)) as connection:
        connection.execute("INSERT INTO ZABCDRECORD VALUES (2, ?, ?, ?, ?)", names)
    assert senders(path) == {HARE, expected}


@pytest.mark.parametrize("book_path", [f"31/{BOOK}", BOOK])
def test_backup_address_book_is_found(tmp_path: Path, book_path: str) -> None:
    write_chats(tmp_path / "3d" / "3d0d7e5fb2ce288813306e4d4636395e047a3d28")
    (tmp_path / "Info.plist").write_bytes(b"")
    write_book(tmp_path / book_path, PHONE_BOOK)
    assert senders(tmp_path) == {"Harriet Hare", "Toni"}


@pytest.mark.parametrize("entry", ["folder", "file"])
def test_given_address_book_is_read(tmp_path: Path, entry: str) -> None:
    path = write_chats(tmp_path / "chat.db")
    book = tmp_path / "book" / "AddressBook-v22.abcddb"
    write_book(book, MAC_BOOK)
    given = book if entry == "file" else str(book.parent)
    assert senders(path, people=given) == {"Harriet Hare", "Toni"}


def test_damaged_address_book_is_a_warning(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "chat.db")
    (tmp_path / "AddressBook-v22.abcddb").write_bytes(b"SQLite format 3\0" + b"\1" * 84)
    with pytest.warns(UserWarning, match=r"AddressBook-v22\.abcddb.*vCard") as caught:
        assert senders(path) == {HARE, TORTOISE}
    assert "Messages" not in str(caught[0].message)


@pytest.mark.parametrize(
    ("text", "size"),
    [("text", 4), ("SQLite format 3\0", 16), (VCARDS, 2**36)],
    ids=["text", "damaged", "huge"],
)
def test_file_without_readable_contacts_is_an_error(
    tmp_path: Path, text: str, size: int
) -> None:
    contacts = tmp_path / "contacts.vcf"
    contacts.write_text(text)
    os.truncate(contacts, size)
    with pytest.raises(ExportFormatError, match=r"contacts\.vcf contains no readable"):
        to_people(contacts)


def test_folder_of_vcards_is_read(tmp_path: Path) -> None:
    (tmp_path / "hare.VCF").write_text(VCARDS)
    (tmp_path / "fox.vcf").write_text("BEGIN:VCARD\nFN:Fox\nTEL:070707070\nEND:VCARD\n")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    people = to_people(tmp_path)
    assert (find_name(people, HARE), find_name(people, "070707070")) == (
        "Harriet Hare",
        "Fox",
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ExportFormatError, match="contains no readable contacts"):
        to_people(empty)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_vcards_are_recognized_by_content(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "contacts.txt"
    path.write_text(VCARDS, encoding=encoding)
    assert find_name(to_people(path), TORTOISE) == "Toni Schildkröte"


def test_table_comes_before_the_address_book(tmp_path: Path) -> None:
    """A table may rename the people that an address book names."""
    path = write_chats(tmp_path / "chat.db")
    write_book(tmp_path / "AddressBook-v22.abcddb", MAC_BOOK)
    assert senders(path, people={"Racer": "Harriet Hare"}) == {"Racer", "Toni"}
    assert senders(path, people={}) == {HARE, TORTOISE}
    table, cards = tmp_path / "people.csv", tmp_path / "contacts.vcf"
    table.write_text(f"Slow;{TORTOISE}\n")
    cards.write_text(VCARDS)
    assert senders(path, people=[table, cards]) == {"Harriet Hare", "Slow"}


def names(*cards: Any) -> People:
    return People(cards=[Card(name, tuple(addresses)) for name, *addresses in cards])


def find_name(people: People, *handles: str) -> str | None:
    card = people.find(handles)
    return card.name if card else None


@pytest.mark.parametrize(
    ("written", "handle"),
    [
        ("+15550001111", "+15550001111"),
        ("15550001111", "+15550001111"),
        ("+1 (555) 000-1111", "+15550001111"),
        ("(555) 000-1111", "+15550001111"),
        ("555.000.1111", "5550001111"),
        ("0170 1234567", "+491701234567"),
        ("tel:+1-555-000-1111", "+15550001111"),
        ("Hare@Meadow.example", "hare@meadow.example"),
        ("<hare@meadow.example>", "HARE@meadow.example"),
        ("mailto:hare@meadow.example", "hare@meadow.example"),
        ("5550001", "5550001"),
    ],
)
def test_address_is_found_in_any_spelling(written: str, handle: str) -> None:
    assert find_name(names(("Hare", written)), handle) == "Hare"


@pytest.mark.parametrize(
    ("written", "handle"),
    [
        ("+1", "+15550001111"),
        ("+1", "+1"),
        ("555000", "555000"),
        ("0001111", "+15550001111"),
        ("+15550001111", "+15550001112"),
        ("urn:biz:1234567890", "urn:biz:1234567890"),
        ("hare@meadow.example", "hare@meadow"),
        ("", ""),
    ],
)
def test_other_addresses_are_not_found(written: str, handle: str) -> None:
    assert names(("Hare", written)).find([handle]) is None


def test_last_ten_digits_must_be_unique() -> None:
    people = names(("Hare", "+445550001111"), ("Fox", HARE))
    assert find_name(people, HARE) == "Fox"
    assert people.find(["5550001111"]) is None


def test_cards_from_two_accounts_are_joined() -> None:
    first, second = "hare@x.example", "hare@y.example"
    people = names(("Hare", HARE, first), ("Harriet Hare", HARE, second))
    assert people.find([first]) is people.find([second])
    assert find_name(people, first) == "Harriet Hare"


def test_people_with_a_shared_number_stay_separate() -> None:
    """The number belongs to neither of them, and has the most complete name."""
    mother, father = "mother@x.example", "father@x.example"
    people = names(("Mother Hare", HARE, mother), ("Father Fox", HARE, father))
    assert (find_name(people, mother), find_name(people, father)) == (
        "Mother Hare",
        "Father Fox",
    )
    household = people.find([HARE])
    assert household
    assert (household.name, household.handles) == ("Mother Hare", (HARE,))
    assert household not in {people.find([mother]), people.find([father])}


def test_chats_of_a_household_stay_separate(tmp_path: Path) -> None:
    with ChatDb(tmp_path / "chat.db") as db:
        for address in (HARE, TORTOISE):
            db.chat(address).message(address)
    cards = tmp_path / "contacts.vcf"
    cards.write_text(
        f"BEGIN:VCARD\nFN:Mother Hare\nTEL:{HARE}\nEMAIL:{TORTOISE}\nEND:VCARD\n"
        f"BEGIN:VCARD\nFN:Father Fox\nTEL:{HARE}\nEND:VCARD\n"
    )
    sessions = IMessageChatLoader(tmp_path / "chat.db", people=cards).load()
    assert len(sessions) == 2
    assert senders(tmp_path / "chat.db", people=cards) == {
        f"Mother Hare ({HARE})",
        f"Mother Hare ({TORTOISE})",
    }


def test_people_with_the_same_name_stay_separate(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "chat.db")
    cards = tmp_path / "contacts.vcf"
    cards.write_text(
        f"BEGIN:VCARD\nFN:Hare\nTEL:{HARE}\nEND:VCARD\n"
        f"BEGIN:VCARD\nFN:Hare\nEMAIL:{TORTOISE}\nEND:VCARD\n"
    )
    assert senders(path, people=cards) == {f"Hare ({HARE})", f"Hare ({TORTOISE})"}


def test_mapping_joins_addresses(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "chat.db")
    people = {"Hare": (HARE, TORTOISE)}
    (session,) = IMessageChatLoader(path, people=people).load()
    assert [message.content for message in session["messages"]] == ["fast", "slow"]


def test_number_of_many_people_is_indexed_fast() -> None:
    cards = [Card(f"Hare {number}", ("+15550000001",)) for number in range(5_000)]
    before = process_time()
    people = People(cards=cards)
    assert process_time() - before < 1
    assert find_name(people, "+15550000001") == "Hare 4999"


def test_many_addresses_of_a_person_are_indexed_fast() -> None:
    addresses = tuple(f"hare{number}@x.example" for number in range(5_000))
    before = process_time()
    people = names(("Hare", *addresses))
    assert {find_name(people, address) for address in addresses} == {"Hare"}
    assert process_time() - before < 2


def write_vcards(path: Path) -> Path:
    path.write_text(VCARDS)
    return path


def test_vcards_name_whatsapp_senders(tmp_path: Path) -> None:
    """People who are not in the phone's contacts are only numbers."""
    chat = WhatsAppChat.android().says("+1 (555) 000-1111", "Hi").says("Toni", "Yes")
    path = chat.to_file(tmp_path / "WhatsApp Chat with Race.txt")
    loader = WhatsAppChatLoader(path, people=write_vcards(tmp_path / "contacts.vcf"))
    assert set(loader.inspect().senders) == {"Harriet Hare", "Toni"}


def test_vcards_name_signal_senders(tmp_path: Path) -> None:
    export = SignalExport()
    hare = export.contact(e164="15550001111")
    export.chat(hare).says(hare, "Hi")
    path = export.write(tmp_path / "main.jsonl")
    loader = SignalChatLoader(path, people=write_vcards(tmp_path / "contacts.vcf"))
    assert set(loader.inspect().senders) == {"Harriet Hare"}

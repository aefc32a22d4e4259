"""Names from address books and vCards; rather nobody than somebody else."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage.contacts import (
    Card,
    Contacts,
    find_contacts,
    read_vcards,
)
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.chat_db import ChatDb

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


def write_mac_book(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as book:
        book.executescript(
            """
            CREATE TABLE ZABCDRECORD (Z_PK INTEGER PRIMARY KEY, ZFIRSTNAME TEXT,
                ZLASTNAME TEXT, ZNICKNAME TEXT, ZORGANIZATION TEXT);
            CREATE TABLE ZABCDPHONENUMBER (ZOWNER INTEGER, ZFULLNUMBER TEXT);
            CREATE TABLE ZABCDEMAILADDRESS (ZOWNER INTEGER, ZADDRESS TEXT,
                ZADDRESSNORMALIZED TEXT);
            INSERT INTO ZABCDRECORD VALUES (1, 'Harriet', 'Hare', NULL, NULL);
            INSERT INTO ZABCDRECORD VALUES (2, NULL, NULL, 'Toni', NULL);
            INSERT INTO ZABCDPHONENUMBER VALUES (1, '(555) 000-1111');
            INSERT INTO ZABCDEMAILADDRESS VALUES
                (2, 'Tortoise@Pond.example', 'tortoise@pond.example');
            """
        )


def write_phone_book(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as book:
        book.executescript(
            """
            CREATE TABLE ABPersonFullTextSearch_content (docid INTEGER PRIMARY KEY,
                c0First TEXT, c1Last TEXT, c16Phone TEXT, c17Email TEXT);
            INSERT INTO ABPersonFullTextSearch_content VALUES
                (1, 'Harriet', 'Hare', '+15550001111 5550001111', NULL),
                (2, 'Toni', NULL, NULL, 'tortoise@pond.example');
            """
        )


def senders(path: Path, **options: Any) -> set[str] | None:
    return {
        message.additional_kwargs["sender"]
        for session in IMessageChatLoader(path, **options)
        for message in session["messages"]
    }


def test_vcards_are_read_in_all_versions() -> None:
    assert [(card.name, card.addresses) for card in read_vcards(VCARDS)] == [
        ("Harriet Hare", ("+1 (555) 000-1111",)),
        ("Toni Schildkröte", ("Tortoise@Pond.example",)),
        ("Fox, Sons; Co", ("tel:+1-555-000-3333",)),
    ]


@pytest.mark.parametrize(
    "place",
    [
        "Library/Application Support/AddressBook/AddressBook-v22.abcddb",
        "Library/Application Support/AddressBook/Sources/A1/AddressBook-v22.abcddb",
        "Library/Messages/AddressBook-v22.abcddb",
        "Library/Messages/AddressBook/AddressBook-v22.abcddb",
    ],
)
def test_address_book_beside_the_database_names_senders(
    tmp_path: Path, place: str
) -> None:
    path = write_chats(tmp_path / "Library" / "Messages" / "chat.db")
    write_mac_book(tmp_path / place)
    assert senders(path) == {"Harriet Hare", "Toni"}


def test_address_book_of_a_phones_file_system_names_senders(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "Library" / "SMS" / "sms.db")
    write_phone_book(tmp_path / "Library" / "AddressBook" / "AddressBook.sqlitedb")
    assert senders(path) == {"Harriet Hare", "Toni"}


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("Harriet", "Hare", "Harry", "Meadow Ltd"), "Harriet Hare"),
        (("", "", "Harry", "Meadow Ltd"), "Harry"),
        ((None, None, None, "Meadow Ltd"), "Meadow Ltd"),
    ],
)
def test_card_of_a_mac_is_called_by_what_it_has(
    tmp_path: Path, names: tuple[str | None, ...], shown: str
) -> None:
    path = write_chats(tmp_path / "chat.db")
    book = tmp_path / "AddressBook-v22.abcddb"
    write_mac_book(book)
    with closing(sqlite3.connect(book, isolation_level=None)) as connection:
        connection.execute("DELETE FROM ZABCDRECORD")
        connection.execute("INSERT INTO ZABCDRECORD VALUES (2, ?, ?, ?, ?)", names)
    assert senders(path) == {HARE, shown}


@pytest.mark.parametrize("place", [f"31/{BOOK}", BOOK])
def test_address_book_of_a_backup_names_senders(tmp_path: Path, place: str) -> None:
    write_chats(tmp_path / "3d" / "3d0d7e5fb2ce288813306e4d4636395e047a3d28")
    (tmp_path / "Info.plist").write_bytes(b"")
    write_phone_book(tmp_path / place)
    assert senders(tmp_path) == {"Harriet Hare", "Toni"}


@pytest.mark.parametrize("entry", ["folder", "file"])
def test_address_book_can_be_given(tmp_path: Path, entry: str) -> None:
    path = write_chats(tmp_path / "chat.db")
    book = tmp_path / "book" / "AddressBook-v22.abcddb"
    write_mac_book(book)
    contacts = book if entry == "file" else str(book.parent)
    assert senders(path, contacts=contacts) == {"Harriet Hare", "Toni"}


def test_damaged_address_book_beside_the_database_is_a_warning(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "chat.db")
    (tmp_path / "AddressBook-v22.abcddb").write_bytes(b"SQLite format 3\0" + b"\1" * 84)
    with pytest.warns(UserWarning, match=r"AddressBook-v22\.abcddb.*vCard") as caught:
        assert senders(path) == {HARE, TORTOISE}
    assert "Messages" not in str(caught[0].message)


def test_given_file_without_contacts_is_an_error(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "chat.db")
    (tmp_path / "notes.txt").write_text("no contacts")
    with pytest.raises(ExportFormatError, match=r"notes\.txt"):
        senders(path, contacts=tmp_path / "notes.txt")


def test_a_vcard_file_too_large_to_be_one_is_not_read(tmp_path: Path) -> None:
    path = write_chats(tmp_path / "chat.db")
    contacts = tmp_path / "people.vcf"
    contacts.write_bytes(VCARDS.encode())
    os.truncate(contacts, 2**36)
    with pytest.raises(ExportFormatError, match="holds no contacts"):
        senders(path, contacts=contacts)


def names(*cards: Any) -> Contacts:
    return Contacts(Card(name, tuple(addresses)) for name, *addresses in cards)


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
def test_address_is_found_however_it_is_written(written: str, handle: str) -> None:
    assert names(("Hare", written)).name_of(handle) == "Hare"


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
    assert names(("Hare", written)).name_of(handle) is None


def test_all_digits_win_over_the_last_ten() -> None:
    contacts = names(("Hare", "+445550001111"), ("Fox", "+15550001111"))
    assert contacts.name_of("+15550001111") == "Fox"


def test_last_ten_digits_of_two_people_name_nobody() -> None:
    contacts = names(("Hare", "+445550001111"), ("Fox", "+15550001111"))
    assert contacts.name_of("5550001111") is None


def test_more_complete_name_wins() -> None:
    contacts = names(("Hare", "+15550001111"), ("Harriet Hare", "+15550001111"))
    assert contacts.name_of("+15550001111") == "Harriet Hare"


def test_cards_of_one_person_in_two_accounts_are_one() -> None:
    contacts = names(
        ("Hare", "+15550001111", "hare@x.example"),
        ("Harriet Hare", "+15550001111", "hare@y.example"),
    )
    assert contacts.person_of("hare@x.example") == contacts.person_of("hare@y.example")
    assert contacts.name_of("hare@x.example") == "Harriet Hare"


def test_people_of_one_household_stay_apart() -> None:
    contacts = names(
        ("Mother Hare", "+15550001111", "mother@x.example"),
        ("Father Fox", "+15550001111", "father@x.example"),
    )
    assert contacts.person_of("mother@x.example") != contacts.person_of(
        "father@x.example"
    )
    assert contacts.person_of("+15550001111") is None


def test_namesakes_stay_apart() -> None:
    contacts = names(("Hare", "+15550001111"), ("Hare", "+15550002222"))
    assert contacts.person_of("+15550001111") != contacts.person_of("+15550002222")


def test_one_name_in_a_mapping_is_one_person() -> None:
    names = {"+15550001111": "Hare", "hare@x.example": "Hare"}
    contacts = find_contacts(names, Path("chat.db"))
    assert contacts.person_of("+15550001111") == contacts.person_of("hare@x.example")


def test_many_people_with_one_number_are_indexed_in_time() -> None:
    cards = [Card(f"Hare {number}", ("+15550000001",)) for number in range(5_000)]
    before = process_time()
    contacts = Contacts(cards)
    assert process_time() - before < 1
    assert contacts.person_of("+15550000001") is None

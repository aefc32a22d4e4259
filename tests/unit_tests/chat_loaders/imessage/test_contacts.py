"""Who an address belongs to; rather nobody than somebody else."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.chat_loaders.imessage.contacts import (
    Card,
    Contacts,
    cards_of_mapping,
)

if TYPE_CHECKING:
    from typing import Any


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


def test_last_ten_digits_on_two_cards_of_one_person_name_that_person() -> None:
    contacts = names(
        ("Hare", "+445550001111", "hare@x.example"),
        ("Hare", "+15550001111", "hare@x.example"),
    )
    assert contacts.name_of("5550001111") == "Hare"


def test_more_complete_name_wins() -> None:
    contacts = names(("Hare", "+15550001111"), ("Harriet Hare", "+15550001111"))
    assert contacts.name_of("+15550001111") == "Harriet Hare"


def test_more_complete_name_of_two_people_wins() -> None:
    contacts = names(("Hare", "+15550001111"), ("Freddy Fox", "+15550001111"))
    assert contacts.name_of("+15550001111") == "Freddy Fox"


def test_cards_of_one_person_in_two_accounts_are_one() -> None:
    contacts = names(
        ("Hare", "+15550001111", "hare@x.example"),
        ("Harriet Hare", "+15550001111", "hare@y.example"),
    )
    assert contacts.card_of("hare@x.example") == contacts.card_of("hare@y.example")
    assert contacts.name_of("hare@x.example") == "Harriet Hare"


def test_people_of_one_household_stay_apart() -> None:
    contacts = names(
        ("Mother Hare", "+15550001111", "mother@x.example"),
        ("Father Fox", "+15550001111", "father@x.example"),
    )
    assert contacts.card_of("mother@x.example") != contacts.card_of("father@x.example")
    assert contacts.card_of("+15550001111") is None


def test_namesakes_stay_apart() -> None:
    contacts = names(("Hare", "+15550001111"), ("Hare", "+15550002222"))
    assert contacts.card_of("+15550001111") != contacts.card_of("+15550002222")


def test_one_name_in_a_mapping_is_one_person() -> None:
    contacts = Contacts(
        cards_of_mapping({"+15550001111": "Hare", "hare@x.example": "Hare"})
    )
    assert contacts.card_of("+15550001111") == contacts.card_of("hare@x.example")


def test_card_without_a_name_names_nobody() -> None:
    assert names((" ", "+15550001111")).name_of("+15550001111") is None


def test_many_people_with_one_number_are_indexed_in_time() -> None:
    cards = [Card(f"Hare {number}", ("+15550000001",)) for number in range(20_000)]
    before = process_time()
    contacts = Contacts(cards)
    assert process_time() - before < 3
    assert contacts.card_of("+15550000001") is None


def test_one_person_with_many_cards_is_one_person() -> None:
    cards = [Card("Harriet Hare", ("+15550000001",)) for _ in range(1000)]
    assert Contacts(cards).card_of("+15550000001") is not None

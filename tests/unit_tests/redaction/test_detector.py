import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.redaction.detector import find_private_data
from langchain_chatexports.redaction.phones import find_home_regions
from langchain_chatexports.redaction.spans import merge_spans


def _found(text: str, home: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    spans = merge_spans(find_private_data(text, home))
    return [(text[span.start : span.end], span.kind) for span in spans]


@pytest.mark.parametrize(
    ("text", "private", "kind"),
    [
        ("call +49 171 2345678 ok", "+49 171 2345678", "phone"),
        ("(212) 555-1234", "(212) 555-1234", "phone"),
        ("ring 212.555.1234!", "212.555.1234", "phone"),
        ("in 2019 612 345 678", "612 345 678", "phone"),
        ("number: 41234567", "41234567", "phone"),
        ("06 12 34 56 78 stp", "06 12 34 56 78", "phone"),
        ("ruf 030/1234567 an", "030/1234567", "phone"),
        ("llama al 612 345 678", "612 345 678", "phone"),
        ("text 555-1234, please", "555-1234", "phone"),
        ("mail Ann.Lee+x@example.org.", "Ann.Lee+x@example.org", "email"),
        ("card 4111 1111 1111 1111", "4111 1111 1111 1111", "card"),
        ("card 4111-1111-1111-1111", "4111-1111-1111-1111", "card"),
        ("amex 378282246310005", "378282246310005", "card"),
        ("DE89 3704 0044 0532 0130 00 ok", "DE89 3704 0044 0532 0130 00", "account"),
        ("gb29nwbk60161331926819", "gb29nwbk60161331926819", "account"),
        ("no93-8601-1117-947 thanks", "no93-8601-1117-947", "account"),
        ("CPF 529.982.247-25", "529.982.247-25", "account"),
        ("hetu 131052-308T", "131052-308T", "account"),
        ("my account is 12345678", "12345678", "account"),
        ("Kontonummer: 1234567890", "1234567890", "account"),
        ("sort code 12-34-56", "12-34-56", "account"),
        ("your code is 482 913", "482 913", "code"),
        ("482913 is your verification code", "482913", "code"),
        ("G-482913", "G-482913", "code"),
        ("die TAN ist 4829", "4829", "code"),
        ("code: 48 29 13", "48 29 13", "code"),
        ("Dein Bestätigungscode: 482913", "482913", "code"),
        ("wifi password: hunter2!", "hunter2", "password"),
        ("my password is Sw0rdfish.", "Sw0rdfish", "password"),
        ("the password is swordfish", "swordfish", "password"),
        ("pw hunter2", "hunter2", "password"),
        ('password = "correct horse"', "correct horse", "password"),
        ("Passwort vom WLAN: igel", "igel", "password"),
        ("12 Oak Street", "12 Oak Street", "address"),
        ("Lindenstraße 12, 10115 Berlin", "Lindenstraße 12, 10115 Berlin", "address"),
        ("Karl-Marx-Allee 5", "Karl-Marx-Allee 5", "address"),
        ("calle de Alcalá 45, 3º B", "calle de Alcalá 45, 3º B", "address"),
        ("12 rue de la Paix, 75002 Paris", "12 rue de la Paix, 75002 Paris", "address"),
        ("https://example.com/r?token=abc.", "https://example.com/r?token=abc", "link"),
        ("https://a:b@example.com/x", "https://a:b@example.com/x", "link"),
        ("https://chat.whatsapp.com/AbC", "https://chat.whatsapp.com/AbC", "link"),
    ],
)
def test_private_data_is_found(text: str, private: str, kind: str) -> None:
    assert _found(text) == [(private, kind)]


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("cvc 123", "123"),
        ("Prüfziffer ist 0456.", "0456"),
        ("security code: 123", "123"),
        ("my passport number is C01X00T47", "C01X00T47"),
        ("Reisepass: C01X00T47", "C01X00T47"),
        ("numéro de passeport 12AB34567", "12AB34567"),
        ("P.O. Box 1234", "P.O. Box 1234"),
        ("Postfach 12 34", "Postfach 12 34"),
        ("Ich wohne Im Grund 12", "Im Grund 12"),
        ("An der Alten Mühle 7, 12345 Berlin", "An der Alten Mühle 7, 12345 Berlin"),
        ("it's 15 Oak Hill", "15 Oak Hill"),
    ],
)
def test_other_forms_are_found(text: str, private: str) -> None:
    assert [found for found, _ in _found(text)] == [private]


@pytest.mark.parametrize(
    "text",
    [
        *("Am Gleis 3", "Im Mai 5 Leute", "Am Freitag 3 Bier", "Zum Geburtstag 50"),
        *("In der Klasse 5", "Im Kino 7", "Am Ende 3:1", "passport since 2027"),
        *("my passport expires in 10 years", "cvs 123", "Im Schnitt 3.5"),
    ],
)
def test_other_forms_are_not_mistaken(text: str) -> None:
    assert _found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "see you at 10:30, bring 2 bottles",
        "am 01.02.2024 um 18:30 Uhr",
        "2023-2024, 2024-05-01T12:30:00",
        "it cost 1,234,567.89 dollars",
        "order 1693182723",
        "version 2.14.3 of 192.168.0.1",
        "the zip code is 90210",
        "el código postal es 28008",
        "the code doesn't compile",
        "the password is wrong",
        "das Passwort ist falsch!",
        "bin weg 5 Minuten",
        "Parkplatz 12 ist frei",
        "https://example.com/blog/2024/05/how-to-win-a-race",
        "4111 1111 1111 1112 is no card",
        "DE89370400440532013001",
        "DE8937040044",
        "CPF 529.982.247-26",
        "0000 0000 0000 0000",
        "2019 2024, 20 30 40 50 push-ups",
        "9 876 543 210 people",
        "ref 41234567 and 20240501",
        "call on 20240501, the number of views is 1234567, the number 1 234 567",
        "room 4021, 45 points in 12 games",
        "",
    ],
)
def test_harmless_texts_are_not_changed(text: str) -> None:
    assert _found(text) == []


@given(st.text(st.sampled_from("0123456789 -+()./:@abzAZß,\n"), max_size=80))
def test_spans_are_inside_the_text(text: str) -> None:
    for span in merge_spans(find_private_data(text)):
        assert 0 <= span.start < span.end <= len(text)


def test_numbers_of_home_regions_need_no_groups() -> None:
    home = find_home_regions(["+47 412 34 567", "+49 171 2345678", "+1", "Ann"])
    assert home == ("NO",)
    assert _found("du, 41234567", home) == [("41234567", "phone")]
    assert _found("du, 41234567") == []
    assert _found("2019 2020, 20240501, 52.520008", ("DK", "NO")) == []


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005"])
def test_card_with_a_wrong_digit_is_not_found(number: str) -> None:
    assert _found(number) == [(number, "card")]
    for index, digit in enumerate(number):
        wrong = f"{number[:index]}{(int(digit) + 1) % 10}{number[index + 1 :]}"
        assert (wrong, "card") not in _found(wrong)

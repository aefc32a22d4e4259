"""Find private numbers, addresses and secrets with the patterns, in four languages."""

import re
from collections.abc import Iterable, Iterator
from importlib import import_module

from langchain_chatexports.redaction import patterns as p
from langchain_chatexports.redaction.normalization import comparable_form
from langchain_chatexports.redaction.phones import find_phones
from langchain_chatexports.redaction.spans import Span, without_spans

_ADDRESSES = [(hints.split(), pattern) for hints, pattern in p.ADDRESSES.items()]
_MIN_PHONE_DIGITS = 7
_MIN_ID_DIGITS = 7
_ENDS_OF_IBAN = re.compile(r"(?<=.{14})[A-Z\d](?![A-Z\d])", re.IGNORECASE)
_MIN_CARD_DIGITS = 13
_MIN_CODE_DIGITS = 4


def find_patterns(text: str, home: tuple[str, ...] = ()) -> list[Span]:
    """Find private numbers, addresses and secrets in a text; spans may overlap.

    National telephone numbers of the regions of `home` count however they are written.
    """
    form = comparable_form(text)
    if form is None:
        return list(_found(text, home))
    return form.as_written(_found(form.text, home))


def _found(text: str, home: tuple[str, ...]) -> Iterator[Span]:
    lowered = text.lower()
    if _has_any(p.PASSWORD_HINTS, lowered):
        yield from _passwords(text)
    if "://" in text or "www." in lowered:
        yield from _links(text)
    if "/" in text:
        yield from _pages(text)
    if "@" in text or "[at" in lowered or "(at" in lowered:
        yield from _all(p.EMAIL, text, "email")
    if p.DIGIT.search(text) is None:
        return
    yield from _numbers(text, lowered, home)
    # Keys are long and have digits.
    if p.LONG_TOKEN.search(text) is not None or "PRIVATE KEY" in text:
        yield from _all(p.SECRETS, text, "secret")
        yield from _all(p.WALLET, text, "account")
    for hints, pattern in _ADDRESSES:
        if not hints or _has_any(hints, lowered):
            yield from _all(pattern, text, "address")


def _has_any(hints: Iterable[str], lowered: str) -> bool:
    for hint in hints:  # noqa: SIM110 - `any` takes three times as long
        if hint in lowered:
            return True
    return False


def _numbers(text: str, lowered: str, home: tuple[str, ...]) -> Iterator[Span]:
    digits = len(p.DIGIT.findall(text))
    checked: list[Span] = []
    if digits >= _MIN_CARD_DIGITS:
        checked += _cards(text)
        checked += _ibans(text)
    if digits >= _MIN_ID_DIGITS:
        checked += _national_ids(text)
    yield from checked
    if digits >= _MIN_PHONE_DIGITS:
        yield from find_phones(without_spans(text, checked), home)
    if digits < _MIN_CODE_DIGITS:
        return
    yield from _all(p.ACCOUNT, text, "account")
    for pattern in p.CODES if _has_any(p.CODE_HINTS, lowered) else ():
        yield from _all(pattern, text, "code")
    yield from _all(p.LETTER_CODE, text, "code")


def _cards(text: str) -> Iterator[Span]:
    from stdnum import luhn

    for span in _all(p.CARD, text, "card"):
        digits = "".join(p.DIGIT.findall(text[span.start : span.end]))
        if len(set(digits)) > 1 and luhn.is_valid(digits):
            yield span


def _ibans(text: str) -> Iterator[Span]:
    from stdnum import iban

    for match in p.IBAN.finditer(text):
        # Words may follow, which look like groups of it.
        for group in _ENDS_OF_IBAN.finditer(match[0]):
            # The checks of single countries refuse accounts that exist.
            if iban.is_valid(match[0][: group.end()], check_country=False):
                yield Span(match.start(), match.start() + group.end(), "account")
                break


def _national_ids(text: str) -> Iterator[Span]:
    for match in p.NATIONAL_ID.finditer(text):
        names = p.NATIONAL_ID_CHECKS[(match.lastindex or 1) - 1]
        if any(import_module(f"stdnum.{n}").is_valid(match[0]) for n in names):
            yield Span(*match.span(), "account")


def _all(pattern: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    # The group is what is private; a pattern without one is private as a whole.
    for match in pattern.finditer(text):
        yield Span(*match.span(pattern.groups), kind)


def _links(text: str) -> Iterator[Span]:
    for match in p.LINK.finditer(text):
        link = match[0].rstrip(p.LINK_END)
        names = " ".join(p.PARAMETER.findall(link))
        if p.SECRET_PARAMETER.search(names) or p.SECRET_IN_LINK.search(link):
            yield Span(match.start(), match.start() + len(link), "link")


def _pages(text: str) -> Iterator[Span]:
    for match in p.PAGE_OF_PERSON.finditer(text):
        is_number = match[1].strip("+").isdigit() and len(match[1]) >= _MIN_PHONE_DIGITS
        is_phone = is_number and "wa.me" in match[0].lower()
        yield Span(*match.span(1), "phone" if is_phone else "handle")


def _passwords(text: str) -> Iterator[Span]:
    for match in p.BARE_PASSWORD.finditer(text):
        end = match.start("word") + len(match["word"].rstrip(p.QUOTES_AND_STOPS))
        yield Span(match.start("word"), end, "password")
    for match in p.PASSWORD.finditer(text):
        group = "quoted" if match["quoted"] else "word"
        start, end = match.span(group)
        end = start + len(match[group].rstrip(p.QUOTES_AND_STOPS))
        # Bounded: all of what follows would be read for each password.
        is_last = not text[end : end + 60].strip(f"{p.QUOTES_AND_STOPS} ")
        if group == "quoted" or _looks_chosen(match["sign"], text[start:end], is_last):
            yield Span(start, end, "password")


def _looks_chosen(sign: str, word: str, is_last: bool) -> bool:
    if ":" in sign or "=" in sign:
        return bool(word)
    if word.isalpha() and (word.islower() or word.istitle()):
        # "the password is wrong" gives none away, "the password is swordfish" does.
        return is_last and word.casefold() not in p.NOT_PASSWORDS
    return True

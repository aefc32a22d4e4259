"""Find private numbers, addresses and secrets with the patterns, in four languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.redaction.check_digits import has_luhn_digit, iban_length
from langchain_chatexports.redaction.normalization import as_written, compared
from langchain_chatexports.redaction.patterns import (
    ACCOUNT,
    ACCOUNT_HINTS,
    ADDRESSES,
    CARD,
    CODE_HINTS,
    CODES,
    DIGIT,
    EMAIL,
    IBAN,
    LABELED_PHONE,
    LETTER_CODE,
    LINK,
    LINK_END,
    LONG_TOKEN,
    NO_PHONE_BEFORE,
    OTHER_CODE_HINTS,
    OTHER_PASSWORD_HINTS,
    OTHER_PHONE_HINTS,
    PAGE_HINTS,
    PAGE_OF_PERSON,
    PASSWORD,
    PASSWORD_HINTS,
    PHONE_HINTS,
    PHONES,
    QUOTES_AND_STOPS,
    SAID_OF_PASSWORDS,
    SECRET_IN_LINK,
    SECRETS,
    WALLET,
)
from langchain_chatexports.redaction.spans import Span

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

__all__ = ["find_patterns"]

_MIN_PHONE_DIGITS = 7
_MIN_CARD_DIGITS = 13
_MIN_CODE_DIGITS = 4
_NEARBY = 32


def find_patterns(text: str) -> list[Span]:
    """Find private numbers, addresses and secrets in a text.

    Args:
        text: The text; names are the gazetteer's.

    Returns:
        Spans in any order, which may overlap.
    """
    if text.isascii():  # Most are, and need no other form.
        return _found(text)
    text, form = compared(text)
    return as_written(_found(text), form)


def _found(text: str) -> list[Span]:
    spans: list[Span] = []
    lowered = text.lower()
    if _has_any(PASSWORD_HINTS, lowered) or _has_other(OTHER_PASSWORD_HINTS, lowered):
        spans += _passwords(text)
    if "://" in text or "www." in lowered:
        spans += _links(text)
    if "/" in text and _has_any(PAGE_HINTS, lowered):
        spans += _pages(text)
    if "@" in text or "[at" in lowered or "(at" in lowered:
        spans += _all(EMAIL, text, "email")
    if DIGIT.search(text) is not None:
        spans += _numbers(text, lowered)
        # Keys are long and have digits.
        if LONG_TOKEN.search(text) is not None or "PRIVATE KEY" in text:
            spans += _all(SECRETS, text, "secret")
            spans += _all(WALLET, text, "account")
        for hints, pattern in ADDRESSES:
            if not hints or _has_any(hints, lowered):
                spans += _all(pattern, text, "address")
    return spans


def _has_other(hints: tuple[str, ...], lowered: str) -> bool:
    """Return whether a text has one of the hints that are not ASCII."""
    return not lowered.isascii() and _has_any(hints, lowered)


def _has_any(hints: tuple[str, ...], lowered: str) -> bool:
    for hint in hints:  # noqa: SIM110 - `any` takes thrice as long
        if hint in lowered:
            return True
    return False


def _numbers(text: str, lowered: str) -> Iterator[Span]:
    digits = len(DIGIT.findall(text))
    cards = []
    if digits >= _MIN_CARD_DIGITS:
        cards = [span for span in _all(CARD, text, "card") if _is_card(text, span)]
        yield from cards
        for match in IBAN.finditer(text):
            length = iban_length(text[match.start() : match.start() + 60])
            if length is not None:
                yield Span(match.start(), match.start() + length, "account")
    if digits >= _MIN_PHONE_DIGITS:
        yield from _phones(text, lowered, cards)
    if digits < _MIN_CODE_DIGITS:
        return
    if _has_any(ACCOUNT_HINTS, lowered):
        yield from _last_groups(ACCOUNT, text, "account")
    if _has_any(CODE_HINTS, lowered) or _has_other(OTHER_CODE_HINTS, lowered):
        for pattern in CODES:
            yield from _last_groups(pattern, text, "code")
    yield from _all(LETTER_CODE, text, "code")


def _phones(text: str, lowered: str, cards: list[Span]) -> Iterator[Span]:
    patterns = PHONES
    if _has_any(PHONE_HINTS, lowered) or _has_other(OTHER_PHONE_HINTS, lowered):
        patterns = (*PHONES, LABELED_PHONE)
    for pattern in patterns:
        for span in _last_groups(pattern, text, "phone"):
            if _is_apart(span, cards) and _may_be_phone(text, span):
                yield span


def _is_card(text: str, span: Span) -> bool:
    return has_luhn_digit("".join(DIGIT.findall(text[span.start : span.end])))


def _may_be_phone(text: str, span: Span) -> bool:
    if text[span.start] in "+(":
        return True
    before = text[max(0, span.start - _NEARBY) : span.start]
    return NO_PHONE_BEFORE.search(before) is None


def _last_groups(pattern: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    # The group is what is private; a pattern without one is private as a whole.
    for match in pattern.finditer(text):
        yield Span(*match.span(pattern.groups), kind)


def _all(pattern: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(*match.span(), kind)


def _is_apart(span: Span, others: list[Span]) -> bool:
    return all(span.end <= other.start or other.end <= span.start for other in others)


def _links(text: str) -> Iterator[Span]:
    for match in LINK.finditer(text):
        link = match[0].rstrip(LINK_END)
        if SECRET_IN_LINK.search(link):
            yield Span(match.start(), match.start() + len(link), "link")


def _pages(text: str) -> Iterator[Span]:
    for match in PAGE_OF_PERSON.finditer(text):
        is_number = match[1].strip("+").isdigit() and len(match[1]) >= _MIN_PHONE_DIGITS
        is_phone = is_number and "wa.me" in match[0].lower()
        yield Span(*match.span(1), "phone" if is_phone else "handle")


def _passwords(text: str) -> Iterator[Span]:
    for match in PASSWORD.finditer(text):
        group = "quoted" if match["quoted"] else "word"
        start, end = match.span(group)
        end = start + len(match[group].rstrip(QUOTES_AND_STOPS))
        is_last = not text[end:].strip(f"{QUOTES_AND_STOPS} ")
        if group == "quoted" or _looks_chosen(match["sign"], text[start:end], is_last):
            yield Span(start, end, "password")


def _looks_chosen(sign: str, word: str, is_last: bool) -> bool:
    if ":" in sign or "=" in sign:
        return bool(word)
    if word.isalpha() and (word.islower() or word.istitle()):
        # "the password is wrong" gives none away, "the password is swordfish" does.
        return is_last and word.casefold() not in SAID_OF_PASSWORDS
    return True

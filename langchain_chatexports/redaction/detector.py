"""Find private numbers, addresses and secrets with patterns, in four languages."""

from collections.abc import Iterator
from importlib import import_module

from langchain_chatexports.redaction import patterns as p
from langchain_chatexports.redaction.normalization import comparable
from langchain_chatexports.redaction.phones import find_phones
from langchain_chatexports.redaction.spans import Span, without_spans
from langchain_chatexports.redaction.words import NOT_PASSWORDS

_MIN_PHONE_DIGITS = 7


def find_patterns(text: str, home: tuple[str, ...] = ()) -> list[Span]:
    """Find private numbers, addresses and secrets in a text; spans may overlap.

    In the regions of `home`, national telephone numbers may have any form.
    """
    form = comparable(text)
    return form.as_written(_found(form.text, home))


def _found(text: str, home: tuple[str, ...]) -> Iterator[Span]:
    lowered = text.lower()
    digits = len(p.DIGIT.findall(text))
    for rule in p.RULES:
        if digits >= rule.min_digits and _has_any(rule.hints, lowered):
            for match in rule.pattern.finditer(text):
                yield Span(*match.span(rule.pattern.groups), rule.kind)
    if _has_any(p.PASSWORD_HINTS, lowered):
        yield from _passwords(text)
    if "/" in text or "www." in lowered:
        yield from _links(text)
        yield from _pages(text)
    if digits >= _MIN_PHONE_DIGITS:
        checked = [*_cards(text), *_ibans(text), *_national_ids(text)]
        yield from checked
        yield from find_phones(without_spans(text, checked), home)


def _has_any(hints: tuple[str, ...], lowered: str) -> bool:
    for hint in hints:
        if hint in lowered:
            return True
    return not hints


def _cards(text: str) -> Iterator[Span]:
    from stdnum import luhn

    for match in p.CARD.finditer(text):
        digits = "".join(p.DIGIT.findall(match[0]))
        if len(set(digits)) > 1 and luhn.is_valid(digits):
            yield Span(*match.span(), "card")


def _ibans(text: str) -> Iterator[Span]:
    from stdnum import iban

    for match in p.IBAN.finditer(text):
        # The words that follow may look like groups of it.
        for group in p.IBAN_END.finditer(match[0]):
            # The checks of some countries refuse valid accounts.
            if iban.is_valid(match[0][: group.end()], check_country=False):
                yield Span(match.start(), match.start() + group.end(), "account")
                break


def _national_ids(text: str) -> Iterator[Span]:
    for match in p.NATIONAL_ID.finditer(text):
        names = p.NATIONAL_ID_CHECKS[(match.lastindex or 1) - 1]
        if any(import_module(f"stdnum.{n}").is_valid(match[0]) for n in names):
            yield Span(*match.span(), "account")


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
    for match in (*p.BARE_PASSWORD.finditer(text), *p.PASSWORD.finditer(text)):
        group = match.lastgroup or "word"
        start = match.start(group)
        end = start + len(match[group].rstrip(p.QUOTES_AND_STOPS))
        # Bounded, or the rest of the text would be read for each password.
        is_last = not text[end : end + 60].strip(f"{p.QUOTES_AND_STOPS} ")
        word = text[start:end]
        if group == "quoted" or _looks_chosen(match["sign"], word, is_last=is_last):
            yield Span(start, end, "password")


def _looks_chosen(sign: str, word: str, *, is_last: bool) -> bool:
    if ":" in sign or "=" in sign:
        return bool(word)
    if word.isalpha() and (word.islower() or word.istitle()):
        # "the password is swordfish", but not "the password is wrong".
        return is_last and word.casefold() not in NOT_PASSWORDS
    return True

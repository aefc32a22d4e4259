"""Find private numbers, addresses and secrets with patterns, in four languages."""

from collections.abc import Iterator
from importlib import import_module

from langchain_chatexports.redaction import patterns as p
from langchain_chatexports.redaction.normalization import normalize
from langchain_chatexports.redaction.phones import find_phone_numbers
from langchain_chatexports.redaction.spans import Span, mask_spans
from langchain_chatexports.redaction.words import NOT_PASSWORDS

_MIN_PHONE_DIGITS = 7


def find_private_data(text: str, home: tuple[str, ...] = ()) -> list[Span]:
    """Find private numbers, addresses and secrets in text; spans may overlap.

    For the regions in `home`, national phone numbers are found in any format.
    """
    normalized = normalize(text)
    return normalized.to_original(_find(normalized.text, home))


def _find(text: str, home: tuple[str, ...]) -> Iterator[Span]:
    lowered = text.lower()
    digits = len(p.DIGIT.findall(text))
    for rule in p.RULES:
        if digits >= rule.min_digits and _contains_any(rule.hints, lowered):
            for match in rule.pattern.finditer(text):
                yield Span(*match.span(rule.pattern.groups), rule.kind)
    if _contains_any(p.PASSWORD_HINTS, lowered):
        yield from _find_passwords(text)
    if "/" in text or "www." in lowered:
        yield from _find_links(text)
        yield from _find_profiles(text)
    if digits >= _MIN_PHONE_DIGITS:
        numbers = [*_find_cards(text), *_find_ibans(text), *_find_national_ids(text)]
        yield from numbers
        yield from find_phone_numbers(mask_spans(text, numbers), home)


def _contains_any(hints: tuple[str, ...], lowered: str) -> bool:
    for hint in hints:
        if hint in lowered:
            return True
    return not hints


def _find_cards(text: str) -> Iterator[Span]:
    from stdnum import luhn

    for match in p.CARD.finditer(text):
        digits = "".join(p.DIGIT.findall(match[0]))
        if len(set(digits)) > 1 and luhn.is_valid(digits):
            yield Span(*match.span(), "card")


def _find_ibans(text: str) -> Iterator[Span]:
    from stdnum import iban

    for match in p.IBAN.finditer(text):
        # Following words can look like part of the number.
        for group in p.IBAN_END.finditer(match[0]):
            # Some country-specific checks reject valid accounts.
            if iban.is_valid(match[0][: group.end()], check_country=False):
                yield Span(match.start(), match.start() + group.end(), "account")
                break


def _find_national_ids(text: str) -> Iterator[Span]:
    for match in p.NATIONAL_ID.finditer(text):
        modules = p.NATIONAL_ID_CHECKS[(match.lastindex or 1) - 1]
        if any(import_module(f"stdnum.{m}").is_valid(match[0]) for m in modules):
            yield Span(*match.span(), "account")


def _find_links(text: str) -> Iterator[Span]:
    for match in p.LINK.finditer(text):
        link = match[0].rstrip(p.LINK_END)
        names = " ".join(p.PARAMETER.findall(link))
        if p.SECRET_PARAMETER.search(names) or p.SECRET_IN_LINK.search(link):
            yield Span(match.start(), match.start() + len(link), "link")


def _find_profiles(text: str) -> Iterator[Span]:
    for match in p.PROFILE_PAGE.finditer(text):
        is_phone_number = (
            match[1].strip("+").isdigit() and len(match[1]) >= _MIN_PHONE_DIGITS
        )
        is_phone = is_phone_number and "wa.me" in match[0].lower()
        yield Span(*match.span(1), "phone" if is_phone else "handle")


def _find_passwords(text: str) -> Iterator[Span]:
    for match in (*p.BARE_PASSWORD.finditer(text), *p.PASSWORD.finditer(text)):
        group = match.lastgroup or "word"
        start = match.start(group)
        end = start + len(match[group].rstrip(p.QUOTES_AND_STOPS))
        # Limited, since scanning the rest of the text for each password is slow.
        is_last = not text[end : end + 60].strip(f"{p.QUOTES_AND_STOPS} ")
        word = text[start:end]
        if group == "quoted" or _is_password(match["sign"], word, is_last=is_last):
            yield Span(start, end, "password")


def _is_password(sign: str, word: str, *, is_last: bool) -> bool:
    if ":" in sign or "=" in sign:
        return bool(word)
    if word.isalpha() and (word.islower() or word.istitle()):
        # "the password is swordfish", but not "the password is wrong".
        return is_last and word.casefold() not in NOT_PASSWORDS
    return True

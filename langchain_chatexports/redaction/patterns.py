"""Find what is private by its form: numbers, addresses, secrets, in four languages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langchain_chatexports.redaction.checks import has_luhn_digit, iban_length
from langchain_chatexports.redaction.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_patterns"]

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")

_LINK = re.compile(r"(?:https?://|\bwww\.)[^\s<>\"'“”]+", re.IGNORECASE)
_LINK_END = ".,;:!?)]}*_"
_SECRET_IN_LINK = re.compile(
    # A user with a password, or a query or fragment that names a secret.
    r"^\w+://[^/?#\s]*:[^/?#\s]*@"
    r"|[?&#;][\w.-]*(?:token|key|sig|secret|passw|pwd|auth|session|sid\b|code|otp"
    r"|invite|access|credential|hash|ticket|nonce|usp|pin)[\w.-]*=[^&\s]"
    # Whoever has the link is let in.
    r"|^https?://(?:[\w-]+\.)*(?:chat\.whatsapp\.com|discord\.gg|zoom\.us/j|"
    r"meet\.google\.com|docs\.google\.com|drive\.google\.com|dropbox\.com/s|1drv\.ms|"
    r"icloud\.com|wetransfer\.com|we\.tl|t\.me/(?:joinchat/|\+))"
    # A long random part of the path.
    r"|/(?=[A-Za-z_]*\d)(?=[\d_]*[A-Za-z])[A-Za-z\d_]{20,}"
    r"|/[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}",
    re.IGNORECASE,
)

_CARD = re.compile(r"(?<![\w+.,-])[2-6](?:[ -]?\d){12,18}(?!\d)")

_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}[ -\u00a0]?[A-Z\d]{2}", re.IGNORECASE)
_ACCOUNT = re.compile(
    r"(?:\baccount|\bacct|\bsort code|\brouting|\bkonto\w*|\bblz\b|\bcuenta|\bcompte"
    r"|\brib\b|\biban\b)"
    r"[^\n\d+]{0,24}?(?<![\w+])(\d(?:[ -]?\d){4,19})(?![\w€$£%])",
    re.IGNORECASE,
)

_PHONES = (
    # With a country code.
    re.compile(
        r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}(?:[ .\-/()\u00a0]{0,3}\d){6,12}(?!\d)"
    ),
    # North America.
    re.compile(
        r"(?<![\w.,+-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
    ),
    re.compile(r"(?<![\w.,+-])[2-9]\d{2}[2-9]\d{6}(?![\w.,€$£%])"),
    # A leading zero (Germany, France, the United Kingdom, …): 9 to 12 digits.
    re.compile(
        r"(?<![\w.,:+/-])\(?0[1-9](?:\)?[ .\-/]{0,3}\(?\d){7,10}(?![\w:€$£%]|[.,]\d)"
    ),
    # Spain: nine digits in groups, or at once.
    re.compile(
        r"(?<![\w.,+-])[6789]\d{2}(?:(?:[ .-]?\d{3}){2}|(?:[ .-]\d{2}){3})"
        r"(?![\w€$£%]|[.,]\d| ?(?:eur|euros?|usd|dollars?)\b)"
    ),
)

_CODE_WORD = (
    r"(?<!zip )(?<!zip-)(?<!post)(?<!postal )(?<!error )(?<!promo )(?<!source )"
    r"(?:\b\w*codes?\b|\bpin\b|\botp\b|\btan\b|\bc[oó]digo\b|\bclave\b"
    r"|\bverification\b|\bv[eé]rification\b|\bconfirmation\b)"
)
_CODES = (
    re.compile(
        _CODE_WORD + r"[^\n\d.!?]{0,30}?(?<![\w.,+-])"
        r"((?:[A-Z]-)?\d{3}[ -]?\d{3}|\d{4,8})(?![\w€$£%:]|[.,-]\d)",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![\w.,+-])(\d{3}[ -]?\d{3}|\d{4,8})(?![\w.-]) (?:is|ist|es|est)"
        r"[^\n.!?]{1,24}?" + _CODE_WORD,
        re.IGNORECASE,
    ),
)
_LETTER_CODE = re.compile(r"(?<!\w)[A-Z]-\d{6}(?!\w)")

_PASSWORD = re.compile(
    r"(?:\bpass(?:word|wort|phrase|code|wd)?|\bpw|\bpwd|\bkennwort|\bcontrase[nñ]a"
    r"|\bclave|\bmot de passe|\bmdp|\b(?:wifi|wi-fi|wlan)[ -](?:key|schl[uü]ssel)"
    r"|passwort)"
    r"(?:[ \t](?:for|of|to|f[uü]r|vom|von|para|del|de|pour|du)\b[^\n:=.!?]{1,30}?)?"
    r"(?P<sign>[ \t]?[:=][ \t]?|[ \t](?:is|ist|lautet|es|est|now|jetzt|ahora)"
    r"(?:[ \t](?:now|still|jetzt|ahora|maintenant))?:?[ \t])"
    r"(?:[\"'“„«](?P<quoted>[^\"'”“»\n]{3,60})|(?P<word>[^\s\"'“„«]{4,60}))",
    re.IGNORECASE,
)
_QUOTES_AND_STOPS = ".,;:!?)\"'"

_CAPITAL = "A-ZÀ-ÖØ-Þ"
_NAME_OF_STREET = rf"[{_CAPITAL}][\w'\u2019.-]*"
_TOWN = rf"(?:,? (?:[A-Z]-)?\d{{5}} {_NAME_OF_STREET}(?: {_NAME_OF_STREET})?)?"
_ADDRESSES = (
    # English.
    re.compile(
        rf"(?<![\w.,:/-])\d{{1,5}}[a-zA-Z]?,? (?:{_NAME_OF_STREET} ){{1,3}}"
        r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way"
        r"|Place|Pl|Square|Sq|Terrace|Close|Crescent|Row|Gardens|Grove|Mews|Parkway"
        r"|Highway|Hwy)\b\.?(?:,? (?:Apt|Apartment|Flat|Unit|Suite|#)\.? ?\w+)?"
        r"(?:,? [A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
        r"|, [A-Z]\w+(?: [A-Z]\w+)?(?:,? [A-Z]{2})?(?: \d{5}\b)?)?"
    ),
    re.compile(
        r"(?<![\w.,:/-])\d{1,5}[a-z]? (?:[a-z]{3,} ){1,2}(?:street|avenue|road|lane)\b"
    ),
    # German.
    re.compile(
        rf"(?<![\w.])(?:{_NAME_OF_STREET}[ -]){{0,2}}"
        r"(?:[\w-]{3,}(?:stra(?:ß|ss)e|str\.)|"
        rf"[{_CAPITAL}][\wäöüß-]{{2,}}(?<!Park)(?<!Sitz)(?<!Steh)(?<!Stell)(?<!Start)"
        r"(?<!Arbeits)(?<!Arbeit)(?<!Um)(?<!Heim)(?<!Rück)"
        r"(?:weg|platz|allee|gasse|ring|damm|ufer|chaussee)|"
        rf"(?<=[\wäöüß-] )(?:Stra(?:ß|ss)e|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer|Markt))"
        rf" ?\d{{1,4}} ?(?:[a-h]\b)?(?![\d%€])(?! ?(?:Uhr|Minuten|min|km)\b){_TOWN}"
    ),
    # Spanish.
    re.compile(
        r"(?<!\w)(?i:calle|c/|avda?\.?|avenida|plaza|pza\.?|paseo|carrer|camino|ronda"
        r"|traves[ií]a) ?(?:(?:de|del|la|las|los|el) ){0,2}"
        rf"{_NAME_OF_STREET}(?: (?:(?:de|del|la|las|los|y) ){{0,2}}{_NAME_OF_STREET})"
        rf"{{0,3}},? ?(?:n[º°o]\.? ?)?\d{{1,4}}(?:,? \d{{1,2}} ?[ºª°](?: ?[A-Z]\b)?)?"
        rf"{_TOWN}"
    ),
    # French.
    re.compile(
        r"(?<![\w.,:/-])\d{1,4}(?: ?(?:bis|ter))?,? "
        r"(?i:rue|avenue|av\.|boulevard|bd|place|chemin|all[ée]e|impasse|quai|cours"
        r"|route) (?:(?:de|du|des|la|le|les) |[ldLD]['\u2019]){0,3}"
        rf"[\w'\u2019-]{{3,}}(?:[ -](?:(?:de|du|des|la) )?{_NAME_OF_STREET}){{0,3}}"
        rf"{_TOWN}"
    ),
)
_DIGIT = re.compile(r"\d")

# Most texts hold nothing that a pattern could be about: these tell it at a glance.
_PASSWORD_HINTS = ("pass", "pw", "kennwort", "contrase", "clave", "mdp", "key", "schl")
_CODE_HINTS = ("code", "pin", "otp", "tan", "digo", "clave", "rification", "firmation")
_ACCOUNT_HINTS = ("acc", "sort", "routing", "konto", "blz", "cuenta", "compte", "rib")
_ADDRESS_HINTS = (
    (),
    ("street", "avenue", "road", "lane"),
    (
        *("str", "weg", "platz", "allee", "gasse", "ring", "damm", "ufer", "chaussee"),
        "markt",
    ),
    (
        *("calle", "c/", "avd", "aven", "plaza", "pza", "paseo", "carrer", "camino"),
        *("ronda", "traves"),
    ),
    (
        *("rue", "aven", "av.", "boul", "bd", "place", "chemin", "all", "impasse"),
        *("quai", "cours", "route"),
    ),
)
_LEAST_PHONE_DIGITS = 7
_LEAST_CARD_DIGITS = 13
_LEAST_CODE_DIGITS = 4


def find_patterns(text: str) -> list[Span]:
    """Find private numbers, addresses and secrets in a text.

    Args:
        text: The text; names are the gazetteer's.

    Returns:
        Spans in any order, which may overlap.
    """
    spans: list[Span] = []
    lowered = text.lower()
    if _has_any(_PASSWORD_HINTS, lowered):
        spans += _passwords(text)
    if "://" in text or "www." in lowered:
        spans += _links(text)
    if "@" in text:
        spans += _all(_EMAIL, text, "email")
    if _DIGIT.search(text) is not None:
        spans += _numbers(text, lowered)
        for hints, pattern in zip(_ADDRESS_HINTS, _ADDRESSES, strict=True):
            if not hints or _has_any(hints, lowered):
                spans += _all(pattern, text, "address")
    return spans


def _has_any(hints: tuple[str, ...], lowered: str) -> bool:
    return any(hint in lowered for hint in hints)


def _numbers(text: str, lowered: str) -> Iterator[Span]:
    digits = len(_DIGIT.findall(text))
    cards = []
    if digits >= _LEAST_CARD_DIGITS:
        cards = [span for span in _all(_CARD, text, "card") if _is_card(text, span)]
        yield from cards
        for match in _IBAN.finditer(text):
            length = iban_length(text[match.start() : match.start() + 60])
            if length is not None:
                yield Span(match.start(), match.start() + length, "account")
    if digits >= _LEAST_PHONE_DIGITS:
        for pattern in _PHONES:
            phones = _all(pattern, text, "phone")
            yield from (span for span in phones if _is_apart(span, cards))
    if digits < _LEAST_CODE_DIGITS:
        return
    if _has_any(_ACCOUNT_HINTS, lowered):
        yield from _first_groups(_ACCOUNT, text, "account")
    if _has_any(_CODE_HINTS, lowered):
        for pattern in _CODES:
            yield from _first_groups(pattern, text, "code")
    yield from _all(_LETTER_CODE, text, "code")


def _is_card(text: str, span: Span) -> bool:
    return has_luhn_digit("".join(_DIGIT.findall(text[span.start : span.end])))


def _first_groups(pattern: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(*match.span(1), kind)


def _all(pattern: re.Pattern[str], text: str, kind: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(*match.span(), kind)


def _is_apart(span: Span, others: list[Span]) -> bool:
    return all(span.end <= other.start or other.end <= span.start for other in others)


def _links(text: str) -> Iterator[Span]:
    for match in _LINK.finditer(text):
        link = match[0].rstrip(_LINK_END)
        if _SECRET_IN_LINK.search(link):
            yield Span(match.start(), match.start() + len(link), "link")


def _passwords(text: str) -> Iterator[Span]:
    for match in _PASSWORD.finditer(text):
        group = "quoted" if match["quoted"] else "word"
        start, end = match.span(group)
        end = start + len(match[group].rstrip(_QUOTES_AND_STOPS))
        if group == "quoted" or _looks_chosen(match["sign"], text[start:end]):
            yield Span(start, end, "password")


def _looks_chosen(sign: str, word: str) -> bool:
    # "the password is wrong" gives none away, "password: wrong" might.
    if ":" in sign or "=" in sign:
        return bool(word)
    return not word.isalpha() or not (word.islower() or word.istitle())

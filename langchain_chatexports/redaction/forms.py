"""The forms of what is private: numbers, links, secrets, addresses."""

from __future__ import annotations

import re

__all__ = [
    "ACCOUNT",
    "ACCOUNT_HINTS",
    "ADDRESSES",
    "CARD",
    "CODES",
    "CODE_HINTS",
    "DIGIT",
    "EMAIL",
    "IBAN",
    "LETTER_CODE",
    "LINK",
    "LINK_END",
    "PASSWORD",
    "PASSWORD_HINTS",
    "PHONES",
    "QUOTES_AND_STOPS",
    "SAID_OF_PASSWORDS",
    "SECRET_IN_LINK",
]

DIGIT = re.compile(r"\d")

EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")

LINK = re.compile(r"(?:https?://|\bwww\.)[^\s<>\"'“”]+", re.IGNORECASE)
LINK_END = ".,;:!?)]}*_"
SECRET_IN_LINK = re.compile(
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

CARD = re.compile(r"(?<![\w+.,-])[2-6](?:[ -]?\d){12,18}(?!\d)")

IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}[ -\u00a0]?[A-Z\d]{2}", re.IGNORECASE)
ACCOUNT = re.compile(
    r"(?:\baccount|\bacct|\bsort code|\brouting|\bkonto\w*|\bblz\b|\bcuenta|\bcompte"
    r"|\brib\b|\biban\b)"
    r"[^\n\d+]{0,24}?(?<![\w+])(\d(?:[ -]?\d){4,19})(?![\w€$£%])",
    re.IGNORECASE,
)

PHONES = (
    # With a country code.
    re.compile(
        r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}(?:[ .\-/()\u00a0]{0,3}\d){6,12}(?!\d)"
    ),
    # North America.
    re.compile(
        r"(?<![\w.,+-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
    ),
    re.compile(r"(?<![\w.,+-])[2-9]\d{2}[2-9]\d{6}(?![\w€$£%]|[.,]\d)"),
    # A leading zero (Germany, France, the United Kingdom, …): 9 to 12 digits.
    re.compile(
        r"(?<![\w.,:+/-])\(?0[1-9](?:\)?[ .\-/]{0,3}\(?\d){7,10}(?![\w:€$£%]|[.,]\d)"
    ),
    # A local one, where the words say so.
    re.compile(
        r"(?i:\b(?:number|call|text|phone|cell|ring|tel)\b)[^\n\d]{0,24}?"
        r"(?<![\w.,+-])([2-9]\d{2}-\d{4})(?![\w-])"
    ),
    # Spain: nine digits in groups, or at once.
    re.compile(
        r"(?<![\w.,+-])[6789]\d{2}(?:(?:[ .-]?\d{3}){2}|(?:[ .-]\d{2}){3})"
        r"(?![\w€$£%]|[.,]\d| ?(?:eur|euros?|usd|dollars?)\b)"
    ),
    re.compile(r"(?<![\w.,+-])[89]\d[ .-]\d{3}(?:[ .-]\d{2}){2}(?![\w€$£%]|[.,]\d)"),
)

_CODE_WORD = (
    r"(?<!zip )(?<!zip-)(?<!post)(?<!postal )(?<!error )(?<!promo )(?<!source )"
    r"(?:\b\w*codes?\b(?! postal)|\bc[oó]digo\b(?! postal)|\bclave\b|\bpin\b"
    r"|\botp\b|\btan\b|\bverification\b|\bv[eé]rification\b|\bconfirmation\b)"
)
CODES = (
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
LETTER_CODE = re.compile(r"(?<!\w)[A-Z]-\d{6}(?!\w)")

PASSWORD = re.compile(
    r"(?:\bpass(?:word|wort|phrase|code|wd)?|\bpw|\bpwd|\bkennwort|\bcontrase[nñ]a"
    r"|\bclave|\bmot de passe|\bmdp|\b(?:wifi|wi-fi|wlan)[ -](?:key|schl[uü]ssel)"
    r"|passwort)"
    r"(?:[ \t](?:for|of|to|f[uü]r|vom|von|para|del|de|pour|du)\b[^\n:=.!?]{1,30}?)?"
    r"(?P<sign>(?:[ \t][\w-]{1,15}){0,2}[ \t]?[:=][ \t]?"
    r"|[ \t](?:is|ist|lautet|es|est|now|jetzt|ahora)"
    r"(?:[ \t](?:now|still|jetzt|ahora|maintenant))?:?[ \t])"
    r"(?:[\"'“„«](?P<quoted>[^\"'”“»\n]{3,60})|(?P<word>[^\s\"'“„«]{4,60}))",
    re.IGNORECASE,
)
_SAID_OF_PASSWORDS = """
wrong right correct incorrect invalid expired required missing weak strong secure
safe secret hidden here there fine good okay long short easy hard new changed saved
stored same different enough below above attached needed coming
falsch richtig korrekt ungültig abgelaufen nötig geheim sicher unsicher schwach
stark kurz lang einfach geändert gespeichert gleich anders hier dort unten
incorrecta correcta inválida caducada nueva falsa débil segura secreta larga corta
fácil difícil mismo misma distinta aquí
incorrect faux bonne mauvais mauvaise expiré nouveau faible simple requis secret
pareil différent obligatoire
"""
SAID_OF_PASSWORDS = frozenset(_SAID_OF_PASSWORDS.split())
"""What follows "the password is" without being one."""
QUOTES_AND_STOPS = ".,;:!?)\"'"

_CAPITAL = "A-ZÀ-ÖØ-Þ"
_NAME_OF_STREET = rf"[{_CAPITAL}][\w'\u2019.-]*"
_TOWN = rf"(?:,? (?:[A-Z]-)?\d{{5}} {_NAME_OF_STREET}(?: {_NAME_OF_STREET})?)?"
_GERMAN_STREETS = (
    *("str", "weg", "platz", "allee", "gasse", "ring", "damm", "ufer", "chaussee"),
    "markt",
)
_SPANISH_STREETS = (
    *("calle", "c/", "avd", "aven", "plaza", "pza", "paseo", "carrer", "camino"),
    *("ronda", "traves"),
)
_FRENCH_STREETS = (
    *("rue", "aven", "av.", "boul", "bd", "place", "chemin", "all", "impasse"),
    *("quai", "cours", "route"),
)
ADDRESSES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    # English.
    (
        (),
        re.compile(
            r"(?<![\w.,:/-])(?:(?:Flat|Apt|Unit) \w{1,4},? )?"
            rf"\d{{1,5}}[a-zA-Z]?,? (?:{_NAME_OF_STREET} ){{1,3}}"
            r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way"
            r"|Place|Pl|Square|Sq|Terrace|Close|Crescent|Row|Gardens|Grove|Mews|Parkway"
            r"|Highway|Hwy)\b\.?(?:,? (?:Apt|Apartment|Flat|Unit|Suite|#)\.? ?\w+)?"
            r"(?:,? [A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
            r"|, [A-Z][^\W\d]+(?: [A-Z][^\W\d]+)?"
            r"(?:,? [A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b|(?:,? [A-Z]{2})?(?: \d{5}\b)?))?"
        ),
    ),
    (
        ("street", "avenue", "road", "lane"),
        re.compile(
            r"(?<![\w.,:/-])\d{1,5}[a-z]? (?:[a-z]{3,} ){1,2}"
            r"(?:street|avenue|road|lane)\b"
        ),
    ),
    # German.
    (
        _GERMAN_STREETS,
        re.compile(
            rf"(?<![\w.])(?:{_NAME_OF_STREET}[ -]){{0,2}}"
            r"(?:[\w-]{3,}(?:stra(?:ß|ss)e|str\.?)|[a-zäöüß]{5,}(?:weg|gasse|allee)|"
            rf"[{_CAPITAL}][\wäöüß-]{{2,}}(?<!Park)(?<!Sitz)(?<!Steh)(?<!Stell)(?<!Start)"
            r"(?<!Arbeits)(?<!Arbeit)(?<!Um)(?<!Heim)(?<!Rück)"
            r"(?:weg|platz|allee|gasse|ring|damm|ufer|chaussee)|"
            r"(?<=[\wäöüß-] )"
            r"(?:Stra(?:ß|ss)e|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer|Markt))"
            rf" ?\d{{1,4}} ?(?:[a-h]\b)?(?![\d%€])(?! ?(?:Uhr|Minuten|min|km)\b){_TOWN}"
        ),
    ),
    # Spanish.
    (
        _SPANISH_STREETS,
        re.compile(
            r"(?<!\w)(?i:calle|c/|avda?\.?|avenida|plaza|pza\.?|paseo|carrer|camino|ronda"
            r"|traves[ií]a) ?(?:(?:de|del|la|las|los|el) ){0,2}"
            rf"{_NAME_OF_STREET}"
            rf"(?: (?:(?:de|del|la|las|los|y) ){{0,2}}{_NAME_OF_STREET}){{0,3}}"
            r",? ?(?:n[º°o]\.? ?)?\d{1,4}(?:,? \d{1,2} ?[ºª°](?: ?[A-Z]\b)?)?"
            rf"{_TOWN}"
        ),
    ),
    (
        _SPANISH_STREETS,
        re.compile(
            r"(?<!\w)(?:calle|c/|avda?\.?|avenida|plaza|paseo) ?"
            r"(?:del|de la|de los|de las) \w{3,}(?: \w{3,})?,? \d{1,4}\b",
            re.IGNORECASE,
        ),
    ),
    # French.
    (
        _FRENCH_STREETS,
        re.compile(
            r"(?<![\w.,:/-])\d{1,4}(?: ?(?:bis|ter))?,? "
            r"(?i:rue|avenue|av\.|boulevard|bd|place|chemin|all[ée]e|impasse|quai|cours"
            r"|route) (?:(?:de|du|des|la|le|les) |[ldLD]['\u2019]){0,3}"
            rf"[\w'\u2019-]{{3,}}(?:[ -](?:(?:de|du|des|la) )?{_NAME_OF_STREET}){{0,3}}"
            rf"{_TOWN}"
        ),
    ),
)
"""Street addresses: what a text must hold one of (in lower case), and the form."""


# Most texts hold nothing that a pattern could be about: these tell it at a glance.
PASSWORD_HINTS = ("pass", "pw", "kennwort", "contrase", "clave", "mdp", "key", "schl")
CODE_HINTS = ("code", "pin", "otp", "tan", "digo", "clave", "rification", "firmation")
ACCOUNT_HINTS = ("acc", "sort", "routing", "konto", "blz", "cuenta", "compte", "rib")

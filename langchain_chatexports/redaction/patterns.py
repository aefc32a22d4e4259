"""Regular expressions for private data: numbers, links, secrets, addresses.

They match normalized text (see `normalization`): digits, spaces and hyphens are ASCII,
and Hindi viramas are removed.

Every pattern takes linear time: repetitions are bounded, or the following part of the
pattern cannot match repeated characters. A property test checks all patterns.
"""

# ruff: noqa: RUF001 - Russian letters

import re
from typing import NamedTuple

DIGIT = re.compile(r"\d")

EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}"
    r"(?:@[\w-]{1,63}(?:\.[\w-]{1,63})+"
    r"| ?[\[({]at[\])}] ?[\w-]{1,63}(?: ?(?:\.|[\[({]dot[\])}]) ?[\w-]{1,63})+)",
    re.IGNORECASE,
)

LINK = re.compile(r"(?:https?://|\bwww\.)[^\s<>\"'“”]+", re.IGNORECASE)
LINK_END = ".,;:!?)]}*_"
SECRET_IN_LINK = re.compile(
    # user:password in a URL.
    r"^\w{1,20}://[^/?#\s:@]*:[^/?#\s@]*@"
    # Links that grant access.
    r"|^https?://(?:[a-z\d-]+\.)*(?:chat\.whatsapp\.com|discord\.gg|zoom\.us/j|"
    r"meet\.google\.com|docs\.google\.com|drive\.google\.com|dropbox\.com/s|1drv\.ms|"
    r"icloud\.com|wetransfer\.com|we\.tl|t\.me/(?:joinchat/|\+))"
    # A long random segment of the path.
    r"|/(?=[A-Za-z_]{0,80}\d)(?=[\d_]{0,80}[A-Za-z])[A-Za-z\d_]{20}"
    r"|/[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}",
    re.IGNORECASE,
)
PARAMETER = re.compile(r"[?&#;]([\w.-]{1,80})=[^&\s]")
SECRET_PARAMETER = re.compile(
    r"token|key|sig|secret|passw|pwd|auth|session|sid\b|code|otp|invite|access"
    r"|credential|hash|ticket|nonce|usp|pin",
    re.IGNORECASE,
)

# Profile pages on social media sites; the group is the handle.
PROFILE_PAGE = re.compile(
    r"(?<![\w.@-])(?:https?://)?(?:(?:www|m|mobile|web)\.)?"
    r"(?:(?:t\.me|telegram\.(?:me|dog)|instagram\.com(?:/stories)?|facebook\.com|fb\.com"
    r"|fb\.me|m\.me|twitter\.com|x\.com|snapchat\.com/add|linkedin\.com/in|wa\.me"
    r"|vk\.com|paypal\.me|paypal\.com/paypalme|venmo\.com(?:/u)?|weibo\.com"
    r"|reddit\.com/u(?:ser)?|bsky\.app/profile|facebook\.com/people)/@?"
    r"|(?:tiktok\.com|threads\.(?:net|com)|youtube\.com)/@|cash\.app/\$"
    r"|facebook\.com/profile\.php\?id=|[a-z\d-]{1,63}(?:\.[a-z\d-]{1,63}){1,8}/@)"
    r"(?!(?:p|reel|reels|tv|explore|stories|share|sharer|groups|events|watch|photo|photos"
    r"|photo\.php|story\.php|permalink\.php|profile\.php|people|pages|marketplace|hashtag"
    r"|search|home|i|intent|settings|help|login|joinchat|c|s|addstickers|proxy|wall"
    r"|accounts|messages|notifications|privacy|terms|about|video|videos|gaming|qr)\b"
    r"(?![\w.]{0,64}@))"
    r"([\w%][\w.%-]{1,63}(?<![.-]))",
    re.IGNORECASE,
)

# Private keys, API keys and tokens, by their documented prefixes.
_SECRETS = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----END)[\s\S]){0,20000}(?:-----END [A-Z0-9 ]{0,40}-----)?"
    r"|(?<![\w-])(?:"
    r"sk-[\w-]{20,}"  # OpenAI, Anthropic
    r"|[sr]k_(?:live|test)_\w{16,}|whsec_\w{20,}"  # Stripe
    r"|gh[opusr]_[A-Za-z\d]{30,}|github_pat_\w{22,}"  # GitHub
    r"|gl(?:pat|dt|rt|ft|cbt|ptt|soat|agent|oas)-[\w-]{20,}"  # GitLab
    r"|(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z\d]{16}(?![A-Z\d])"  # AWS
    r"|xox[a-z](?:\.xox[a-z])?-[\w-]{10,}|xapp-[\w-]{10,}"  # Slack
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"  # Google
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?"  # JSON web tokens
    r"|(?:hf|gsk|npm|r8|tfp|dop_v1|doo_v1|dckr_pat|lin_api|shpat|shpss|pypi|xai|nvapi|pplx"
    r"|ntn|secret|sntrys|figd|dapi|glsa|rubygems|PMAK|key|AGE-SECRET-KEY|sq0[a-z]{3})"
    r"[_-](?=[\w-]*\d)[\w-]{20,}"  # Hugging Face, npm, Docker and others
    r"|SG\.[\w-]{16,}\.[\w-]{16,}"  # SendGrid
    r"|(?:AC|SK)[\da-f]{32}(?![\da-f])"  # Twilio
    r"|\d{8,10}:AA[\w-]{30,}"  # Telegram bot token
    r"|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}"  # Discord bot token
    r"|(?<=earer )[\w.~+/-]{20,}=*"
    r")"
)
_WALLET = re.compile(
    r"(?<![\w/])(?:0x[\da-fA-F]{40}(?:[\da-fA-F]{24})?|bc1[a-z\d]{25,62}"
    r"|[13](?=[A-Za-z]{0,34}\d)[1-9A-HJ-NP-Za-km-z]{25,33}"
    r"|[xyz]prv[1-9A-HJ-NP-Za-km-z]{100,112})(?!\w)"
)

# Numbers with check digits, which are verified by python-stdnum.
CARD = re.compile(r"(?<![A-Za-z\d_+.,-])[2-6](?:[ ./-]{0,3}\d){12,18}(?!\d)")
IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z\d]){11,30}", re.IGNORECASE)
IBAN_END = re.compile(r"(?<=.{14})[A-Z\d](?![A-Z\d])", re.IGNORECASE)
# Formats of national ids, keyed by the python-stdnum module that validates each.
_NATIONAL_IDS = {
    "us.ssn": r"\d{3}-\d\d-\d{4}",
    "br.cpf": r"\d{3}\.\d{3}\.\d{3}-\d\d",
    "es.nif": r"(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]",
    "it.codicefiscale": r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]",
    "mx.curp": r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z\d]\d",
    "se.personnummer fi.hetu dk.cpr": r"(?:\d\d)?\d{6}[-+A]\d{3}[\dA-Z]",
    "kr.rrn": r"\d{6}-[1-4]\d{6}",
    "fr.nir": r"[12] ?\d\d ?[01]\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d",
    "no.fodselsnummer": r"\d{6} ?\d{5}",
    "cn.ric": r"\d{17}[\dX]",
    "in_.aadhaar": r"[2-9]\d{3} \d{4} \d{4}",
}
NATIONAL_ID_CHECKS = [names.split() for names in _NATIONAL_IDS]
NATIONAL_ID = re.compile(
    rf"(?<![\w.+-])(?:({')|('.join(_NATIONAL_IDS.values())}))(?![\w-]| ?\d)"
)
_ACCOUNT = re.compile(
    r"(?:\baccount|\bacct|\bsort code|\brouting|\bkonto\w{0,30}|\bblz\b|\bcuenta"
    r"|\bcompte|\brib\b|\biban\b)"
    r"[^\n\d+]{0,24}?(?<![A-Za-z\d_+])(\d(?:[ -]?\d){4,19})(?![A-Za-z\d_€$£%])",
    re.IGNORECASE,
)

_CODE_WORD = (
    r"(?:\b(?<!zip )(?<!zip-)(?<!post)(?<!postal )(?<!error )(?<!promo )(?<!source )"
    r"(?:\w{0,30}codes?\b(?! postal)|c[oó]digo\b(?! postal)|clave\b|pin\b|otp\b|tan\b"
    r"|verification\b|v[eé]rification\b|confirmation\b|код\w{0,3}\b)"
    r"|验证码|驗證碼|認証(?:コード|番号)|인증 ?번호|رمز|कोड)"
)
_CODE_DIGITS = r"\d{3}[ -]?\d{3}|\d{4,8}|\d\d(?:[ -]\d\d){2,3}|\d(?: \d){3,7}"
_CODE_AFTER_WORD = re.compile(
    _CODE_WORD + r"[^\n\d.!?]{0,30}?(?<![A-Za-z\d_.,+-])"
    rf"((?:[A-Z]-)?(?:{_CODE_DIGITS}))(?![A-Za-z\d_€$£%:]|[.,-]\d)",
    re.IGNORECASE,
)
_CODE_BEFORE_WORD = re.compile(
    rf"(?<![A-Za-z\d_.,+-])({_CODE_DIGITS})(?![A-Za-z\d_.-]) (?:is|ist|es|est)"
    r"[^\n.!?]{1,24}?" + _CODE_WORD,
    re.IGNORECASE,
)
_CODE_HINTS = (
    *("code", "pin", "otp", "tan", "digo", "clave", "rification", "firmation"),
    *("验证", "驗證", "認証", "인증", "код", "رمز", "कोड"),
)

# The three or four digits on the back of a card.
_CARD_CODE = re.compile(
    r"(?:\b(?:cv[vcn]2?|csc|security code|pr[uü]fziffer|kartenpr[uü]fnummer"
    r"|sicherheitscode|c[oó]digo de seguridad|cryptogramme|code de s[eé]curit[eé])\b)"
    r"[^\n\d.!?]{0,24}?(?<![A-Za-z\d_.,+-])(\d{3,4})(?![A-Za-z\d_€$£%:]|[.,-]\d)",
    re.IGNORECASE,
)
_PASSPORT = re.compile(
    r"(?:\b(?:passport|reisepass|pass(?:nummer|-?nr)|personalausweis|ausweisn|pasaporte"
    r"|passeport|passaporto|driving licen[cs]e|driver'?s licen[cs]e|f[uü]hrerschein)"
    r"|护照|護照|旅券|パスポート|여권)[^\n\d]{0,30}?"
    r"(?<![A-Za-z\d_+-])(?=(?:[A-Z]{0,9}\d){4})([A-Z\d]{6,12})(?![\w€$£%])",
    re.IGNORECASE,
)

PASSWORD = re.compile(
    r"(?:\bpass(?:word|wort|phrase|code|wd)?|\bpw|\bpwd|\bkennwort|\bcontrase[nñ]a"
    r"|\bclave|\bmot de passe|\bmdp|\b(?:wifi|wi-fi|wlan)[ -](?:key|schl[uü]ssel)"
    r"|passwort|\bsenha|\bhasło|\bwachtwoord|\blösenord|\bparola|\bşifre|\bпароль"
    r"|密码|密碼|パスワード|비밀번호|पासवरड|كلمة (?:السر|المرور)"
    r"|\b(?:api|secret|access|private|license)[ _-]?(?:key|token)|\bclient[ _-]secret"
    r"|\b(?:seed|recovery) phrase)"
    r"(?:[ \t](?:for|of|to|f[uü]r|vom|von|para|del|de|pour|du)\b[^\n:=.!?]{1,30}?)?"
    r"(?P<sign>(?:[ \t][\w-]{1,15}){0,2}[ \t]?[:=][ \t]?"
    r"|[ \t](?:is|ist|lautet|es|est|now|jetzt|ahora|é|è|to|это|-)"
    r"(?:[ \t](?:now|still|jetzt|ahora|maintenant))?:?[ \t]"
    r"|[ \t]?(?:是|は|は、|은|는)[ \t]?)"
    r"(?:[\"'“„«](?P<quoted>[^\"'”“»\n]{3,60})|(?P<word>[^\s\"'“„«]{4,60}))",
    re.IGNORECASE,
)
# An alphanumeric password without a preceding separator.
BARE_PASSWORD = re.compile(
    r"\b(?:pw|pwd|passwd|password|passcode|passwort|kennwort|contrase[nñ]a|mot de passe"
    r"|mdp|senha|wachtwoord|hasło|lösenord|şifre|пароль)[ \t]"
    r"(?P<sign>)(?P<word>(?=[^\W\d]{1,30}\d)[^\s\"'“„«]{5,60})",
    re.IGNORECASE,
)
_CARD_CODE_HINTS = (
    "cv",
    "csc",
    "secur",
    "sicherh",
    "segur",
    "sécur",
    "fziffer",
    "fnummer",
    "crypto",
)
_PASSPORT_HINTS = (
    "pass",
    "ausweis",
    "pasap",
    "licen",
    "schein",
    "照",
    "旅券",
    "パス",
    "여권",
)
PASSWORD_HINTS = (
    *("pass", "pw", "kennwort", "contrase", "clave", "mdp", "key", "schl", "secret"),
    *("token", "phrase", "senha", "wachtwoord", "parola", "hasło", "lösenord", "şifre"),
    *("пароль", "密", "パスワ", "비밀", "पासव", "كلمة"),
)
QUOTES_AND_STOPS = ".,;:!?)\"'"

_NAME = r"[A-ZÀ-ÖØ-Þ][\w'\u2019.-]{0,40}"
_TOWN = rf"(?:,? (?:[A-Z]-)?\d{{5}} {_NAME}(?: {_NAME})?)?"
_BRITISH_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
_ENGLISH = (
    r"(?<![\w.,:/-])(?:(?:Flat|Apt|Unit) \w{1,4},? )?"
    rf"\d{{1,5}}[a-zA-Z]?,? (?:{_NAME} ){{1,3}}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way"
    r"|Place|Pl|Square|Sq|Terrace|Close|Crescent|Row|Gardens|Grove|Mews|Parkway"
    r"|Highway|Hwy|Circle|Trail|Hill|Cottages|Wharf)\b\.?"
    r"(?:,? (?:Apt|Apartment|Flat|Unit|Suite|#)\.? ?\w{1,6})?"
    rf"(?:,? {_BRITISH_POSTCODE}"
    r"|, [A-Z][^\W\d]{1,30}(?: [A-Z][^\W\d]{1,30})?"
    rf"(?:,? {_BRITISH_POSTCODE}|(?:,? [A-Z]{{2}})?(?: \d{{5}}\b)?))?"
    r"|(?<![\w.,:/-])\d{1,5}[a-z]? (?:[a-z]{3,30} ){1,2}(?:street|avenue|road|lane)\b"
    r"|\b(?i:p\.? ?o\.? box|postfach|apartado(?: de correos)?) \d(?: ?\d){1,7}\b"
)
_NOT_PLACES = (
    r"(?!(?:Gleis|Tor|Terminal|Gate|Bahnsteig|Halle|Raum|Zimmer|Saal|Haus|Kapitel|Seite"
    r"|Level|Eingang|Ausgang|Stock|Tag|Jahr|Alter|Januar|Februar|M[äa]rz|April|Mai|Juni"
    r"|Juli|August|September|Oktober|November|Dezember|Linie|Bus|Nummer|Teil|Tisch|Punkt"
    r"|Kino|Block|Schnitt|Durchschnitt|Monat|Sommer|Winter|Wert|Klasse|Gruppe|Woche"
    r"|Folge|Staffel|Runde|Platz|Ende|Anfang|\w{2,9}tag)\b)"
)
# A hyphenated compound is matched as one word, to avoid ambiguous matches.
_GERMAN = (
    rf"(?<![\w.'\u2019-])(?:{_NAME} ){{0,2}}"
    r"(?:[\w-]{3,40}(?:(?i:stra(?:ß|ss)e)|str\.?)"
    r"|[a-zäöüß]{5,40}(?:weg|gasse|allee)"
    r"|[A-ZÀ-ÖØ-Þ][\wäöüß-]{2,40}(?<!Park)(?<!Sitz)(?<!Steh)(?<!Stell)(?<!Start)"
    r"(?<!Arbeits)(?<!Arbeit)(?<!Um)(?<!Heim)(?<!Rück)"
    r"(?:weg|platz|allee|gasse|ring|damm|ufer|chaussee"
    r"|-(?:Weg|Platz|Allee|Gasse|Ring|Damm|Ufer))"
    r"|(?<=[\wäöüß-] )(?:Stra(?:ß|ss)e|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer|Markt))"
    rf" ?\d{{1,4}} ?(?:[a-h]\b)?(?![\d%€])(?! ?(?:Uhr|Minuten|min|km)\b){_TOWN}"
    # "Im Grund 12", but not "Am Gleis 3" or "Im Mai 5 Leute".
    r"|\b(?:(?:Am|Im|Zum|Zur)|(?:An|In|Auf|Hinter|Vor|Unter) (?:der|dem|den)) "
    rf"{_NOT_PLACES}(?:[A-ZÄÖÜ][a-zäöüß]{{1,20}} ){{0,2}}[A-ZÄÖÜ][a-zäöüß]{{2,30}}"
    r" \d{1,3}[a-h]?\b"
    rf"(?![ -]?[^\W\d]|[.:]\d|%|€){_TOWN}"
)
_SPANISH = (
    r"(?<!\w)(?i:calle|c/|avda?\.?|avenida|plaza|pza\.?|paseo|carrer|camino|ronda"
    r"|traves[ií]a) ?"
    rf"(?:(?:(?:de|del|la|las|los|el) ){{0,2}}{_NAME}"
    rf"(?: (?:(?:de|del|la|las|los|y) ){{0,2}}{_NAME}){{0,3}}"
    r"|(?:del|de la|de los|de las) \w{3,30}(?: \w{3,30})?)"
    r",? ?(?:n[º°o]\.? ?)?\d{1,4}\b(?:,? \d{1,2} ?[ºª°](?: ?[A-Z]\b)?)?"
    rf"{_TOWN}"
)
_FRENCH = (
    r"(?<![\w.,:/-])\d{1,4}(?: ?(?:bis|ter))?,? "
    r"(?i:rue|avenue|av\.|boulevard|bd|place|chemin|all[ée]e|impasse|quai|cours"
    r"|route) (?:(?:de|du|des|la|le|les) |[ldLD]['\u2019]){0,3}"
    rf"[\w'\u2019-]{{3,40}}(?:[ -](?:(?:de|du|des|la) )?{_NAME}){{0,3}}{_TOWN}"
)
_ADDRESSES = {
    "": _ENGLISH,
    "str weg platz allee gasse ring damm ufer chaussee markt am im zu der dem den": (
        _GERMAN
    ),
    "calle c/ avd aven plaza pza paseo carrer camino ronda traves": _SPANISH,
    "rue aven av. boul bd place chemin all impasse quai cours route": _FRENCH,
}


class Rule(NamedTuple):
    """A pattern for private data. The span is its last group, or the entire match."""

    kind: str
    pattern: re.Pattern[str]
    min_digits: int = 0
    hints: tuple[str, ...] = ()
    """Lower-case substrings, one of which the text must contain."""


RULES = (
    Rule("email", EMAIL, hints=("@", "[at", "(at")),
    Rule("secret", _SECRETS, min_digits=1),
    Rule("account", _WALLET, min_digits=1),
    Rule("account", _ACCOUNT, min_digits=4),
    Rule("code", _CODE_AFTER_WORD, min_digits=4, hints=_CODE_HINTS),
    Rule("code", _CODE_BEFORE_WORD, min_digits=4, hints=_CODE_HINTS),
    Rule("code", _CARD_CODE, min_digits=3, hints=_CARD_CODE_HINTS),
    Rule("account", _PASSPORT, min_digits=4, hints=_PASSPORT_HINTS),
    Rule("code", re.compile(r"(?<!\w)[A-Z]-\d{6}(?!\w)"), min_digits=6),
    *(
        Rule("address", re.compile(pattern), min_digits=1, hints=tuple(hints.split()))
        for hints, pattern in _ADDRESSES.items()
    ),
)
"""The patterns whose matches need no further check."""

"""Regular expressions for private data: numbers, links, secrets, addresses.

They are matched against normalized texts (see `normalization`): digits are ASCII,
spaces and hyphens are of one kind, and Hindi has no viramas.
"""

# ruff: noqa: RUF001 - Russian letters are not Latin ones written wrongly.

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
    "LABELED_PHONE",
    "LETTER_CODE",
    "LINK",
    "LINK_END",
    "LONG_TOKEN",
    "NO_PHONE_BEFORE",
    "OTHER_CODE_HINTS",
    "OTHER_PASSWORD_HINTS",
    "OTHER_PHONE_HINTS",
    "PAGE_HINTS",
    "PAGE_OF_PERSON",
    "PASSWORD",
    "PASSWORD_HINTS",
    "PHONES",
    "PHONE_HINTS",
    "QUOTES_AND_STOPS",
    "SAID_OF_PASSWORDS",
    "SECRETS",
    "SECRET_IN_LINK",
    "WALLET",
]

DIGIT = re.compile(r"\d")

EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}"
    r"(?:@[\w-]+(?:\.[\w-]+)+"
    r"| ?[\[({]at[\])}] ?[\w-]+(?: ?(?:\.|[\[({]dot[\])}]) ?[\w-]+)+)",
    re.IGNORECASE,
)

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

# Pages of people, by their site; the group is who it is.
_PAGE_HINTS = """
t.me telegram. gram.com book.com fb. m.me twitter. /@ x.com tiktok. snapchat.
linkedin. wa.me threads. vk.com paypal venmo. cash.app youtube.com/@ reddit.
bsky. weibo
"""
PAGE_HINTS = tuple(_PAGE_HINTS.split())
PAGE_OF_PERSON = re.compile(
    r"(?<![\w.@-])(?:https?://)?(?:(?:www|m|mobile|web)\.)?"
    r"(?:(?:t\.me|telegram\.(?:me|dog)|instagram\.com(?:/stories)?|facebook\.com|fb\.com"
    r"|fb\.me|m\.me|twitter\.com|x\.com|snapchat\.com/add|linkedin\.com/in|wa\.me"
    r"|vk\.com|paypal\.me|paypal\.com/paypalme|venmo\.com(?:/u)?|weibo\.com"
    r"|reddit\.com/u(?:ser)?|bsky\.app/profile|facebook\.com/people)/@?"
    r"|(?:tiktok\.com|threads\.(?:net|com)|youtube\.com)/@|cash\.app/\$"
    r"|facebook\.com/profile\.php\?id=|[a-z\d-]+(?:\.[a-z\d-]+)+/@)"
    r"(?!(?:p|reel|reels|tv|explore|stories|share|sharer|groups|events|watch|photo|photos"
    r"|photo\.php|story\.php|permalink\.php|profile\.php|people|pages|marketplace|hashtag"
    r"|search|home|i|intent|settings|help|login|joinchat|c|s|addstickers|proxy|wall|accounts"
    r"|messages|notifications|privacy|terms|about|video|videos|gaming|qr)\b(?![\w.]*@))"
    r"([\w%][\w.%-]{1,63}(?<![.-]))",
    re.IGNORECASE,
)

# Keys of programs and services, by the beginnings that their makers document.
LONG_TOKEN = re.compile(r"\S{20}")
SECRETS = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
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
    r"|\d{8,10}:AA[\w-]{30,}"  # Telegram's bots
    r"|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}"  # Discord's bots
    r"|(?<=earer )[\w.~+/-]{20,}=*"
    r")"
)
WALLET = re.compile(
    r"(?<![\w/])(?:0x[\da-fA-F]{40}(?:[\da-fA-F]{24})?|bc1[a-z\d]{25,62}"
    r"|[13](?=[A-Za-z]*\d)[1-9A-HJ-NP-Za-km-z]{25,33}|[xyz]prv[1-9A-HJ-NP-Za-km-z]{100,112})"
    r"(?![\w])"
)

CARD = re.compile(r"(?<![A-Za-z\d_+.,-])[2-6](?:[ ./-]{0,3}\d){12,18}(?!\d)")

IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}[ -\u00a0]?[A-Z\d]{2}", re.IGNORECASE)
ACCOUNT = re.compile(
    r"(?:\baccount|\bacct|\bsort code|\brouting|\bkonto\w*|\bblz\b|\bcuenta|\bcompte"
    r"|\brib\b|\biban\b)"
    r"[^\n\d+]{0,24}?(?<![A-Za-z\d_+])(\d(?:[ -]?\d){4,19})(?![A-Za-z\d_€$£%])",
    re.IGNORECASE,
)

_PHONE_FORMS = (
    # With a country code.
    (r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}(?:[ .\-/()\u00a0]{0,3}\d){6,12}(?!\d)"),
    # North America.
    (r"(?<![\w.,+-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"),
    (r"(?<![\w.,+-])[2-9]\d{2}[2-9]\d{6}(?![\w€$£%]|[.,]\d)"),
    # A leading zero (Germany, France, the United Kingdom, …): 9 to 12 digits.
    (r"(?<![\w.,:+/-])\(?0[1-9](?:\)?[ .\-/]{0,3}\(?\d){7,10}(?![\w:€$£%]|[.,]\d)"),
    # A local one, where the words say so.
    (
        r"(?i:\b(?:number|call|text|phone|cell|ring|tel)\b)[^\n\d]{0,24}?"
        r"(?<![\w.,+-])([2-9]\d{2}-\d{4})(?![\w-])"
    ),
    # Spain: nine digits in groups, or at once.
    (
        r"(?<!\d )(?<![\w.,+-])[6789]\d{2}(?:(?:[ .-]?\d{3}){2}|(?:[ .-]\d{2}){3})"
        r"(?![\w€$£%]|[.,]\d| ?(?:eur|euros?|usd|dollars?)\b)"
    ),
    (r"(?<![\w.,+-])[89]\d[ .-]\d{3}(?:[ .-]\d{2}){2}(?![\w€$£%]|[.,]\d)"),
    # Mobiles of countries that write them without a zero before.
    (
        r"(?<![\w.,+/#-])(?:"
        # China: eleven digits that start with 13 to 19.
        r"1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4}|[ -]\d{3}[ -]\d{2}[ -]\d{3})"
        # Russia and Kazakhstan: 8 in place of +7.
        r"|8[ -]?\(?[34789]\d{2}\)?[ -]?\d{3}[ -]?\d{2}[ -]?\d{2}"
        # India: ten digits that start with 6 to 9, often in two groups of five.
        r"|[6-9]\d{4}[ -]?\d{5}"
        # Italy.
        r"|3\d{2}[ .-]\d{3}[ .-]?\d{4}"
        # Brazil: the area, and nine digits that start with 9.
        r"|\(?[1-9]\d\)?[ -]?9\d{4}-\d{4}"
        r")(?![\w€$£%₹₽:-]|[.,]\d| ?(?:rs|inr|rupees|руб)\b)"
    ),
)
# Letters of other scripts may touch a number, as in Chinese.
PHONES = tuple(re.compile(form, re.ASCII | re.IGNORECASE) for form in _PHONE_FORMS)
"""Telephone numbers by their form alone."""

LABELED_PHONE = re.compile(
    r"(?:\b(?:tel|phone|mobile|mobil|handy|whatsapp|fax|móvil|movil|celular|telefono"
    r"|teléfono|téléphone|portable|cellulare|telefon|komórka|telefoon|тел|телефон|моб"
    r"|номер)\b\.?"
    r"|电话|電話|手机|手機|號碼|号码|전화|휴대폰|फोन|मोबाइल|هاتف|جوال|رقم|تلفن)"
    r"[^\n\d+]{0,16}?(?<![A-Za-z\d_.,+-])(\d(?:[ .\-()/]{0,2}\d){6,13})"
    r"(?![A-Za-z\d_€$£%]|[.,]\d)",
    re.IGNORECASE,
)
"""A number of any country behind a word for telephones; the group is the number."""

NO_PHONE_BEFORE = re.compile(
    r"(?:\b(?:order|invoice|tracking|ticket|booking|reference|ref|case|serial|model|id|isbn"
    r"|bestell\w*|auftrag\w*|rechnung\w*|sendungs\w*|pedido|factura|commande|facture|colis"
    r"|заказ\w*|订单号?|訂單)"
    r"(?: (?:no|nr|n[°º]|number|nummer|número|numéro|id|is|ist))?|#|№)[ .:#]{0,3}\Z",
    re.IGNORECASE,
)
"""What stands before a number that is not a telephone number, whatever its form."""

_CODE_WORD = (
    r"(?<!zip )(?<!zip-)(?<!post)(?<!postal )(?<!error )(?<!promo )(?<!source )"
    r"(?:\b\w*codes?\b(?! postal)|\bc[oó]digo\b(?! postal)|\bclave\b|\bpin\b"
    r"|\botp\b|\btan\b|\bverification\b|\bv[eé]rification\b|\bconfirmation\b"
    r"|验证码|驗證碼|認証(?:コード|番号)|인증 ?번호|\bкод\w{0,3}\b|رمز|कोड)"
)
CODES = (
    re.compile(
        _CODE_WORD + r"[^\n\d.!?]{0,30}?(?<![A-Za-z\d_.,+-])"
        r"((?:[A-Z]-)?\d{3}[ -]?\d{3}|\d{4,8})(?![A-Za-z\d_€$£%:]|[.,-]\d)",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![A-Za-z\d_.,+-])(\d{3}[ -]?\d{3}|\d{4,8})(?![A-Za-z\d_.-])"
        r" (?:is|ist|es|est)"
        r"[^\n.!?]{1,24}?" + _CODE_WORD,
        re.IGNORECASE,
    ),
)
LETTER_CODE = re.compile(r"(?<!\w)[A-Z]-\d{6}(?!\w)")

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


# Most texts have none of these, so no pattern needs to run.
_LOGIN_HINTS = """
pass pw kennwort contrase clave mdp key schl secret token phrase senha
wachtwoord parola
"""
PASSWORD_HINTS = tuple(_LOGIN_HINTS.split())
_OTHER_LOGIN_HINTS = """
hasło lösenord şifre пароль 密 パスワ 비밀 पासव كلمة
"""
OTHER_PASSWORD_HINTS = tuple(_OTHER_LOGIN_HINTS.split())
CODE_HINTS = ("code", "pin", "otp", "tan", "digo", "clave", "rification", "firmation")
OTHER_CODE_HINTS = ("验证", "驗證", "認証", "인증", "код", "رمز", "कोड")
_PHONE_HINTS = """
tel phone mobil handy whatsapp fax movil celular portable cellulare
"""
PHONE_HINTS = tuple(_PHONE_HINTS.split())
_OTHER_PHONE_HINTS = """
móvil тел моб номер 电话 電話 手机 手機 號碼 号码 전화 휴대폰 फोन मोबाइल هاتف
جوال رقم تلفن tél tel komórka
"""
OTHER_PHONE_HINTS = tuple(_OTHER_PHONE_HINTS.split())
ACCOUNT_HINTS = ("acc", "sort", "routing", "konto", "blz", "cuenta", "compte", "rib")

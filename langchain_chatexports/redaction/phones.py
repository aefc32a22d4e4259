"""Find telephone numbers: by their form, after a word, or with `phonenumbers`.

Nearly any 8 digits are a national number somewhere. So national numbers are found in
the regions below if they are grouped as usual there, in the regions of the export's
contacts in any form, and everywhere after a word for telephones.
"""

# ruff: noqa: RUF001 - Russian letters

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.redaction.spans import Span, without_spans

# Regions whose national numbers have no leading zero; and those whose mobile numbers
# are found without groups.
_REGIONS = (
    *("BR", "CL", "CN", "CZ", "DK", "ES", "IN"),
    *("IT", "MX", "NO", "PL", "PT", "RU"),
)
_UNGROUPED = ("BR", "CN", "ES", "IN", "IT", "RU")
_MAX_STEP = 10
_NEARBY = 32
_MIN_DIGITS = 7
_MAX_TRIES = 100

_SHAPES = (
    # With a country code.
    r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}(?:[ .\-/()]{0,3}\d){6,12}(?!\d)",
    # A leading zero (most of Europe, Asia and Africa): 9 to 12 digits.
    r"(?<![\w.,:+/-])\(?0[1-9](?:\)?[ .\-/]{0,3}\(?\d){7,10}(?![\w:€$£%]|[.,]\d)",
    # North America.
    r"(?<![\w.,+-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])",
    r"(?<![\w.,+-])[2-9]\d{2}[2-9]\d{6}(?![\w€$£%]|[.,]\d)",
)
# Letters of other scripts may touch a number, as in Chinese.
SHAPES = tuple(re.compile(shape, re.ASCII) for shape in _SHAPES)

LABELED = re.compile(
    r"(?:\b(?:tel|tlf|phone|mobile|mobil|handy|cell|whatsapp|fax|móvil|movil|celular"
    r"|telefono|teléfono|téléphone|telefone|portable|cellulare|telefon|komórka|telefoon"
    r"|number(?! of)|nummer|numero|número|numéro|call|ring|text|ruf|llama|liga|appelle"
    r"|chiama|тел|телефон|моб|номер)\b\.?"
    r"|电话|電話|手机|手機|號碼|号码|전화|휴대폰|फोन|मोबाइल|هاتف|جوال|رقم|تلفن)"
    r"[^\n\d+]{0,24}?(?<![A-Za-z\d_.,+/-])"
    # Neither a date nor thousands in groups.
    r"(?!(?:19|20)\d\d[ ./-]?[01]\d[ ./-]?[0-3]\d\b|\d{1,2}(?: \d{3})+(?! ?\d))"
    r"(\d(?:[ .\-()/]{0,2}\d){6,13})(?![A-Za-z\d_€$£%]|[.,]\d)",
    re.IGNORECASE,
)
"""A number of any region after a word for telephones; the group is the number."""

_NO_PHONE_BEFORE = re.compile(
    r"(?:\b(?:order|invoice|tracking|ticket|booking|reference|ref|case|serial|model|id"
    r"|isbn|bestell\w{0,20}|auftrag\w{0,20}|rechnung\w{0,20}|sendungs\w{0,20}|pedido|factura"
    r"|commande|facture|colis|заказ\w{0,9}|订单号?|訂單)"
    r"(?: (?:no|nr|n[°º]|number|nummer|número|numéro|id|is|ist))?|#|№)[ .:#]{0,3}\Z",
    re.IGNORECASE,
)
_YEAR_BEFORE = re.compile(r"(?<=[^\W\d] )(?:19|20)\d\d(?= \d)")
_RUN = re.compile(r"\d(?:[ .\-/()]{0,3}\d){6}")
_NO_PHONE_AFTER = re.compile(
    r" ?(?:eur|euros?|usd|dollars?|rs|inr|rupees|руб|km|people|views)\b"
    r"|[€$£%₹₽:]|[.,]\d",
    re.IGNORECASE,
)
# Thousands in groups, dates, and ranges of years.
_NO_PHONE = re.compile(
    r"\d{1,3}(?: \d{3})*(?: 000)+|\d{1,2}(?: \d{3})+|\d{1,3}\.\d+"
    r"|(?:19|20)\d\d\D?(?:(?:19|20)\d\d|[01]\d\D?[0-3]\d).*"
)


def check_extra() -> None:
    """Raise `MissingExtraError` without the libraries of the extra `redact`."""
    try:
        import phonenumbers  # noqa: F401
        import stdnum  # noqa: F401
    except ImportError as error:
        feature = "Redaction"
        raise MissingExtraError(feature, "redact") from error


def home_regions(numbers: Iterable[str]) -> tuple[str, ...]:
    """Return the regions of international numbers that have no leading zero."""
    import phonenumbers

    regions = set()
    for number in numbers:
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            continue
        region = phonenumbers.region_code_for_number(parsed)
        metadata = region and phonenumbers.PhoneMetadata.metadata_for_region(region)
        if region and metadata and metadata.national_prefix is None:
            regions.add(region)
    return tuple(sorted(regions))


def find_phones(text: str, home: tuple[str, ...] = ()) -> list[Span]:
    """Find telephone numbers in a normalized text; those of `home` in any form."""
    found = [
        Span(*match.span(pattern.groups), "phone")
        for pattern in (*SHAPES, LABELED)
        for match in pattern.finditer(text)
    ]
    found += _national_numbers(without_spans(text, found), home)
    return [span for span in found if _may_be_phone(text, span)]


def _national_numbers(text: str, home: tuple[str, ...]) -> Iterator[Span]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    if _RUN.search(text) is None:
        return
    text = _YEAR_BEFORE.sub("xxxx", text)
    for region in (*_REGIONS, *home):
        is_home = region in home
        leniency = Leniency.VALID if is_home else Leniency.STRICT_GROUPING
        for match in PhoneNumberMatcher(text, region, leniency, _MAX_TRIES):
            is_grouped = not match.raw_string.isdigit()
            if is_grouped or is_home or region in _UNGROUPED:
                yield Span(match.start, match.end, "phone")


def _may_be_phone(text: str, span: Span) -> bool:
    if text[span.start] in "+(":
        return True
    written = text[span.start : span.end]
    groups = re.findall(r"\d+", written)
    steps = {int(after) - int(before) for before, after in pairwise(groups)}
    is_count = len(steps) == 1 and abs(*steps) <= _MAX_STEP  # "20 30 40 50"
    before = text[max(0, span.start - _NEARBY) : span.start]
    return not (
        is_count
        or len("".join(groups)) < _MIN_DIGITS
        or _NO_PHONE.fullmatch(written)
        or _NO_PHONE_BEFORE.search(before)
        or _NO_PHONE_AFTER.match(text, span.end)
    )

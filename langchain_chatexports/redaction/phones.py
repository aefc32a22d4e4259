"""Find phone numbers by format, by context, or with `phonenumbers`.

Almost any 8 digits are a valid national number somewhere. Therefore, national numbers
are found in any format for the regions of the export's contacts, with the usual
grouping for the regions below, and after a word such as "phone" for all regions.
"""

# ruff: noqa: RUF001 - Russian letters

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.redaction.spans import Span, mask_spans

# Regions whose national numbers have no leading zero. For the second list, ungrouped
# mobile numbers are also found.
_REGIONS = (
    *("BR", "CL", "CN", "CZ", "DK", "ES", "IN"),
    *("IT", "MX", "NO", "PL", "PT", "RU"),
)
_UNGROUPED = ("BR", "CN", "ES", "IN", "IT", "RU")
_MAX_STEP = 10
_MAX_PRECEDING = 32
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
    # Not a date or grouped thousands.
    r"(?!(?:19|20)\d\d[ ./-]?[01]\d[ ./-]?[0-3]\d\b|\d{1,2}(?: \d{3})+(?! ?\d))"
    r"(\d(?:[ .\-()/]{0,2}\d){6,13})(?![A-Za-z\d_€$£%]|[.,]\d)",
    re.IGNORECASE,
)
"""A number from any region after a word such as "phone"; the group is the number."""

_NOT_A_PHONE_BEFORE = re.compile(
    r"(?:\b(?:order|invoice|tracking|ticket|booking|reference|ref|case|serial|model|id"
    r"|isbn|bestell\w{0,20}|auftrag\w{0,20}|rechnung\w{0,20}|sendungs\w{0,20}|pedido|factura"
    r"|commande|facture|colis|заказ\w{0,9}|订单号?|訂單)"
    r"(?: (?:no|nr|n[°º]|number|nummer|número|numéro|id|is|ist))?|#|№)[ .:#]{0,3}\Z",
    re.IGNORECASE,
)
_YEAR_BEFORE = re.compile(r"(?<=[^\W\d] )(?:19|20)\d\d(?= \d)")
_RUN = re.compile(r"\d(?:[ .\-/()]{0,3}\d){6}")
_NOT_A_PHONE_AFTER = re.compile(
    r" ?(?:eur|euros?|usd|dollars?|rs|inr|rupees|руб|km|people|views)\b"
    r"|[€$£%₹₽:]|[.,]\d",
    re.IGNORECASE,
)
# Grouped thousands, decimal numbers, dates, and year ranges.
_NOT_A_PHONE = re.compile(
    r"\d{1,3}(?: \d{3})*(?: 000)+|\d{1,2}(?: \d{3})+|\d{1,3}\.\d+"
    r"|(?:19|20)\d\d\D?(?:(?:19|20)\d\d|[01]\d\D?[0-3]\d).*"
)


def check_extra() -> None:
    """Raise `MissingExtraError` if the extra `redact` is not installed."""
    try:
        import phonenumbers  # noqa: F401
        import stdnum  # noqa: F401
    except ImportError as error:
        feature = "Redaction"
        raise MissingExtraError(feature, "redact") from error


def find_home_regions(numbers: Iterable[str]) -> tuple[str, ...]:
    """Return the regions of international numbers that use no national prefix."""
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


def find_phone_numbers(text: str, home: tuple[str, ...] = ()) -> list[Span]:
    """Find phone numbers in normalized text; for `home` regions, in any format."""
    spans = [
        Span(*match.span(pattern.groups), "phone")
        for pattern in (*SHAPES, LABELED)
        for match in pattern.finditer(text)
    ]
    spans += _find_national_numbers(mask_spans(text, spans), home)
    return [span for span in spans if _is_plausible(text, span)]


def _find_national_numbers(text: str, home: tuple[str, ...]) -> Iterator[Span]:
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


def _is_plausible(text: str, span: Span) -> bool:
    if text[span.start] in "+(":
        return True
    number = text[span.start : span.end]
    groups = re.findall(r"\d+", number)
    steps = {int(group) - int(previous) for previous, group in pairwise(groups)}
    is_sequence = len(steps) == 1 and abs(*steps) <= _MAX_STEP  # "20 30 40 50"
    preceding = text[max(0, span.start - _MAX_PRECEDING) : span.start]
    return not (
        is_sequence
        or len("".join(groups)) < _MIN_DIGITS
        or _NOT_A_PHONE.fullmatch(number)
        or _NOT_A_PHONE_BEFORE.search(preceding)
        or _NOT_A_PHONE_AFTER.match(text, span.end)
    )

"""Find telephone numbers: by their shape, behind a word, or known to `phonenumbers`.

`phonenumbers` has the national numbers of every region, but nearly any 8 digits are a
number somewhere. So a national number counts in the regions below if its digits are in
groups as people write them there; in the regions of the export's own contacts, however
it is written; and anywhere behind a word for telephones.
"""

# ruff: noqa: RUF001 - Russian letters are not Latin ones written wrongly.

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise, product
from typing import Any

from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.redaction.spans import Span, without_spans

# Regions that write national numbers without a zero before them; and those with mobiles
# that count without groups, too.
_REGIONS = (
    *("BR", "CL", "CN", "CZ", "DK", "ES", "IN"),
    *("IT", "MX", "NO", "PL", "PT", "RU"),
)
_UNGROUPED = ("BR", "CN", "ES", "IN", "IT", "RU")
_MAX_DROPPED = 2
_MAX_STEP = 10
_NEARBY = 32
_MIN_DIGITS = 7
_MAX_DIGITS_OF_TWO_YEARS = 8

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
"""A number of any region behind a word for telephones; the group is the number."""

# A run of digits that may be a national number.
RUN = re.compile(
    r"(?<![\w.,+/#:-])\(?\d(?:[ .\-/()]{0,3}\d){6,14}(?![\w€$£%₹₽:-]|[.,]\d)"
    r"(?! ?(?:eur|euros?|usd|dollars?|rs|inr|rupees|руб|km)\b)",
    re.ASCII | re.IGNORECASE,
)
_NO_PHONE_BEFORE = re.compile(
    r"(?:\b(?:order|invoice|tracking|ticket|booking|reference|ref|case|serial|model|id"
    r"|isbn|bestell\w{0,20}|auftrag\w{0,20}|rechnung\w{0,20}|sendungs\w{0,20}|pedido|factura"
    r"|commande|facture|colis|заказ\w{0,9}|订单号?|訂單)"
    r"(?: (?:no|nr|n[°º]|number|nummer|número|numéro|id|is|ist))?|#|№)[ .:#]{0,3}\Z",
    re.IGNORECASE,
)
_GROUP = re.compile(r"\(\\d(?:\{(\d+)(?:,(\d+))?\})?\)")
# Brazilians write "9 8765-4321" for "98765-4321".
_SINGLE_DIGIT = re.compile(r"(?<!\d)(\d) (?=\d)")
_THOUSANDS = re.compile(r"\d{1,2}(?: \d{3})+")
_DATES = re.compile(r"\d{1,3}\.\d+|(?:19|20)\d\d\D?(?:(?:19|20)\d\d|[01]\d\D?[0-3]\d)")


def check_extra() -> None:
    """Raise `MissingExtraError` without the libraries of the extra `redact`."""
    try:
        import phonenumbers  # noqa: F401
        import stdnum  # noqa: F401
    except ImportError as error:
        feature = "Redaction"
        raise MissingExtraError(feature, "redact") from error


def home_regions(numbers: Iterable[str]) -> tuple[str, ...]:
    """Return the regions of `+47 …` numbers that write national ones without a zero."""
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
    """Find telephone numbers in a normalized text; those of `home` in any groups."""
    found = [
        Span(*match.span(pattern.groups), "phone")
        for pattern in (*SHAPES, LABELED)
        for match in pattern.finditer(text)
    ]
    text_left = without_spans(text, found)
    run = RUN.search(text_left)
    while run is not None:
        start, end = _national_number(run[0], home) or (0, 0)
        if end:
            found.append(Span(run.start() + start, run.start() + end, "phone"))
        run = RUN.search(text_left, run.start() + (end or len(run[0])))
    return [span for span in found if _may_be_phone(text, span.start)]


def _may_be_phone(text: str, start: int) -> bool:
    if text[start] in "+(":
        return True
    return _NO_PHONE_BEFORE.search(text[max(0, start - _NEARBY) : start]) is None


@lru_cache(maxsize=1024)
def _national_number(run: str, home: tuple[str, ...]) -> tuple[int, int] | None:
    """Return the place of a national number in a run, less some groups at its ends.

    Where several places are possible, all of them are private.
    """
    groups = [match.span() for match in re.finditer("[^ ]+", run)]
    if _THOUSANDS.fullmatch(run):
        return None
    for dropped in range(min(_MAX_DROPPED + 1, len(groups))):
        places = [
            (groups[left][0], groups[len(groups) - 1 - dropped + left][1])
            for left in range(dropped + 1)
        ]
        found = [place for place in places if _is_national(run[slice(*place)], home)]
        if found:
            return found[0][0], found[-1][1]
    return None


def _is_national(written: str, home: tuple[str, ...]) -> bool:
    groups = re.findall(r"\d+", written)
    digits = "".join(groups)
    if len(digits) < _MIN_DIGITS or "00000" in digits:
        return False
    if _DATES.fullmatch(written) or _is_count(groups):
        return False
    if home and _numbers_of(home).fullmatch(digits):
        return True
    if len(groups) == 1:
        return _numbers_of(_UNGROUPED, only_mobile=True).fullmatch(digits) is not None
    if groups[0] in {"0", "8"}:  # The prefix of national numbers.
        del groups[0]
    joined = re.findall(r"\d+", _SINGLE_DIGIT.sub(r"\1", written))
    is_grouped = any(tuple(map(len, g)) in _groupings() for g in (groups, joined))
    return is_grouped and _numbers_of(_REGIONS).fullmatch(digits) is not None


def _is_count(groups: list[str]) -> bool:
    """Return whether numbers count in steps of ten at most: "20 30 40 50"."""
    steps = {int(after) - int(before) for before, after in pairwise(groups)}
    return len(steps) == 1 and abs(*steps) <= _MAX_STEP


@lru_cache(maxsize=8)
def _numbers_of(
    regions: tuple[str, ...], *, only_mobile: bool = False
) -> re.Pattern[str]:
    """Return the pattern of the national numbers of regions, in digits only."""
    numbers = []
    for metadata in _metadata(regions):
        kinds = [metadata.mobile]
        if not only_mobile:
            kinds += (metadata.fixed_line, metadata.toll_free)
        patterns = (kind.national_number_pattern for kind in kinds if kind)
        prefix = metadata.national_prefix or ""
        numbers.append(f"(?:{prefix})?(?:{'|'.join(filter(None, patterns))})")
    return re.compile("|".join(numbers))


@lru_cache(maxsize=1)
def _groupings() -> frozenset[tuple[int, ...]]:
    """Return how the regions group the digits of national numbers: their lengths."""
    found: set[tuple[int, ...]] = set()
    for metadata in _metadata(_REGIONS):
        for form in metadata.number_format:
            lengths = (
                range(int(least or 1), int(most or least or 1) + 1)
                for least, most in _GROUP.findall(form.pattern)
            )
            found.update(product(*lengths))
    # Not two short groups: "2019 2024" are years.
    return frozenset(g for g in found if g[2:] or sum(g) > _MAX_DIGITS_OF_TWO_YEARS)


def _metadata(regions: Iterable[str]) -> Iterator[Any]:
    from phonenumbers import PhoneMetadata

    return filter(None, map(PhoneMetadata.metadata_for_region, regions))

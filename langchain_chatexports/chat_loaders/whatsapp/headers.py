"""Learn the layout of message headers, with date and time, from a file's lines.

An exporter formats every time in a file the same way, so a file has one layout. It is
learned from the first headers: digits and the AM/PM marker may vary, and the rest is
fixed. Only lines in that layout are headers, and a header pasted from another phone is
kept as text. A table of layouts would not work, since language, region and clock
combine freely.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from langchain_chatexports.chat_loaders.date_order import DateFormat, YearPosition
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    MARKS,
    SPACES,
    is_pm,
    to_plain_text,
)

_MAX_HEADER = 100
_MAX_CANDIDATES = 300
_MAX_LENGTH = 1 << 20
_MAX_PARSED_LINES = 3000
_MAX_LAYOUTS = 12
_MAX_COMPILED = 50  # A file has one layout, or a few that were pasted or joined.
_SHORT_YEAR_DIGITS = 2
_MAX_PASTED_LAYOUTS = 2
_MAX_HOUR, _MAX_MINUTE = 24, 59
_NOON = 12
_MAX_BEFORE, _MAX_AFTER = 16, 8  # Characters around a time without AM or PM.

# Any header in a text without marks: a date and a time, in either order.
_ERA = "(?:[A-Za-z]|令和)"
_DATE = (
    rf"(?P<date>(?P<era>{_ERA})?(?P<first>\d{{4}}|\d\d?) ?[/.\-–年月] ?\d\d?"
    rf" ?[/.\-–年月] ?(?P<later_era>{_ERA})?(?P<last>\d{{4}}|\d\d?))(?!\d)"
)
_COLON = r" ?(?:[:.٫]|[^\W\d_]{1,4}) ?"
_TIME = rf"(?P<hour>\d\d?){_COLON}(?P<minute>\d\d)(?:{_COLON}(?P<second>\d\d))?(?!\d)"
_WORDS = r"[^\d:\[\]\t\n]"
_FRAME = r"(?(bracket)\]|(?P<frame> - |: ))"
_DATE_FIRST = re.compile(
    rf"(?P<bracket>\[)?{_DATE}(?P<before>{_WORDS}{{1,24}}){_TIME}"
    rf"(?P<after>{_WORDS}{{0,24}}?){_FRAME}"
)
_TIME_FIRST = re.compile(
    rf"(?P<bracket>\[)?(?P<before>{_WORDS}{{0,24}}){_TIME}"
    rf"(?P<after>{_WORDS}{{1,24}}){_DATE}(?P<rest>{_WORDS}{{0,8}}?){_FRAME}"
)
# A fast check that rejects most other lines.
_MAY_BE_HEADER = re.compile(rf"[{MARKS}]*\[?[^\d\n]{{0,24}}\d{{1,4}}[^\d\n]{{1,6}}\d")
_PART = re.compile(r"\d+|令和|.")

_ANY_SPACE = f"[{SPACES}]"
_ANY_MARKS = f"[{MARKS}]{{0,4}}"
_SHAPES = {
    "hour": r"(?P<hour>\d{1,2})",
    "minute": r"(?P<minute>\d{2})",
    "second": r"(?P<second>\d{2})",
    # A sample of LangChain's document loader has an underscore before "AM".
    "marker": rf"[{SPACES}_]{{0,2}}{_ANY_MARKS}"
    r"(?P<marker>[^\W\d_][^\d\[\]:\n]{0,24}?)",
}


@dataclass(frozen=True)
class Layout:
    """The layout of a file's headers."""

    pattern: re.Pattern[str]
    """Matches a header, with the groups `date`, `hour`, `minute`, `second`, `marker`.
    """

    frame: str
    """`[` for `[date] `, `-` for `date - `, `:` for `date: `."""

    has_seconds: bool
    dates: DateFormat


def seconds_of_day(hour: str, minute: str, second: str, marker: str) -> int | None:
    """Return the seconds since midnight, or `None` if the time is invalid."""
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if marker:
        is_afternoon = is_pm(marker)
        if is_afternoon is None or hours >= _MAX_HOUR:
            return None
        if hours <= _NOON:  # Some 24-hour clocks also write the marker.
            hours = hours % _NOON + _NOON * is_afternoon
    if hours > _MAX_HOUR or minutes > _MAX_MINUTE or seconds > _MAX_MINUTE:
        return None
    # Some locales write midnight as 24.
    return (hours % _MAX_HOUR * 60 + minutes) * 60 + seconds


def learn_layouts(
    lines: Iterable[str], on_layout: Callable[[Layout], None] = lambda _: None
) -> list[Layout]:
    """Return the layout shared by most header-like lines, if any.

    A file combined from several exports has several layouts, returned with the most
    frequent one first. This is assumed if no layout has a majority, or if the most
    frequent one is not the first header's. `on_layout` is called for each new one.
    """
    counts = Counter(islice(_parse_headers(lines, on_layout), _MAX_CANDIDATES))
    ranked = counts.most_common(_MAX_LAYOUTS)
    # The first key of a counter is the first header's layout.
    if ranked and ranked[0][0] == next(iter(counts)):
        most, total = ranked[0][1], counts.total()
        # A second layout may be a long pasted chat. Three mean several exports.
        if most * 3 >= total * 2 or (
            len(counts) <= _MAX_PASTED_LAYOUTS and most * 2 > total
        ):
            ranked = ranked[:1]
    return [layout for layout, _ in ranked]


def _parse_headers(
    lines: Iterable[str], on_layout: Callable[[Layout], None]
) -> Iterator[Layout]:
    """Yield the layout of each line that looks like a header."""
    known_layouts: dict[Layout, None] = {}
    compiled: set[Layout] = set()
    length = parsed = 0
    for line in lines:
        length += len(line)
        if length > _MAX_LENGTH:
            return
        if not _MAY_BE_HEADER.match(line):
            continue
        layout = next(
            (item for item in known_layouts if item.pattern.match(line)), None
        )
        is_done = parsed >= _MAX_PARSED_LINES or len(compiled) >= _MAX_COMPILED
        if layout is None and not is_done:
            parsed += 1
            layout = parse_header(line)
            if layout and layout not in compiled:
                compiled.add(layout)
                on_layout(layout)
        if layout is not None:
            if len(known_layouts) < _MAX_LAYOUTS:
                known_layouts[layout] = None
            yield layout


def parse_header(line: str) -> Layout | None:
    """Return the layout of the header in a line, or `None` if there is none."""
    head = to_plain_text(line[:_MAX_HEADER])
    return _build_layout(_DATE_FIRST.match(head)) or _build_layout(
        _TIME_FIRST.match(head)
    )


def _build_layout(match: re.Match[str] | None) -> Layout | None:
    """Return the layout of a matched header, if date and time are valid."""
    if match is None:
        return None
    years = _find_years(match)
    before, after = _find_marker(match, "before"), _find_marker(match, "after")
    hour, minute, second = match.group("hour", "minute", "second")
    is_time = seconds_of_day(hour, minute, second, "") is not None
    if not is_time or len(years) > 1 or (before and after):
        return None
    if not (_is_plain_before(match, before) and _is_plain_after(match, after)):
        return None
    marker = before or after
    is_american = "/" in match["date"] and not years and marker is not None
    return Layout(
        pattern=re.compile(_build_pattern(match, marker)),
        frame=(match["frame"] or "[").strip(),
        has_seconds=second is not None,
        dates=DateFormat(
            next(iter(years), None),
            # Korean: `18. 6. 3. PM 4:33`; Basque: `18/6/3 (16:33)`.
            is_year_first_likely=before is not None or "(" in match["before"],
            is_month_first_likely=is_american,
        ),
    )


def _find_years(match: re.Match[str]) -> list[YearPosition]:
    """Return the position of each sign of a year: an era, or more than two digits."""
    signs: dict[YearPosition, tuple[str | None, str]] = {
        "first": (match["era"], match["first"]),
        "last": (match["later_era"], match["last"]),
    }
    years: list[YearPosition] = []
    for position, (era, number) in signs.items():
        years += [position] * ((era is not None) + (len(number) > _SHORT_YEAR_DIGITS))
    return years


def _is_plain_before(match: re.Match[str], marker: tuple[int, int] | None) -> bool:
    """Return whether the text before a time may be in a header, unlike in a log."""
    text = match["before"]
    if marker:
        return True
    # Logs have the T of ISO 8601 between date and time.
    return text != "T" and "/" not in text and len(text) <= _MAX_BEFORE


def _is_plain_after(match: re.Match[str], marker: tuple[int, int] | None) -> bool:
    """Return whether the text after a time may be in a header."""
    text = match["after"]
    if marker:
        between = match.string[match.start("after") : marker[0]]
        return not between.strip(" _.")
    return "/" not in text and len(text) <= _MAX_AFTER


def _find_marker(match: re.Match[str], group: str) -> tuple[int, int] | None:
    """Return the span of the longest AM/PM marker in a group of a header."""
    text, offset = match[group], match.start(group)
    # `\b` does not work, since vowel signs in many scripts are not letters.
    letters = [char.isalpha() for char in (" ", *text, " ")]
    positions = range(len(text) + 1)
    starts = [i for i in positions[:-1] if letters[i + 1] and not letters[i]]
    ends = [
        i for i in positions[1:] if not letters[i + 1] and not text[i - 1].isspace()
    ]
    spans = [(start, end) for start in starts for end in ends if start < end]
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        if is_pm(text[start:end]) is not None:
            return offset + start, offset + end
    return None


def _build_pattern(match: re.Match[str], marker: tuple[int, int] | None) -> str:
    """Return a regular expression for headers with the same layout."""
    names = ("date", "hour", "minute", "second")
    spans = {name: match.span(name) for name in names if match[name] is not None}
    if marker:
        spans["marker"] = marker
    atoms, position = [""], 0
    for name, (start, end) in sorted(spans.items(), key=lambda item: item[1]):
        between = match.string[position:start]
        atoms += map(
            _literal_atom, between.rstrip(" _") if name == "marker" else between
        )
        if name == "date":
            parts = _PART.findall(match.string[start:end])
            atoms.append(f"(?P<date>{_ANY_MARKS.join(map(_date_atom, parts))})")
        else:
            atoms.append(_SHAPES[name])
        position = end
    atoms += map(_literal_atom, match.string[position : match.end()])
    if match["bracket"]:
        atoms.append(f"{_ANY_SPACE}?")
    missing = [f"(?P<{name}>)" for name in ("second", "marker") if name not in spans]
    return _ANY_MARKS.join(atoms) + "".join(missing)


def _literal_atom(char: str) -> str:
    return _ANY_SPACE if char == " " else re.escape(char)


def _date_atom(part: str) -> str:
    if part.isdecimal():
        return r"\d{4}" if len(part) > _SHORT_YEAR_DIGITS else r"\d{1,2}"
    is_era = part == "令和" or (part.isascii() and part.isalpha())
    return _ERA if is_era else _literal_atom(part)

"""Headers of messages: the layout of a file's date and time, learned from its lines.

The exporter formats all times of a file in one run, so a file has one layout. It is
learned from the first headers: digits, and the word of a 12-hour clock, may vary, and
everything else is fixed. Only lines in that layout are headers; a header pasted from
another phone stays text. There is no table of layouts, since language, region and clock
combine freely.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from langchain_chatexports.chat_loaders.date_order import DateForm
from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    MARKS,
    SPACES,
    is_after_noon,
    plain_text,
)

_MAX_HEADER = 100
_MAX_CANDIDATES = 300
_MAX_LEARNED_LENGTH = 1 << 20
_MAX_TRIED = 3000
_MAX_LAYOUTS = 12
_PAIR = 2
_MAX_HOUR, _MAX_MINUTE = 24, 59
_NOON = 12
_MAX_BEFORE, _MAX_AFTER = 16, 8  # Characters around a time without a period.

# Any header, in a text without marks: a date and a time, in either order.
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
# A quick test that most other lines fail.
_MAY_BE_HEADER = re.compile(rf"[{MARKS}]*\[?[^\d\n]{{0,24}}\d{{1,4}}[^\d\n]{{1,6}}\d")
_PART = re.compile(r"\d+|令和|.")

_ANY_SPACE = f"[{SPACES}]"
_ANY_MARKS = f"[{MARKS}]{{0,4}}"
_SHAPES = {
    "hour": r"(?P<hour>\d{1,2})",
    "minute": r"(?P<minute>\d{2})",
    "second": r"(?P<second>\d{2})",
    # LangChain's document loader has a sample with an underscore before "AM".
    "word": rf"[{SPACES}_]{{0,2}}{_ANY_MARKS}"
    r"(?P<word>[^\W\d_][^\d\[\]:\n]{0,24}?)",
}


@dataclass(frozen=True)
class Layout:
    """The layout of the headers in a file."""

    # A header, with groups for `date`, `hour`, `minute`, `second` and `word`.
    pattern: re.Pattern[str]
    frame: str  # `[` for `[date] `, `-` for `date - `, `:` for `date: `.
    has_seconds: bool
    dates: DateForm


def seconds_of_day(hour: str, minute: str, second: str, word: str) -> int | None:
    """Return the seconds since midnight; `None` if there is no such time."""
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if word:
        is_late = is_after_noon(word)
        if is_late is None or hours >= _MAX_HOUR:
            return None
        if hours <= _NOON:  # Some 24-hour clocks also write the word.
            hours = hours % _NOON + _NOON * is_late
    if hours > _MAX_HOUR or minutes > _MAX_MINUTE or seconds > _MAX_MINUTE:
        return None
    # Some locales begin the day with 24.
    return (hours % _MAX_HOUR * 60 + minutes) * 60 + seconds


def learn_layouts(lines: Iterable[str]) -> list[Layout]:
    """Return the layout of most lines that look like headers, if there are any.

    A file that was put together from several exports has several layouts, the most
    frequent one first. This is assumed if no layout has most of the candidates, or if
    the most frequent one is not that of the first header.
    """
    found = Counter(islice(_headers(lines), _MAX_CANDIDATES))
    ranked = found.most_common(_MAX_LAYOUTS)
    # A counter keeps the order of its keys.
    if ranked and ranked[0][0] == next(iter(found)):
        most, total = ranked[0][1], found.total()
        # One more layout may be a long pasted text; three are several exports.
        if most * 3 >= total * 2 or (len(found) <= _PAIR and most * 2 > total):
            ranked = ranked[:1]
    return [layout for layout, _ in ranked]


def _headers(lines: Iterable[str]) -> Iterator[Layout]:
    """Yield the layout of each line that looks like a header."""
    known: dict[Layout, None] = {}
    length = tried = 0
    for line in lines:
        length += len(line)
        if length > _MAX_LEARNED_LENGTH:
            return
        if not _MAY_BE_HEADER.match(line):
            continue
        layout = next((one for one in known if one.pattern.match(line)), None)
        if layout is None and tried < _MAX_TRIED:
            tried += 1
            layout = parse_header(line)
        if layout is not None:
            if len(known) < _MAX_LAYOUTS:
                known[layout] = None
            yield layout


def parse_header(line: str) -> Layout | None:
    """Return the layout of the header of a line; `None` if it has none."""
    head = plain_text(line[:_MAX_HEADER])
    return _layout(_DATE_FIRST.match(head)) or _layout(_TIME_FIRST.match(head))


def _layout(found: re.Match[str] | None) -> Layout | None:
    """Return the layout of a header, if its parts are a date and a time."""
    if found is None:
        return None
    first, last = _period(found, "before"), _period(found, "after")
    before, after = found["before"], found["after"]
    is_first = bool(found["era"]) + (len(found["first"]) > _PAIR)
    is_last = bool(found["later_era"]) + (len(found["last"]) > _PAIR)
    hour, minute, second = found.group("hour", "minute", "second")
    if (
        seconds_of_day(hour, minute, second, "") is None
        or (first and last)
        or is_first + is_last > 1
        # The T of ISO 8601 between date and time appears in logs.
        or (not first and (before == "T" or "/" in before or len(before) > _MAX_BEFORE))
        or (not last and ("/" in after or len(after) > _MAX_AFTER))
        or (last and found.string[found.start("after") : last[0]].strip(" _."))
    ):
        return None
    has_short_year = is_first + is_last == 0
    is_american = "/" in found["date"] and has_short_year and bool(first or last)
    return Layout(
        pattern=re.compile(_frozen(found, first or last)),
        frame=(found["frame"] or "[").strip(),
        has_seconds=second is not None,
        dates=DateForm(
            None if has_short_year else "first" if is_first else "last",
            # Korean: `18. 6. 3. PM 4:33`; Basque: `18/6/3 (16:33)`.
            is_year_first_likely=first is not None or "(" in before,
            is_month_first_likely=is_american,
        ),
    )


def _period(found: re.Match[str], group: str) -> tuple[int, int] | None:
    """Find the longest word of the 12-hour clock in a part of a header."""
    text, offset = found[group], found.start(group)
    # `\b` does not work: the vowel signs of many scripts are not letters.
    letters = [char.isalpha() for char in (" ", *text, " ")]
    positions = range(len(text) + 1)
    starts = [i for i in positions[:-1] if letters[i + 1] and not letters[i]]
    ends = [
        i for i in positions[1:] if not letters[i + 1] and not text[i - 1].isspace()
    ]
    spans = [(start, end) for start in starts for end in ends if start < end]
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        if is_after_noon(text[start:end]) is not None:
            return offset + start, offset + end
    return None


def _frozen(found: re.Match[str], word: tuple[int, int] | None) -> str:
    """Return a regular expression for headers of the same layout."""
    names = ("date", "hour", "minute", "second")
    spans = {name: found.span(name) for name in names if found[name] is not None}
    if word:
        spans["word"] = word
    atoms, at = [""], 0
    for name, (start, end) in sorted(spans.items(), key=lambda item: item[1]):
        between = found.string[at:start]
        atoms += map(_literal, between.rstrip(" _") if name == "word" else between)
        if name == "date":
            parts = _PART.findall(found.string[start:end])
            atoms.append(f"(?P<date>{_ANY_MARKS.join(map(_date_atom, parts))})")
        else:
            atoms.append(_SHAPES[name])
        at = end
    atoms += map(_literal, found.string[at : found.end()])
    if found["bracket"]:
        atoms.append(f"{_ANY_SPACE}?")
    missing = [f"(?P<{name}>)" for name in ("second", "word") if name not in spans]
    return _ANY_MARKS.join(atoms) + "".join(missing)


def _literal(char: str) -> str:
    return _ANY_SPACE if char == " " else re.escape(char)


def _date_atom(part: str) -> str:
    if part.isdecimal():
        return r"\d{4}" if len(part) > _PAIR else r"\d{1,2}"
    is_era = part == "令和" or (part.isascii() and part.isalpha())
    return _ERA if is_era else _literal(part)

"""Headers of messages: the layout of a file's date and time, learned from its lines.

The exporter formats all stamps of a file in one run, so one file has one layout. It is
found once; then only lines in that layout are headers, and a header that somebody
pasted from another phone stays text. Language, region and clock mix freely, so a
layout is learned and never looked up.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.whatsapp.day_periods import is_period

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "MARKS",
    "Layout",
    "Learned",
    "learn_layouts",
    "parse_header",
    "plain_text",
]

MARKS = "\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff"
"""Characters without a width, for a character class: direction marks and the like."""

_SPACES = " \u00a0\u202f\u2009"
_MAX_HEADER_LENGTH = 100
_MAX_INNER_LENGTH = 70
_MAX_CANDIDATES = 300
_YEAR_DIGITS = 4
_MAX_HOUR = 24
_MAX_MINUTE = 59
_NUMBERS_WITHOUT_SECONDS = 5
_PAIR = 2
_NUMBERS = 6

_MARK = re.compile(f"[{MARKS}]")
_SPACE = re.compile(f"[{_SPACES}]")
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile("[0-9]+")
# A first look, which most lines that are no headers do not pass.
_MAY_BE_HEADER = re.compile(rf"[{MARKS}]*\[?[^\d\n]{{0,24}}\d{{1,4}}[^\d\n]{{1,6}}\d")
_FRAME_ENDS = (" - ", ": ")
_MAX_ENDS = 3
_DATE_SEPARATOR = re.compile(r"\s?[/.\-–年月]\s?(?P<era>[A-Za-z]|令和)?")
_TIME_SEPARATOR = re.compile(r"\s?(?:[:.٫]|[^\W\d_]{1,4})\s?")
_ERA_AT_START = re.compile(r"(?:[A-Za-z]|令和)")
_MAX_JOINT_LENGTH = 24
_MAX_TAIL_LENGTH = 24
# Tabs, and ISO 8601's T between date and time, are of logs.
_JOINT_WITHOUT_PERIOD = re.compile(r"(?!T$)[^\d:/\[\]\t]{1,16}")
_TAIL_WITHOUT_PERIOD = re.compile(r"[^\d:/\[\]\t]{0,8}")

_ANY_SPACE = f"[{_SPACES}]"
_ANY_MARKS = f"[{MARKS}]{{0,4}}"
# LangChain's document loader has a sample with an underscore before "AM".
_PERIOD_SPACE = f"[{_SPACES}_]{{0,2}}"
_PERIOD = r"[^\W\d_][^\d\[\]:\n]{0,24}?"
_ERA = r"(?:[A-Za-z]|令和)"


class Layout(NamedTuple):
    """How the headers of a file are written."""

    atoms: tuple[str, ...]
    """The parts of the regular expression, with groups for date and time."""

    frame: str
    """`[` for `[date] `, `-` for `date - `, `:` for `date: `."""

    year: str | None
    """Whether the year is `first` or `last` in the date; `None` if both can be."""

    groups: tuple[int, ...]
    """The groups of date, hour, minute, second and day period; some may be empty."""

    has_period: bool
    """Whether it is a 12-hour clock, with a word before or after the time."""

    has_slashes: bool
    """Whether the date is written with slashes."""

    is_year_first_likely: bool
    """Whether only languages that put the year first write so (Korean, Basque)."""

    @property
    def is_month_first_likely(self) -> bool:
        """Whether mostly Americans write so, if no number has a zero before it."""
        return self.has_slashes and self.year is None and self.has_period

    def compiled(self, *, has_marks: bool) -> re.Pattern[str]:
        """Return the regular expression of these headers.

        Args:
            has_marks: Whether marks can stand between the parts.
        """
        marks = _ANY_MARKS if has_marks else ""
        # Before a group and not in it, where they would be part of a number.
        parts = [
            atom if atom == ")" or before == "(" else f"{marks}{atom}"
            for before, atom in zip(("", *self.atoms), self.atoms, strict=False)
        ]
        return re.compile(f"{_ANY_MARKS}{''.join(parts)}")


class Learned(NamedTuple):
    """The layouts of a file, the most frequent one first."""

    layouts: tuple[Layout, ...]
    has_marks: bool
    """Whether some header has marks inside."""

    candidates: int
    """How many lines looked like headers."""

    def compiled(self) -> list[re.Pattern[str]]:
        """Return one regular expression a layout."""
        return [one.compiled(has_marks=self.has_marks) for one in self.layouts]


def learn_layouts(lines: Iterable[str]) -> Learned:
    """Find the layout that most lines have that look like headers.

    Args:
        lines: Lines from the beginning of a file; some hundred headers are enough.

    Returns:
        One layout; several for a file that somebody put together from many, where no
        layout has most of the candidates, or another one than the file begins with;
        none for what is not a chat.
    """
    found: Counter[Layout] = Counter()
    has_marks = False
    candidates = 0
    # Parsing is slow: a layout that is known is told by its patterns.
    known: list[tuple[Layout, re.Pattern[str], re.Pattern[str]]] = []
    for line in lines:
        if not _MAY_BE_HEADER.match(line):
            continue
        of_line = next((one for one in known if one[2].match(line)), None)
        if of_line is None:
            layout = parse_header(line)
            if layout is None:
                continue
            plain, marked = (layout.compiled(has_marks=has) for has in (False, True))
            of_line = (layout, plain, marked)
            known.append(of_line)
        found[of_line[0]] += 1
        has_marks = has_marks or not of_line[1].match(line)
        candidates += 1
        if candidates >= _MAX_CANDIDATES:
            break
    ranked = found.most_common()
    # A counter keeps the order in which its keys came.
    begins_with_most = bool(ranked) and ranked[0][0] == next(iter(found))
    if begins_with_most and _has_most(ranked[0][1], candidates, len(ranked)):
        ranked = ranked[:1]
    return Learned(tuple(layout for layout, _ in ranked), has_marks, candidates)


def _has_most(count: int, total: int, layouts: int) -> bool:
    # Next to the layout of the file there may be one that somebody pasted a log of;
    # three and more are a file that was put together.
    return count * 3 >= total * 2 or (layouts <= _PAIR and count * 2 > total)


def plain_text(text: str) -> str:
    """Return a text without marks, with plain spaces and ASCII digits."""
    if text.isascii():
        return text
    spaced = _SPACE.sub(" ", _MARK.sub("", text))
    return _DIGIT.sub(_ascii_digit, spaced)


def parse_header(line: str) -> Layout | None:
    """Return the layout of a header, or `None` if a line does not begin with one."""
    head = plain_text(line[:_MAX_HEADER_LENGTH])
    if head.startswith("["):
        inner, bracket, _ = head[1:].partition("]")
        if not bracket or len(inner) > _MAX_INNER_LENGTH:
            return None
        return _parse_inner(inner, "[")
    for end in _FRAME_ENDS:
        at = -1
        for _ in range(_MAX_ENDS):
            at = head.find(end, at + 1, _MAX_INNER_LENGTH)
            if at < 0:
                break
            layout = _parse_inner(head[:at], end.strip())
            if layout is not None:
                return layout
    return None


def _ascii_digit(found: re.Match[str]) -> str:
    return str(unicodedata.decimal(found[0]))


def _parse_inner(inner: str, frame: str) -> Layout | None:
    numbers = list(_DIGITS.finditer(inner))
    if len(numbers) not in {_NUMBERS_WITHOUT_SECONDS, _NUMBERS}:
        return None
    ends = [0, *(number.end() for number in numbers)]
    starts = [*(number.start() for number in numbers), len(inner)]
    between = [inner[end:start] for end, start in zip(ends, starts, strict=True)]
    digits = [number[0] for number in numbers]
    return _date_first(digits, between, frame) or _time_first(digits, between, frame)


def _date_first(digits: list[str], between: list[str], frame: str) -> Layout | None:
    era = between[0].strip()
    if era and not _ERA_AT_START.fullmatch(era):
        return None
    date = _parse_date(digits[:3], between[1:3], has_era=bool(era))
    time = _parse_time(digits[3:], between[4:-1])
    joint = _parse_joint(between[3])
    tail = _parse_tail(between[-1])
    if date is None or time is None or joint is None or tail is None:
        return None
    if joint.has_period and tail.has_period:
        return None
    return _layout(
        frame=frame,
        date=date,
        is_time_first=False,
        is_before=joint.has_period,
        is_after=tail.has_period,
        parts=[
            date.atoms,
            joint.before,
            joint.period,
            joint.after,
            time,
            tail.period,
            tail.after,
        ],
    )


def _time_first(digits: list[str], between: list[str], frame: str) -> Layout | None:
    date = _parse_date(digits[-3:], between[-3:-1], has_era=False)
    time = _parse_time(digits[:-3], between[1:-4])
    start = _parse_start(between[0])
    joint = _parse_tail(between[-4])
    if date is None or time is None or start is None or joint is None:
        return None
    if (start.has_period and joint.has_period) or not between[-4]:
        return None
    if not _TAIL_WITHOUT_PERIOD.fullmatch(between[-1]):
        return None
    return _layout(
        frame=frame,
        date=date,
        is_time_first=True,
        is_before=start.has_period,
        is_after=joint.has_period,
        parts=[
            start.before,
            start.period,
            start.after,
            time,
            joint.period,
            joint.after,
            date.atoms,
            _literal(between[-1]),
        ],
    )


def _layout(
    *,
    frame: str,
    date: _Date,
    is_time_first: bool,
    is_before: bool,
    is_after: bool,
    parts: list[list[str]],
) -> Layout:
    # Groups in their order: the period before the time, the time, the one behind it.
    hour, before = (2, 1) if is_time_first else (3, 2)
    places = (hour, hour + 1, hour + 2, before if is_before else hour + 3)
    atoms = [atom for part in parts for atom in part]
    if frame == "[":
        atoms = [r"\[", *atoms, r"\]", f"{_ANY_SPACE}?"]
    elif frame == "-":
        atoms = [*atoms, _ANY_SPACE, "-", _ANY_SPACE]
    else:
        atoms = [*atoms, ":", _ANY_SPACE]
    # Korean: `18. 6. 3. PM 4:33` and `26/01/28 PM 4:33`; Basque: `18/6/3 (16:33)`.
    return Layout(
        atoms=tuple(atoms),
        frame=frame,
        year=date.year,
        groups=(6 if is_time_first else 1, *places),
        has_period=is_before or is_after,
        has_slashes="/" in date.atoms,
        is_year_first_likely=is_before or r"\(" in atoms,
    )


class _Date(NamedTuple):
    atoms: list[str]
    year: str | None


class _Period(NamedTuple):
    """What stands around a day period, or a text without one (all in `after`)."""

    before: list[str]
    has_period: bool
    after: list[str]

    @property
    def period(self) -> list[str]:
        """The group of the day period, empty if there is none."""
        return [_PERIOD_SPACE, "(", _PERIOD, ")"] if self.has_period else ["(", ")"]


def _parse_date(
    digits: list[str], separators: list[str], *, has_era: bool
) -> _Date | None:
    found = [_DATE_SEPARATOR.fullmatch(one) for one in separators]
    first, second = found
    if first is None or second is None or first["era"]:
        return None
    widths = [len(one) for one in digits]
    year = "first" if has_era else "last" if second["era"] else None
    for place, name in ((0, "first"), (2, "last")):
        if widths[place] == _YEAR_DIGITS:
            if year is not None:
                return None
            year, widths[place] = name, 0
    if max(widths) > 2:  # noqa: PLR2004 - day and month
        return None
    parts = [r"\d{1,2}" if width else r"\d{4}" for width in widths]
    eras = [_ERA] if has_era else []
    later = [_ERA] if second["era"] else []
    atoms = [
        "(",
        *eras,
        parts[0],
        *_literal(separators[0]),
        parts[1],
        *_literal(separators[1].removesuffix(second["era"] or "")),
        *later,
        parts[2],
        ")",
    ]
    return _Date(atoms, year)


def _parse_time(digits: list[str], separators: list[str]) -> list[str] | None:
    hour, *rest = digits
    if len(hour) > 2 or int(hour) > _MAX_HOUR:  # noqa: PLR2004 - digits of an hour
        return None
    if any(len(one) != 2 or int(one) > _MAX_MINUTE for one in rest):  # noqa: PLR2004
        return None
    if not all(map(_TIME_SEPARATOR.fullmatch, separators)):
        return None
    atoms = ["(", r"\d{1,2}", ")"]
    for separator in separators:
        atoms += [*_literal(separator), "(", r"\d{2}", ")"]
    return atoms if len(separators) > 1 else [*atoms, "(", ")"]


def _parse_joint(text: str) -> _Period | None:
    """Parse what stands between a date and its time, with a day period or without."""
    if not text or len(text) > _MAX_JOINT_LENGTH:
        return None
    found = _find_period(text)
    if found is not None:
        start, end = found
        before, after = _literal(text[:start]), _literal(text[end:])
        return _Period(before, has_period=True, after=after)
    if not _JOINT_WITHOUT_PERIOD.fullmatch(text):
        return None
    return _Period(_literal(text), has_period=False, after=[])


def _parse_start(text: str) -> _Period | None:
    if not text:
        return _Period([], has_period=False, after=[])
    return _parse_joint(text)


def _parse_tail(text: str) -> _Period | None:
    """Parse what follows a time, with a day period or without."""
    if len(text) > _MAX_TAIL_LENGTH:
        return None
    found = _find_period(text)
    if found is not None and not text[: found[0]].strip(" _."):
        return _Period([], has_period=True, after=_literal(text[found[1] :]))
    if not _TAIL_WITHOUT_PERIOD.fullmatch(text):
        return None
    return _Period([], has_period=False, after=_literal(text))


def _find_period(text: str) -> tuple[int, int] | None:
    """Find the longest word of the 12-hour clock in a text, and where it stands."""
    places = range(len(text))
    for length in range(len(text), 0, -1):
        for start in places[: len(text) - length + 1]:
            word = text[start : start + length]
            if _is_whole(text, start, start + length) and is_period(word):
                return start, start + length
    return None


def _is_whole(text: str, start: int, end: int) -> bool:
    if not (text[start].isalpha() and not text[end - 1].isspace()):
        return False
    is_begun = start == 0 or not text[start - 1].isalpha()
    is_ended = end == len(text) or not text[end].isalpha()
    return is_begun and is_ended


def _literal(text: str) -> list[str]:
    return [_ANY_SPACE if one == " " else re.escape(one) for one in text]

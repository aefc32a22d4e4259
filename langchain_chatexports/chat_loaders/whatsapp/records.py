"""The records of an exported file: headers, and the lines that belong to each."""

import codecs
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import IO, NamedTuple

from langchain_chatexports.chat_loaders.date_order import (
    DateStamp,
    Order,
    day_of,
    find_order,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    Layout,
    Learned,
    learn_layouts,
)
from langchain_chatexports.chat_loaders.whatsapp.phrases import plain_text

# A message holds at most 65,536 characters. A longer line is no message; cutting it
# keeps a file without line ends from being read at once.
_MAX_LINE = 1 << 18
_MAX_TAIL = 1 << 20
_MAX_LEADING = 4
_GROUPS = ("date", "hour", "minute", "second", "word")


class Record(NamedTuple):
    """A header with its lines."""

    date: int
    """The place of its date among the file's dates."""

    seconds: int
    """Seconds since midnight."""

    line: str
    start: int
    """Where name and text begin in the line."""

    tail: str | None
    """The following lines, joined with line feeds."""

    @property
    def head(self) -> str:
        """The line behind the header: name and text, or a line of the app."""
        return self.line[self.start :]


@dataclass
class Records:
    """What the lines of one file are."""

    layouts: tuple[Layout, ...]
    records: list[Record] = field(default_factory=list)
    dates: list[DateStamp] = field(default_factory=list)
    """The file's different dates."""

    layout_of: list[int] = field(default_factory=list)
    """The layout of each date."""

    runs: list[int] = field(default_factory=list)
    """The places of the dates in the order of the file, where the date changes."""

    leading: list[str] = field(default_factory=list)
    """The first lines before the first header."""

    lost_lines: int = 0
    """Lines of no message: before the first one, or behind a far too long one."""

    def orders(
        self, chosen: str | None, known: Mapping[Layout, str] | None = None
    ) -> list[Order]:
        """Return the order of day, month and year in each layout.

        Args:
            chosen: The order that the user gave.
            known: The orders of layouts in other chats of the same phone, for dates
                that do not say it themselves.
        """
        counts = Counter(record.date for record in self.records)
        found = []
        for number, layout in enumerate(self.layouts):
            runs = [date for date in self.runs if self.layout_of[date] == number]
            of_layout = {date: counts[date] for date in set(runs)}
            order = chosen or (known or {}).get(layout)
            found.append(find_order(self.dates, runs, layout, of_layout, order))
        return found

    def days(self, orders: list[Order]) -> list[int | None]:
        """Return the day of each date, since 1970-01-01.

        Lines with dates that do not exist in these orders become text: a pasted
        header of a phone that writes dates in another order.
        """
        foreign = {date for order in orders for date in order.foreign}
        if foreign:
            self._take_as_text(foreign)
        return [
            None if place in foreign else day_of(date, orders[layout].order)
            for place, (date, layout) in enumerate(
                zip(self.dates, self.layout_of, strict=True)
            )
        ]

    def steps_back(self, days: list[int | None]) -> int:
        """Count how often a day is followed by an older one."""
        known = [day for date in self.runs if (day := days[date]) is not None]
        return sum(day < before for before, day in pairwise(known))

    def _take_as_text(self, foreign: Collection[int]) -> None:
        records, self.records = self.records, []
        self.runs = [date for date in self.runs if date not in foreign]
        tail: list[str] = []
        for record in records:
            if record.date not in foreign:
                self._end(tail)
                tail = [] if record.tail is None else [record.tail]
                self.records.append(record)
            elif self.records:
                tail += [record.line, *([record.tail] if record.tail else [])]
            else:
                lines = [record.line, *(record.tail or "").split("\n")]
                self.lost_lines += sum(map(bool, map(str.strip, lines)))
        self._end(tail)

    def _end(self, lines: list[str]) -> None:
        """Give the last record its lines."""
        tail = "\n".join(lines).rstrip("\n")
        if tail:
            self.records[-1] = self.records[-1]._replace(tail=tail)


def read_lines(file: IO[bytes]) -> Iterator[str]:
    """Read the lines of a text, without their ends.

    Only a line feed, with or without a carriage return before it, ends a line. The
    other ends of lines that Unicode knows are part of a text.
    """
    # Phones write UTF-8 without a mark. Editors add one, or save as UTF-16.
    is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    file.seek(0)
    encoding = "utf-16" if is_utf16 else "utf-8-sig"
    text = io.TextIOWrapper(file, encoding, errors="replace", newline="\n")
    try:
        while line := text.readline(_MAX_LINE):
            yield line.removesuffix("\n").removesuffix("\r")
    finally:
        text.detach()  # Whoever opened the file closes it.


def read_records(lines: Iterable[str]) -> Records:
    """Read the records of a file; none if no line is a header."""
    remaining = iter(lines)
    first: list[str] = []

    def noted() -> Iterator[str]:
        for line in remaining:
            first.append(line)
            yield line

    learned = learn_layouts(noted())
    found = Records(learned.layouts)
    if learned.layouts:
        _read(chain(first, remaining), learned, found)
    return found


def _read(lines: Iterable[str], learned: Learned, into: Records) -> None:
    readers = [
        (number, layout, pattern.match, [pattern.groupindex[name] for name in _GROUPS])
        for number, (layout, pattern) in enumerate(
            zip(learned.layouts, learned.patterns, strict=True)
        )
    ]
    records, runs = into.records, into.runs
    places: dict[tuple[int, str], int] = {}
    tail: list[str] = []
    length, last = 0, -1
    for line_number, line in enumerate(lines, 1):
        for number, layout, match, groups in readers:
            found = match(line)
            if found is None:
                continue
            date, *clock = found.group(*groups)
            seconds = layout.seconds(*clock)
            if seconds is not None:
                break
        else:
            if not records:
                into.lost_lines += bool(line.strip())
                if line.strip() and len(into.leading) < _MAX_LEADING:
                    into.leading.append(line)
            elif length > _MAX_TAIL:
                into.lost_lines += bool(line.strip())
            else:
                length += len(line) + 1
                tail.append(line)
            continue
        if tail:
            into._end(tail)
            tail = []
        length = 0
        place = places.setdefault((number, date), len(into.dates))
        if place == len(into.dates):
            into.dates.append(DateStamp.parse(plain_text(date), line_number))
            into.layout_of.append(number)
        if place != last:
            runs.append(place)
            last = place
        records.append(Record(place, seconds, line, found.end(), None))
    if tail:
        into._end(tail)

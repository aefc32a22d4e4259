"""The records of an exported file: headers with their lines."""

import codecs
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import IO, NamedTuple

from langchain_chatexports.chat_loaders.date_order import (
    DateStamp,
    Order,
    day_of,
    find_order,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    Layout,
    learn_layouts,
    seconds_of_day,
)
from langchain_chatexports.chat_loaders.whatsapp.phrases import plain_text

# A message has at most 65,536 characters. Longer lines are cut, so that a file without
# line ends is not read at once.
_MAX_LINE = 1 << 18
_CHECKED = 1 << 12
_GROUPS = ("date", "hour", "minute", "second", "word")


class Record(NamedTuple):
    """A header with its lines."""

    date: int  # The index of its date in `Records.dates`.
    seconds: int  # Seconds since midnight.
    header: str
    head: str  # The rest of its line: name and text, or a sentence of the app.
    tail: str | None = None  # The next lines, joined with line feeds.


class Records:
    """The records of a file."""

    def __init__(
        self, lines: Iterable[str], check_count: Callable[[int], object] = bool
    ) -> None:
        """Read the lines; without a header there are no records.

        `check_count` raises an error for an implausible number of records.
        """
        self.records: list[Record] = []
        # The distinct dates of the file, and the layout of each.
        self.dates: list[tuple[DateStamp, int]] = []
        # Indexes of dates in the order of the file, one per change of the date.
        self.runs: list[int] = []
        self.leading = ""  # The first line, if it has no header.
        # The number of lines before the first message, without blank ones.
        self.lost_lines = 0
        listed = list(lines)
        self.layouts = learn_layouts(listed)
        if self.layouts:
            self._read(listed, check_count)

    def orders(
        self, chosen: str | None, known: Mapping[Layout, str] | None = None
    ) -> list[Order]:
        """Return the order of day, month and year in each layout.

        `chosen` is the user's order, `known` are the orders in the phone's other chats.
        """
        counts = Counter(record.date for record in self.records)
        stamps = [stamp for stamp, _ in self.dates]
        found = []
        for number, layout in enumerate(self.layouts):
            runs = [date for date in self.runs if self.dates[date][1] == number]
            of_layout = {date: counts[date] for date in set(runs)}
            order = chosen or (known or {}).get(layout)
            found.append(find_order(stamps, runs, layout.dates, of_layout, order))
        return found

    def days(self, orders: list[Order]) -> list[int | None]:
        """Return the day of each date, since 1970-01-01.

        Lines with dates that do not exist become text: they are headers pasted from a
        phone with another date order.
        """
        foreign = {date for order in orders for date in order.foreign}
        if foreign:
            records, self.records = self.records, []
            self.runs = [date for date in self.runs if date not in foreign]
            tail: list[str] = []
            for record in records:
                if record.date not in foreign:
                    self._end(tail)
                    self.records.append(record)
                else:
                    tail.append(record.header + record.head)
                tail += [] if record.tail is None else [record.tail]
            self._end(tail)
        return [
            None if index in foreign else day_of(stamp, orders[layout].order)
            for index, (stamp, layout) in enumerate(self.dates)
        ]

    def _read(self, lines: Iterable[str], check_count: Callable[[int], object]) -> None:
        readers = [
            (number, pattern.match, [pattern.groupindex[name] for name in _GROUPS])
            for number, pattern in enumerate(one.pattern for one in self.layouts)
        ]
        indexes: dict[tuple[str, int], int] = {}
        tail: list[str] = []
        last = -1
        for number, line in enumerate(lines, 1):
            for layout, match, groups in readers:  # noqa: B007 - used below
                found = match(line)
                if found is None:
                    continue
                date, hour, minute, second, word = found.group(*groups)
                seconds = seconds_of_day(hour, minute, second, word)
                if seconds is not None:
                    break
            else:
                tail.append(line)
                continue
            if tail:
                self._end(tail)
            index = indexes.setdefault((date, layout), len(self.dates))
            if index == len(self.dates):
                stamp = DateStamp.parse(plain_text(date), number)
                self.dates.append((stamp, layout))
            if index != last:
                self.runs.append(index)
                last = index
            if len(self.records) % _CHECKED == 0:
                check_count(len(self.records))
            end = found.end()
            self.records.append(Record(index, seconds, line[:end], line[end:]))
        self._end(tail)

    def _end(self, lines: list[str]) -> None:
        """Add lines to the last record; lines before the first one are lost."""
        text = "\n".join(lines).rstrip("\n")
        lines.clear()
        if self.records:
            self.records[-1] = self.records[-1]._replace(tail=text or None)
        else:
            lost = [line for line in text.split("\n") if line.strip()]
            self.leading = self.leading or "".join(lost[:1])
            self.lost_lines += len(lost)


def read_lines(file: IO[bytes]) -> Iterator[str]:
    r"""Read the lines of a text, without their ends.

    Lines end with `\n` or `\r\n`. Other line separators of Unicode are part of a text.
    """
    # Phones write UTF-8 without a byte order mark; editors add one, or save as UTF-16.
    is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    file.seek(0)
    encoding = "utf-16" if is_utf16 else "utf-8-sig"
    text = io.TextIOWrapper(file, encoding, errors="replace", newline="\n")
    try:
        while line := text.readline(_MAX_LINE):
            yield line.removesuffix("\n").removesuffix("\r")
    finally:
        with suppress(ValueError):  # After an error it may already be closed.
            text.detach()  # The caller closes the file.

"""Read the records of an exported file: headers and the lines that follow."""

import codecs
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import IO, NamedTuple

from langchain_chatexports.chat_loaders.date_order import (
    DateStamp,
    Order,
    days_since_1970,
    find_order,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    Layout,
    learn_layouts,
    seconds_of_day,
)
from langchain_chatexports.chat_loaders.whatsapp.phrases import to_plain_text

# Messages have at most 65,536 characters. Longer lines are split, so that no file is
# read as a single line.
_MAX_LINE = 1 << 18
_RECORDS_PER_CHECK = 1 << 12
_GROUPS = ("date", "hour", "minute", "second", "marker")


class Record(NamedTuple):
    """A header and the lines that follow."""

    date: int  # The index of its date in `Records.dates`.
    seconds: int  # Seconds since midnight.
    header: str
    head: str  # The rest of the line: name and text, or a notice.
    tail: str | None = None  # The following lines, joined with line feeds.


class Records:
    """The records of a file."""

    def __init__(
        self, lines: Iterable[str], check_count: Callable[[int], object] = bool
    ) -> None:
        """Read the lines. Without a header, there are no records.

        `check_count` is called with the number of records so far, and raises an error
        if it is implausibly high.
        """
        self.records: list[Record] = []
        # The distinct dates of the file, each with the index of its layout.
        self.dates: list[tuple[DateStamp, int]] = []
        # The indexes of the dates in file order, one for each change of date.
        self.date_sequence: list[int] = []
        self.leading_line = ""  # The first line, if it has no header.
        # The number of lines before the first message, except blank ones.
        self.unreadable_lines = 0
        lines = list(lines)
        self.layouts = learn_layouts(lines)
        if self.layouts:
            self._read(lines, check_count)

    def orders(
        self, chosen_order: str | None, known_orders: Mapping[Layout, str] | None = None
    ) -> list[Order]:
        """Return the order of day, month and year for each layout.

        `chosen_order` is the user's option, and `known_orders` are from other chats on
        the same phone.
        """
        counts = Counter(record.date for record in self.records)
        stamps = [stamp for stamp, _ in self.dates]
        orders = []
        for index, layout in enumerate(self.layouts):
            dates = [i for i in self.date_sequence if self.dates[i][1] == index]
            date_counts = {date: counts[date] for date in set(dates)}
            order = chosen_order or (known_orders or {}).get(layout)
            orders.append(find_order(stamps, dates, layout.dates, date_counts, order))
        return orders

    def days(self, orders: list[Order]) -> list[int | None]:
        """Return the days since 1970-01-01 for each date.

        Lines with impossible dates become text, since they were pasted from a phone
        with a different date order.
        """
        foreign = {date for order in orders for date in order.invalid}
        if foreign:
            records, self.records = self.records, []
            self.date_sequence = [
                date for date in self.date_sequence if date not in foreign
            ]
            tail: list[str] = []
            for record in records:
                if record.date not in foreign:
                    self._add_lines(tail)
                    self.records.append(record)
                else:
                    tail.append(record.header + record.head)
                tail += [] if record.tail is None else [record.tail]
            self._add_lines(tail)
        return [
            None if index in foreign else days_since_1970(stamp, orders[layout].order)
            for index, (stamp, layout) in enumerate(self.dates)
        ]

    def _read(self, lines: Iterable[str], check_count: Callable[[int], object]) -> None:
        readers = [
            (index, pattern.match, [pattern.groupindex[name] for name in _GROUPS])
            for index, pattern in enumerate(layout.pattern for layout in self.layouts)
        ]
        indexes: dict[tuple[str, int], int] = {}
        tail: list[str] = []
        last_index = -1
        for line_number, line in enumerate(lines, 1):
            for layout, match_header, groups in readers:  # noqa: B007 - used below
                match = match_header(line)
                if match is None:
                    continue
                date, hour, minute, second, marker = match.group(*groups)
                seconds = seconds_of_day(hour, minute, second, marker)
                if seconds is not None:
                    break
            else:
                tail.append(line)
                continue
            if tail:
                self._add_lines(tail)
            index = indexes.setdefault((date, layout), len(self.dates))
            if index == len(self.dates):
                stamp = DateStamp.parse(to_plain_text(date), line_number)
                self.dates.append((stamp, layout))
            if index != last_index:
                self.date_sequence.append(index)
                last_index = index
            if len(self.records) % _RECORDS_PER_CHECK == 0:
                check_count(len(self.records))
            end = match.end()
            self.records.append(Record(index, seconds, line[:end], line[end:]))
        self._add_lines(tail)

    def _add_lines(self, lines: list[str]) -> None:
        """Add lines to the last record, or count them if there is none."""
        text = "\n".join(lines).rstrip("\n")
        lines.clear()
        if self.records:
            self.records[-1] = self.records[-1]._replace(tail=text or None)
        else:
            unreadable = [line for line in text.split("\n") if line.strip()]
            self.leading_line = self.leading_line or "".join(unreadable[:1])
            self.unreadable_lines += len(unreadable)


def read_lines(file: IO[bytes]) -> Iterator[str]:
    r"""Yield the lines of a text file without their line breaks.

    Line breaks are `\n` and `\r\n`. Other Unicode line separators are kept as text.
    """
    # Phones write UTF-8 without a byte order mark. Editors add one, or save as UTF-16.
    is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    file.seek(0)
    encoding = "utf-16" if is_utf16 else "utf-8-sig"
    text = io.TextIOWrapper(file, encoding, errors="replace", newline="\n")
    try:
        while line := text.readline(_MAX_LINE):
            yield line.removesuffix("\n").removesuffix("\r")
    finally:
        with suppress(ValueError):  # The file may be closed after an error.
            text.detach()  # Leave closing the file to the caller.

"""Read the records of an exported file: headers and the lines that follow."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from langchain_chatexports.chat_loaders.date_order import (
    DateStamp,
    Order,
    days_since_1970,
    find_order,
)
from langchain_chatexports.chat_loaders.legacy_text import decode_text
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    Layout,
    learn_layouts,
    seconds_of_day,
)
from langchain_chatexports.chat_loaders.whatsapp.pasted import find_pasted
from langchain_chatexports.chat_loaders.whatsapp.phrases import to_plain_text

# Messages have at most 65,536 characters. Longer lines are split, so that no file is
# read as a single line.
_MAX_LINE = 1 << 18
_HEAD_LENGTH = 1 << 12


class Record(NamedTuple):
    """A header and the lines that follow."""

    date: int
    """The index of its date in `Records.dates`."""

    seconds: int
    """Seconds since midnight."""

    header: str
    head: str
    """The rest of the line: name and text, or a notice."""

    tail: str | None = None
    """The following lines, joined with line feeds."""


@dataclass(frozen=True)
class Records:
    """The records of a file."""

    layouts: Sequence[Layout]
    dates: Sequence[tuple[DateStamp, int]]
    """The distinct dates of the file, each with the index of its layout."""

    records: Sequence[Record]
    preamble: Sequence[str]
    """The lines before the first record, except blank ones."""

    date_orders: Sequence[Order] = ()
    """The date order of each layout, once it is known."""

    days: Sequence[int | None] = ()
    """The days since 1970 of each date; `None` if it is invalid or not supported."""

    pasted: int = 0
    """The number of headers that are text of a message."""

    pasted_days: int = 0
    """The number of those that were found by their date."""

    doubtful: int = 0
    """The number of headers that may be text of a message."""

    def orders(
        self, chosen_order: str | None, known_orders: Mapping[Layout, str] | None = None
    ) -> list[Order]:
        """Return the order of day, month and year for each layout.

        `chosen_order` is the user's option, and `known_orders` are from other chats on
        the same phone.
        """
        counts = Counter(record.date for record in self.records)
        changes = [date for date, _ in groupby(record.date for record in self.records)]
        stamps = [stamp for stamp, _ in self.dates]
        orders = []
        for index, layout in enumerate(self.layouts):
            dates = [date for date in changes if self.dates[date][1] == index]
            date_counts = {date: counts[date] for date in set(dates)}
            order = chosen_order or (known_orders or {}).get(layout)
            orders.append(find_order(stamps, dates, layout.dates, date_counts, order))
        return orders

    def dated(self, orders: Sequence[Order]) -> "Records":
        """Return the records with their days, and pasted ones as text.

        Records with an invalid date were pasted from a phone with another date order.
        """
        days = [
            None
            if index in orders[layout].invalid
            else days_since_1970(stamp, orders[layout].order)
            for index, (stamp, layout) in enumerate(self.dates)
        ]
        invalid = {date for order in orders for date in order.invalid}
        pasted = {i for i, record in enumerate(self.records) if record.date in invalid}
        records = replace(self, date_orders=orders, days=days).as_text(pasted)
        if len(self.layouts) > 1:  # A file that was joined by hand is in any order.
            return records
        pasted, doubtful = find_pasted([days[item.date] for item in records.records])
        return replace(
            records.as_text(pasted), pasted_days=len(pasted), doubtful=doubtful
        )

    def as_text(self, indexes: Collection[int]) -> "Records":
        """Return the records without some, which become text of the one before."""
        if not indexes:
            return self
        parts: list[Record | str] = []
        for index, record in enumerate(self.records):
            if index in indexes:
                parts.append(record.header + record.head)
            else:
                parts.append(record._replace(tail=None))
            if record.tail is not None:
                parts.append(record.tail)
        records, preamble = _attach_lines(parts)
        return replace(
            self,
            records=records,
            preamble=[*self.preamble, *preamble],
            pasted=self.pasted + len(indexes),
        )


def parse_records(
    lines: Sequence[str], on_layout: Callable[[Layout], None] = lambda _: None
) -> Records:
    """Parse the lines of a file; without a header, there are no records."""
    layouts = learn_layouts(lines, on_layout)
    indexes: dict[tuple[str, int], int] = {}
    dates: list[tuple[DateStamp, int]] = []
    parts: list[Record | str] = []
    # iPhones end messages with CRLF, and lines within a message with LF.
    has_line_ends = bool(lines) and lines[0].endswith("\r")
    is_message_end, pasted = True, 0
    for number, raw_line in enumerate(lines, 1):
        line = raw_line.removesuffix("\r")
        found = _match_header(line, layouts)
        if found and has_line_ends and not is_message_end:
            found, pasted = None, pasted + 1
        is_message_end = raw_line.endswith("\r")
        if found is None:
            parts.append(line)
            continue
        layout, header, seconds = found
        date = header["date"]
        index = indexes.setdefault((date, layout), len(dates))
        if index == len(dates):
            dates.append((DateStamp.parse(to_plain_text(date), number), layout))
        end = header.end()
        parts.append(Record(index, seconds, line[:end], line[end:]))
    return Records(layouts, dates, *_attach_lines(parts), pasted=pasted)


def _match_header(
    line: str, layouts: Iterable[Layout]
) -> tuple[int, re.Match[str], int] | None:
    """Return the index of a header's layout, its match, and the seconds of its day."""
    for index, layout in enumerate(layouts):
        if match := layout.pattern.match(line):
            clock = match.group("hour", "minute", "second", "marker")
            seconds = seconds_of_day(*clock)
            if seconds is not None:
                return index, match, seconds
    return None


def _attach_lines(parts: Iterable[Record | str]) -> tuple[list[Record], list[str]]:
    """Attach each line to the record before; lines before any record are separate."""
    records: list[Record] = []
    lines_by_record: dict[int, list[str]] = defaultdict(list)
    for part in parts:
        if isinstance(part, str):
            lines_by_record[len(records) - 1].append(part)
        else:
            records.append(part)
    preamble = "\n".join(lines_by_record.pop(-1, ())).split("\n")
    for index, lines in lines_by_record.items():
        tail = "\n".join(lines).rstrip("\n") or None
        records[index] = records[index]._replace(tail=tail)
    return records, [line for line in preamble if line.strip()]


def split_lines(data: bytes, *, is_cut: bool = False) -> tuple[list[str], str]:
    r"""Return the lines of a text file without their `\n`, and its legacy encoding.

    A `\r` before it shows the end of a message. Other Unicode line separators are kept
    as text. `is_cut` is true for the first bytes of a file, and the encoding is empty
    if it is Unicode.
    """
    text, encoding = decode_text(data, is_cut=is_cut)
    head = text[:_HEAD_LENGTH]
    if "\r" in head and "\n" not in head:  # From an old program for the Mac.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.removesuffix("\n").split("\n")
    if max(map(len, lines)) > _MAX_LINE:
        lines = [
            line[start : start + _MAX_LINE]
            for line in lines
            for start in range(0, len(line) or 1, _MAX_LINE)
        ]
    return lines, encoding

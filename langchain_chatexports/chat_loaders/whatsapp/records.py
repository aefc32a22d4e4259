"""The records of a chat: headers, and the lines that belong to each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from langchain_chatexports.chat_loaders.date_order import DateStamp, find_order
from langchain_chatexports.chat_loaders.whatsapp.clock import HourSeconds, PartSeconds
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    Learned,
    learn_layouts,
    plain_text,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable, Mapping

    from langchain_chatexports.chat_loaders.date_order import Order
    from langchain_chatexports.chat_loaders.whatsapp.headers import Layout

__all__ = ["RawChat", "Record", "read_records"]

# One header with its lines. A plain tuple, because there are millions. Its fields:
#   place    which of the file's dates
#   seconds  since midnight
#   head     the rest of the header's line: name and text, or a system line
#   tail     the following lines, if there are any; joined with line feeds
Record: TypeAlias = tuple[int, int, str, "str | None"]

_BLOCKS_TO_LEARN_FROM = 4
_ENOUGH_CANDIDATES = 100
# A message holds at most 65,536 characters; beyond this, lines are no message.
_MAX_TAIL_LENGTH = 1 << 20
_PLACE = itemgetter(0)


@dataclass
class RawChat:
    """What the lines of one file say, before anything is made of it."""

    learned: Learned
    records: list[Record] = field(default_factory=list)
    stamps: list[DateStamp] = field(default_factory=list)
    """The file's different dates."""

    layout_of: list[int] = field(default_factory=list)
    """The layout of each date."""

    runs: list[int] = field(default_factory=list)
    """The dates in the order of the file, where the date changes."""

    texts: list[tuple[int, str]] = field(default_factory=list)
    """The layout and the characters of each date."""

    leading: list[str] = field(default_factory=list)
    """The lines before the first header that are not blank, a few of them."""

    lost_lines: int = 0
    """Lines of no message: before the first one, or behind a far too long one."""

    def orders(
        self, chosen: str | None, known: Mapping[Layout, str] | None = None
    ) -> list[Order]:
        """Return the order of the dates, for each layout.

        Args:
            chosen: The order that the user gave.
            known: The orders of layouts in other chats of the same phone, for dates
                that do not say it themselves.
        """
        counts = Counter(map(_PLACE, self.records))
        found = []
        for number, layout in enumerate(self.learned.layouts):
            runs = [place for place in self.runs if self.layout_of[place] == number]
            of_layout = {place: counts[place] for place in set(runs)}
            order = chosen or (known or {}).get(layout)
            found.append(find_order(self.stamps, runs, layout, of_layout, order))
        return found


def read_records(
    blocks: Iterable[list[str]], foreign: Collection[tuple[int, str]] = ()
) -> RawChat:
    """Read the lines of a file.

    Args:
        blocks: Lists of lines.
        foreign: Dates (with their layout) that are no dates of this chat: lines that
            begin with them are text.

    Returns:
        What was read; without records if no line is a header.
    """
    remaining = iter(blocks)
    first: list[list[str]] = []
    learned = Learned((), has_marks=False, candidates=0)
    for block in islice(remaining, _BLOCKS_TO_LEARN_FROM):
        first.append(block)
        learned = learn_layouts(chain.from_iterable(first))
        if learned.candidates >= _ENOUGH_CANDIDATES:
            break
    chat = RawChat(learned)
    if learned.layouts:
        _Walk(chat, frozenset(foreign)).read(chain(first, remaining))
    return chat


class _Headers:
    """Reads the headers of one layout."""

    def __init__(
        self, number: int, layout: Layout, pattern: re.Pattern[str], walk: _Walk
    ) -> None:
        self.match = pattern.match
        self.groups = layout.groups
        self.places: dict[str, int | None] = {}
        self.hours = HourSeconds(has_period=layout.has_period)
        self.minutes, self.seconds = PartSeconds(60), PartSeconds(1)
        self._number = number
        self._walk = walk

    def stamp(self, found: re.Match[str], line: int) -> tuple[int, int] | None:
        """Return the date's place and the seconds of the day, if both can be."""
        date, hour, minute, second, period = found.group(*self.groups)
        time = self.hours[hour + period] + self.minutes[minute] + self.seconds[second]
        if time < 0:
            return None
        if date not in self.places:
            self.places[date] = self._walk.new_place(self._number, date, line)
        place = self.places[date]
        return None if place is None else (place, time)


class _Walk:
    """One pass over the lines of a file."""

    def __init__(self, chat: RawChat, foreign: frozenset[tuple[int, str]]) -> None:
        self._chat = chat
        self._foreign = foreign
        learned = chat.learned
        self._headers = [
            _Headers(number, layout, pattern, self)
            for number, (layout, pattern) in enumerate(
                zip(learned.layouts, learned.compiled(), strict=True)
            )
        ]
        self._lines: list[str] = []
        self._length = 0

    def new_place(self, number: int, date: str, line: int) -> int | None:
        """Return the place of a date that is met for the first time."""
        chat = self._chat
        if (number, date) in self._foreign:
            return None
        chat.stamps.append(DateStamp.parse(plain_text(date), line))
        chat.layout_of.append(number)
        chat.texts.append((number, date))
        return len(chat.stamps) - 1

    def read(self, blocks: Iterable[list[str]]) -> None:
        """Read all lines into the chat."""
        records, runs = self._chat.records, self._chat.runs
        first = self._headers[0]
        match, groups, places = first.match, first.groups, first.places
        hours, minutes, seconds = first.hours, first.minutes, first.seconds
        last = -1
        number = 0
        for block in blocks:
            for line in block:
                number += 1
                found = match(line)
                if found is not None:
                    date, hour, minute, second, period = found.group(*groups)
                    place = places.get(date)
                    time = hours[hour + period] + minutes[minute] + seconds[second]
                if found is None or place is None or time < 0:
                    # Not a header, or one of a new date or of another layout.
                    found, place, time = _first_of(self._headers, line, number)
                    if found is None:
                        self._continue(line)
                        continue
                if self._lines:
                    self._end()
                if place != last:
                    runs.append(place)
                    last = place
                records.append((place, time, line[found.end() :], None))
        self._end()

    def _continue(self, line: str) -> None:
        chat = self._chat
        if not chat.records:
            if line.strip():
                chat.lost_lines += 1
                if len(chat.leading) < _BLOCKS_TO_LEARN_FROM:
                    chat.leading.append(line)
        elif self._length > _MAX_TAIL_LENGTH:
            chat.lost_lines += bool(line.strip())
        else:
            self._length += len(line) + 1
            self._lines.append(line)

    def _end(self) -> None:
        """Add the lines that were met to the last header's record."""
        if self._lines:
            tail = "\n".join(self._lines).rstrip("\n")
            self._lines.clear()
            records = self._chat.records
            if tail and records:
                place, seconds, head, _ = records[-1]
                records[-1] = (place, seconds, head, tail)
        self._length = 0


def _first_of(
    headers: Iterable[_Headers], line: str, number: int
) -> tuple[re.Match[str] | None, int, int]:
    for one in headers:
        found = one.match(line)
        stamped = one.stamp(found, number) if found else None
        if stamped is not None:
            return found, *stamped
    return None, 0, 0

"""Several exports of one chat: what they have in common comes once.

Messages have no ids. A message of one export is that of another if sender and text are
equal and the times differ by no more than a second: of 400 messages in two exports of
an iPhone, 46 had the second before or after.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.whatsapp.senders import name_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_chatexports.chat_loaders.whatsapp.chats import Chat, Entry

__all__ = ["Export", "merge_exports"]

_DAY = 86_400
_NEAR = (-1, 0, 1)
_NEVER = -(10**12)  # Before all years.
_REWRITTEN = frozenset({"deleted", "deleted_by_owner"})
_ATTACHMENT = "\0"  # Its text depends on whether media were exported.

# Who sends one greeting to two people has it in both chats, and not their answers.
_MIN_EQUAL = 3
_MIN_SENDERS = 2


@dataclass
class Export:
    """A chat as one file has it, or several that were merged."""

    id: str
    """The chat's id, of the newest file."""

    chat: Chat
    days: list[int | None]
    """The day of each date, since 1970-01-01."""

    duplicates: int = 0
    """Records that were left out, because a newer export has them."""

    files: int = 1

    moments: list[int | None] = field(default_factory=list)
    """The local time of each entry, in seconds; only where exports are compared."""

    def time_entries(self) -> None:
        """Note the local time of each entry."""
        days = self.days
        self.moments = [
            None if (day := days[place]) is None else day * _DAY + seconds
            for place, seconds, *_ in self.chat.entries
        ]

    def take_in(self, older: Export) -> bool:
        """Add what only an older export has, if it is of the same chat.

        Returns:
            Whether it is.
        """
        pairs = _equal_entries(older, self)
        if not _are_of_one_chat(older, self, pairs):
            return False
        _pair_rewritten(older, self, pairs)
        self._add(older, pairs)
        self.chat.add_people(older.chat)
        self.duplicates += len(pairs)
        self.files += 1
        return True

    def _add(self, older: Export, pairs: dict[int, int]) -> None:
        entries, moments = self.chat.entries, self.moments
        taken = frozenset(pairs.values())
        offset = len(self.days)
        self.days += older.days
        behind: dict[int, list[int]] = defaultdict(list)
        last = -1
        for index, entry in enumerate(older.chat.entries):
            partner = pairs.get(index)
            if partner is None:
                last = self._place(older.moments[index], last, taken)
                behind[last].append(index)
                continue
            last = partner
            if entry[3] and not entries[partner][3]:
                # A caption, which only an export with media has.
                entries[partner] = _moved(entry, offset)
        merged: list[Entry] = []
        times: list[int | None] = []
        for place in range(-1, len(entries)):
            if place >= 0:
                merged.append(entries[place])
                times.append(moments[place])
            for index in behind.get(place, ()):
                merged.append(_moved(older.chat.entries[index], offset))
                times.append(older.moments[index])
        entries[:], moments[:] = merged, times

    def _place(self, moment: int | None, last: int, taken: frozenset[int]) -> int:
        """Return behind which entry one of the other export belongs."""
        following = last + 1
        while following < len(self.moments) and following not in taken:
            time = self.moments[following]
            if moment is None or time is None or time > moment:
                break
            last, following = following, following + 1
        return last


def merge_exports(exports: Iterable[Export]) -> list[Export]:
    """Merge exports of one chat; those of other chats of its name stay.

    Args:
        exports: Exports whose chats have one name.

    Returns:
        The chats, newest first. Exports are of one chat if of the time that both cover
        they have half of their typed messages in common: three or more, and not of one
        person only, unless the chat is named after that one.
    """
    newest_first = list(exports)
    for export in newest_first:
        export.time_entries()
    newest_first.sort(key=_end_and_length, reverse=True)
    found: list[Export] = []
    for older in newest_first:
        if not any(newer.take_in(older) for newer in found):
            found.append(older)
    return found


def _end_and_length(export: Export) -> tuple[int, int]:
    _, end = _span(export)
    return end, len(export.moments)


def _equal_entries(older: Export, newer: Export) -> dict[int, int]:
    """Return which entries are equal: places in the newer export by the older's."""
    names = newer.chat.names
    waiting: dict[tuple[str | None, str, int | None], list[int]] = defaultdict(list)
    for index in range(len(newer.moments) - 1, -1, -1):
        entry = newer.chat.entries[index]
        key = entry[2] and names[entry[2]], _said(entry), newer.moments[index]
        waiting[key].append(index)
    pairs: dict[int, int] = {}
    names = older.chat.names
    timed = [
        (moment, i) for i, moment in enumerate(older.moments) if moment is not None
    ]
    # By time, and the earliest first: else an equal one a second later stays alone.
    for moment, index in sorted(timed):
        entry = older.chat.entries[index]
        name, said = entry[2] and names[entry[2]], _said(entry)
        for near in _NEAR:
            if found := waiting.get((name, said, moment + near)):
                pairs[index] = found.pop()
                break
    return pairs


def _are_of_one_chat(older: Export, newer: Export, pairs: dict[int, int]) -> bool:
    if len(pairs) == len(older.moments) == len(newer.moments):
        return True
    names = older.chat.names
    equal = [older.chat.entries[index] for index in pairs]
    senders = [names[entry[2]] for entry in equal if entry[2] and entry[4] is None]
    people = set(senders)
    titles = {
        name_key(title) for title in (newer.chat.title, older.chat.title) if title
    }
    is_of_several = len(people) >= _MIN_SENDERS or titles.issuperset(
        map(name_key, people)
    )
    if len(senders) < _MIN_EQUAL or not is_of_several:
        return False
    spans = _span(older), _span(newer)
    begin, end = max(s[0] for s in spans) - 1, min(s[1] for s in spans) + 1
    return len(senders) * 2 >= min(
        sum(begin <= moment <= end for moment in _typed_moments(export))
        for export in (older, newer)
    )


def _pair_rewritten(older: Export, newer: Export, pairs: dict[int, int]) -> None:
    """Pair messages with what the newer export has in their place.

    All else of that time is in both: what an export has alone there was edited or taken
    back later, if its sender did so with a message of that time.
    """
    taken = frozenset(pairs.values())
    names = newer.chat.names
    waiting: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index in range(len(newer.moments) - 1, -1, -1):
        moment = newer.moments[index]
        _, _, name, _, kind, extra = newer.chat.entries[index]
        is_rewritten = kind in _REWRITTEN or (extra or {}).get("edited")
        if name and moment is not None and is_rewritten and index not in taken:
            waiting[names[name], moment].append(index)
    names = older.chat.names
    for index, moment in enumerate(older.moments if waiting else ()):
        name, kind = older.chat.entries[index][2], older.chat.entries[index][4]
        if not name or kind is not None or moment is None or index in pairs:
            continue
        for near in _NEAR:
            if found := waiting.get((names[name], moment + near)):
                pairs[index] = found.pop()
                break


def _said(entry: Entry) -> str:
    _, _, _, text, kind, extra = entry
    is_attachment = kind == "attachment" or (extra and "attachments" in extra)
    return _ATTACHMENT if is_attachment else text


def _moved(entry: Entry, offset: int) -> Entry:
    return (entry[0] + offset, *entry[1:])


def _typed_moments(export: Export) -> Iterable[int]:
    for moment, entry in zip(export.moments, export.chat.entries, strict=True):
        if moment is not None and entry[2] and entry[4] is None:
            yield moment


def _span(export: Export) -> tuple[int, int]:
    moments = list(_typed_moments(export))
    return min(moments, default=_NEVER), max(moments, default=_NEVER)

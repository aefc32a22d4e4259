"""Merge several exports of one chat without duplicates.

Messages have no ids. Two messages are the same if sender and text are equal and the
times agree to a second (of 400 messages in two exports of an iPhone, 46 differed by a
second), or to the minute if one of the phones writes no seconds.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.whatsapp.chats import Chat, words_of_name

_MICROSECONDS = 1_000_000
_MINUTE = 60
_NEVER = -(10**12)  # Before any message.
_ATTACHMENT = "\0"  # Texts of attachments depend on whether media were exported.
_REWRITTEN = "\1"
# A greeting sent to two people is in both chats, but the answers differ.
_MIN_EQUAL = 3
_MIN_SENDERS = 2
_MAX_COMPARED = 20

# The sender, and the text or one of the signs above.
_Key: TypeAlias = tuple[str, str]
# The position of a message: when it arrived, and its order within that second.
_Order: TypeAlias = tuple[int, tuple[int, ...]]
_FIRST, _LAST = -1, 10**12
_MAX_NESTING = 8


def merge_exports(chats: Iterable[Chat]) -> list[Chat]:
    """Merge chats with the same name that are exports of one chat.

    They have in common at least half of the typed messages in the period that both
    cover: three or more, by more than one person unless the chat is named after that
    person. The result is sorted by id.
    """
    found: list[_MergedChat] = []
    for chat in sorted(chats, key=_end_and_length, reverse=True):
        if not any(merged.add_export(chat) for merged in found[:_MAX_COMPARED]):
            found.append(_MergedChat(chat))
    return sorted((merged.finished() for merged in found), key=lambda chat: chat.id)


class _MergedChat:
    """A chat merged from its exports, starting with the newest."""

    def __init__(self, newest: Chat) -> None:
        self._chat = newest
        self._rows: list[Message] = []
        self._orders: list[_Order] = []
        # Time and index of all rows with a time, by key and whether times have seconds.
        self._places: dict[tuple[_Key, bool], list[tuple[int, int]]] = defaultdict(list)
        self._typed: list[int] = []
        arrival = _NEVER
        for index, row in enumerate(newest.messages):
            arrival = max(arrival, _moment(row))
            self._add(row, (arrival, (index,)), newest)

    def add_export(self, older: Chat) -> bool:
        """Add an older export, and return whether it is of this chat."""
        pairs: dict[int, int] = {}
        self._pair(older, pairs, {n: _key(row) for n, row in enumerate(older.messages)})
        if not self._is_of_one_chat(older, pairs):
            return False
        # Unpaired messages of the common period are paired with edited or deleted
        # messages of the same sender and time.
        unpaired = {
            index: (row.sender, _REWRITTEN)
            for index, row in enumerate(older.messages)
            if index not in pairs and _is_typed(row) and row.sender
        }
        self._pair(older, pairs, unpaired)
        for row, order in list(self._placed(older, pairs)):
            self._add(row, order, older)
        self._chat.add_older(older)
        self._chat.duplicates += len(pairs)
        return True

    def finished(self) -> Chat:
        """Return the chat with the messages of all exports in order."""
        indexes = sorted(range(len(self._rows)), key=self._orders.__getitem__)
        self._chat.messages = [self._rows[index] for index in indexes]
        return self._chat

    def _add(self, row: Message, order: _Order, chat: Chat) -> None:
        index, moment = len(self._rows), _moment(row)
        self._rows.append(row)
        self._orders.append(order)
        if moment == _NEVER:
            return
        held, is_exact = (moment, index), chat.has_seconds
        insort(self._places[_key(row), is_exact], held)
        if row.kind == "unsent" or row.extra.get("edited"):
            insort(self._places[(row.sender, _REWRITTEN), is_exact], held)
        if _is_typed(row):
            insort(self._typed, moment)

    def _pair(self, older: Chat, pairs: dict[int, int], keys: dict[int, _Key]) -> None:
        """Pair messages of the older export with messages of the same key and time."""
        # Pair the earliest first, or an equal message a second later stays unpaired.
        moments = ((_moment(older.messages[index]), index) for index in keys)
        timed = sorted(one for one in moments if one[0] != _NEVER)
        taken = set(pairs.values())
        next_of: dict[tuple[_Key, bool], int] = {}
        for moment, index in timed:
            for is_exact in (True, False):
                key = (keys[index], is_exact)
                held = self._places.get(key, [])
                earliest = moment // _MINUTE * _MINUTE
                latest = earliest + _MINUTE - 1
                if is_exact and older.has_seconds:
                    earliest, latest = moment - 1, moment + 1
                # Skip rows that later messages cannot match: linear time.
                at = max(next_of.get(key, 0), bisect_left(held, (earliest,)))
                while at < len(held) and held[at][1] in taken:
                    at += 1
                next_of[key] = at
                if at < len(held) and held[at][0] <= latest:
                    pairs[index] = held[at][1]
                    taken.add(pairs[index])
                    break

    def _is_of_one_chat(self, older: Chat, pairs: dict[int, int]) -> bool:
        if len(pairs) == len(older.messages) == len(self._rows):
            return True
        equal = [older.messages[index] for index in pairs]
        senders = [row.sender for row in equal if _is_typed(row)]
        named = (title for title in (self._chat.title, older.title) if title)
        is_of_several = len(set(senders)) >= _MIN_SENDERS or {
            *map(words_of_name, named)
        }.issuperset(map(words_of_name, senders))
        if len(senders) < _MIN_EQUAL or not is_of_several or not self._typed:
            return False
        typed = sorted(_moment(row) for row in older.messages if _is_typed(row))
        has_seconds = older.has_seconds and self._chat.has_seconds
        tolerance = 1 if has_seconds else _MINUTE
        begin = max(typed[0], self._typed[0]) - tolerance
        end = min(typed[-1], self._typed[-1]) + tolerance
        return len(senders) * 2 >= min(
            bisect_right(moments, end) - bisect_left(moments, begin)
            for moments in (typed, self._typed)
        )

    def _placed(
        self, older: Chat, pairs: dict[int, int]
    ) -> Iterator[tuple[Message, _Order]]:
        """Yield the unpaired messages of the older export with their positions.

        A message goes after the one that precedes it in its export, or before the one
        that follows if both arrived in the same second.
        """
        following = [_NEVER]
        for index in range(len(older.messages) - 1, -1, -1):
            partner = pairs.get(index)
            following.append(
                following[-1] if partner is None else self._orders[partner][0]
            )
        order: _Order = (_NEVER, (_LAST,))
        for index, row in enumerate(older.messages):
            moment, partner = _moment(row), pairs.get(index)
            if partner is not None:
                order = self._orders[partner]
                if self._rows[partner].kind == "media" and row.kind == "text":
                    # Only exports with media have captions.
                    self._rows[partner] = row
                continue
            if moment > order[0]:
                is_before_next = following[-1 - index] == moment
                order = moment, (_FIRST if is_before_next else _LAST,)
            yield row, (order[0], (*order[1][:_MAX_NESTING], index))


def _key(row: Message) -> _Key:
    is_attachment = row.kind == "media" or "attachments" in row.extra
    return row.sender, _ATTACHMENT if is_attachment else row.text


def _is_typed(row: Message) -> bool:
    return row.kind == "text" and row.time is not None


def _moment(row: Message) -> int:
    return _NEVER if row.time is None else row.time // _MICROSECONDS


def _end_and_length(chat: Chat) -> tuple[int, int]:
    typed = (_moment(row) for row in chat.messages if _is_typed(row))
    return max(typed, default=_NEVER), len(chat.messages)

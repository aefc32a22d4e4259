"""Several exports of one chat: what they have in common comes once.

Messages have no ids. A message of one export is that of another if sender and text are
equal and the times agree: to a second (of 400 messages in two exports of an iPhone, 46
had the second before or after), or to the minute where one phone writes no seconds.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.whatsapp.chats import Chat, words_of_name

_MICROSECONDS = 1_000_000
_MINUTE = 60
_NEAR = (-1, 0, 1)
_NEVER = -(10**12)  # Before all years.
_ATTACHMENT = "\0"  # Its text depends on whether media were exported.
# Who sends one greeting to two people has it in both chats, and not their answers.
_MIN_EQUAL = 3
_MIN_SENDERS = 2
# Of many chats of one name, those with most in common are compared; a text that more
# chats have at one minute is a greeting.
_MAX_HOLDERS = 16
_MAX_COMPARED = 3

# Sender, text, moment, and whether that is a second, a minute of messages that have no
# seconds, or a minute of all messages.
_Key: TypeAlias = tuple[str, str, int, int]
_SECOND, _BARE_MINUTE, _ANY_MINUTE = range(3)
# Where a message stands: when it arrived, and its place among those of that moment.
_Order: TypeAlias = tuple[int, tuple[int, ...]]
_FIRST, _LAST = -1, 10**12
_MAX_NESTING = 8


def merge_exports(chats: Iterable[Chat]) -> list[Chat]:
    """Merge chats of one name, if they are exports of one chat.

    They are if they have in common half of the typed messages of the time that both
    cover: three or more, and not of one person only, unless the chat is named after
    that person. The result is sorted by id.
    """
    found: list[_MergedChat] = []
    holders: dict[_Key, list[int]] = defaultdict(list)
    for chat in sorted(chats, key=_end_and_length, reverse=True):
        shared: Counter[int] = Counter()
        keys = [
            _key(row, _moment(row) // _MINUTE, _ANY_MINUTE) for row in chat.messages
        ]
        for sender, said, minute, kind in keys:
            for near in _NEAR:
                shared.update(holders.get((sender, said, minute + near, kind), ()))
        alike = [number for number, _ in shared.most_common(_MAX_COMPARED)]
        number = next((one for one in alike if found[one].take_in(chat)), len(found))
        if number == len(found):
            found.append(_MergedChat(chat))
        for key in keys:
            held = holders[key]
            if number not in held and len(held) < _MAX_HOLDERS:
                held.append(number)
    return sorted((merged.finished() for merged in found), key=lambda chat: chat.id)


class _MergedChat:
    """A chat as its exports have it, the newest one first."""

    def __init__(self, newest: Chat) -> None:
        self._chat = newest
        self._rows: list[Message] = []
        self._orders: list[_Order] = []
        self._places: dict[_Key, list[int]] = defaultdict(list)
        self._rewritten: dict[_Key, list[int]] = defaultdict(list)
        self._typed: list[int] = []
        arrival = _NEVER
        for place, row in enumerate(newest.messages):
            arrival = max(arrival, _moment(row))
            self._add(row, (arrival, (place,)), newest)

    def take_in(self, older: Chat) -> bool:
        """Add what only an older export has, and return whether it is of this chat."""
        pairs = self._equal(older)
        if not self._is_of_one_chat(older, pairs):
            return False
        self._pair_rewritten(older, pairs)
        for row, order in list(self._placed(older, pairs)):
            self._add(row, order, older)
        self._chat.add_older(older)
        self._chat.duplicates += len(pairs)
        return True

    def finished(self) -> Chat:
        """Return the chat with the messages of all exports in their order."""
        places = sorted(range(len(self._rows)), key=self._orders.__getitem__)
        self._chat.messages = [self._rows[place] for place in places]
        return self._chat

    def _add(self, row: Message, order: _Order, chat: Chat) -> None:
        place, moment = len(self._rows), _moment(row)
        self._rows.append(row)
        self._orders.append(order)
        if moment == _NEVER:
            return
        kind = _SECOND if chat.has_seconds else _BARE_MINUTE
        self._places[_key(row, moment, kind)].append(place)
        self._places[_key(row, moment // _MINUTE, _ANY_MINUTE)].append(place)
        if row.kind == "unsent" or row.extra.get("edited"):
            self._rewritten[row.sender, "", moment, _SECOND].append(place)
        if _is_typed(row):
            insort(self._typed, moment)

    def _equal(self, older: Chat) -> dict[int, int]:
        """Return which messages are equal: places here by those in the older export."""
        # By time, and the earliest first: otherwise an equal one a second later stays
        # alone.
        timed = sorted(
            (moment, place)
            for place, row in enumerate(older.messages)
            if (moment := _moment(row)) != _NEVER
        )
        pairs: dict[int, int] = {}
        partners = _Partners(self._places)
        for moment, place in timed:
            row, minute = older.messages[place], moment // _MINUTE
            keys = [_key(row, minute, _ANY_MINUTE)]
            if older.has_seconds:
                keys = [_key(row, moment + near, _SECOND) for near in _NEAR]
                keys.append(_key(row, minute * _MINUTE, _BARE_MINUTE))
            partners.pair(place, keys, pairs)
        return pairs

    def _is_of_one_chat(self, older: Chat, pairs: dict[int, int]) -> bool:
        if len(pairs) == len(older.messages) == len(self._rows):
            return True
        equal = [older.messages[place] for place in pairs]
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

    def _pair_rewritten(self, older: Chat, pairs: dict[int, int]) -> None:
        """Pair messages with what the newer export has in their place.

        All else of that time is in both: what an export has alone there was edited or
        taken back later, if its sender did so with a message of that time.
        """
        partners = _Partners(self._rewritten, pairs.values())
        for place, row in enumerate(older.messages if self._rewritten else ()):
            if place not in pairs and _is_typed(row) and row.sender:
                moments = (_moment(row) + near for near in _NEAR)
                keys = [(row.sender, "", moment, _SECOND) for moment in moments]
                partners.pair(place, keys, pairs)

    def _placed(
        self, older: Chat, pairs: dict[int, int]
    ) -> Iterator[tuple[Message, _Order]]:
        """Yield the messages that only the older export has, and where they belong.

        Behind the message before them in their export, or else before the one behind
        them, if these arrived at that moment, too.
        """
        following = [_NEVER]
        for place in range(len(older.messages) - 1, -1, -1):
            partner = pairs.get(place)
            following.append(
                following[-1] if partner is None else self._orders[partner][0]
            )
        order: _Order = (_NEVER, (_LAST,))
        for place, row in enumerate(older.messages):
            moment, partner = _moment(row), pairs.get(place)
            if partner is not None:
                order = self._orders[partner]
                if self._rows[partner].kind == "media" and row.kind == "text":
                    # A caption, which only an export with media has.
                    self._rows[partner] = row
                continue
            if moment > order[0]:
                is_before_next = following[-1 - place] == moment
                order = moment, (_FIRST if is_before_next else _LAST,)
            yield row, (order[0], (*order[1][:_MAX_NESTING], place))


class _Partners:
    """Messages of the newer export, each for one of the older."""

    def __init__(
        self, places: Mapping[_Key, list[int]], taken: Iterable[int] = ()
    ) -> None:
        self._places = places
        self._taken = set(taken)
        self._waiting: dict[_Key, Iterator[int]] = {}

    def pair(self, place: int, keys: list[_Key], pairs: dict[int, int]) -> None:
        """Pair a message with the first one under its keys that is free."""
        for key in keys:
            waiting = self._waiting.setdefault(key, iter(self._places.get(key, ())))
            for partner in waiting:
                if partner not in self._taken:
                    self._taken.add(partner)
                    pairs[place] = partner
                    return


def _key(row: Message, moment: int, kind: int) -> _Key:
    is_attachment = row.kind == "media" or "attachments" in row.extra
    return row.sender, _ATTACHMENT if is_attachment else row.text, moment, kind


def _is_typed(row: Message) -> bool:
    return row.kind == "text" and row.time is not None


def _moment(row: Message) -> int:
    return _NEVER if row.time is None else row.time // _MICROSECONDS


def _end_and_length(chat: Chat) -> tuple[int, int]:
    typed = (_moment(row) for row in chat.messages if _is_typed(row))
    return max(typed, default=_NEVER), len(chat.messages)

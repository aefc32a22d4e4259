"""Several exports of one chat: what they have in common comes once.

Messages have no ids. A message of one export is that of another if sender and text are
equal and the times agree: to a second (of 400 messages in two exports of an iPhone, 46
had the second before or after), or to the minute where one phone writes no seconds.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.whatsapp.chats import Chat, words_of_name

_MICROSECONDS = 1_000_000
_MINUTE = 60
_NEVER = -(10**12)  # Before all years.
_ATTACHMENT = "\0"  # Its text depends on whether media were exported.
_LAST = 10**12
_MAX_NESTING = 8

# Who sends one greeting to two people has it in both chats, and not their answers.
_MIN_EQUAL = 3
_MIN_SENDERS = 2
# A text that more chats have at one minute is a greeting.
_MAX_HOLDERS = 16
_MAX_COMPARED = 3

# Sender, text, moment, and whether that is a second, a minute of messages that have no
# seconds, or a minute of all messages.
_Key: TypeAlias = tuple[str, str, int, int]
_SECOND, _BARE_MINUTE, _ANY_MINUTE = range(3)
# Where a message stands: when it arrived, and its place among those of that moment.
_Order: TypeAlias = tuple[int, tuple[int, ...]]


class MergedChat:
    """A chat as its exports have it, the newest one first."""

    def __init__(self, newest: Chat, chat_id: str) -> None:
        self.chat = newest
        self.id = chat_id
        """The chat's id, of the newest file."""

        self.files = 1
        self.duplicates = 0
        """Messages that a newer export has, too."""

        self._rows: list[Message] = []
        self._orders: list[_Order] = []
        self._places: dict[_Key, list[int]] = defaultdict(list)
        self._rewritten: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._typed: list[int] = []
        arrival = _NEVER
        for place, row in enumerate(newest.messages):
            arrival = max(arrival, _moment(row))
            self._add(row, (arrival, (place,)), has_seconds=newest.has_seconds)

    def take_in(self, older: Chat) -> bool:
        """Add what only an older export has, if it is of the same chat.

        Returns:
            Whether it is.
        """
        pairs = self._equal(older)
        if not self._is_of_one_chat(older, pairs):
            return False
        self._pair_rewritten(older, pairs)
        added = list(self._placed(older, pairs))
        for row, order in added:
            self._add(row, order, has_seconds=older.has_seconds)
        self.chat.add_older(older)
        self.duplicates += len(pairs)
        self.files += 1
        return True

    def finish(self) -> None:
        """Give the chat its messages in their order."""
        places = sorted(range(len(self._rows)), key=self._orders.__getitem__)
        self.chat.messages = [self._rows[place] for place in places]

    def _add(self, row: Message, order: _Order, *, has_seconds: bool) -> None:
        place, moment = len(self._rows), _moment(row)
        self._rows.append(row)
        self._orders.append(order)
        if moment == _NEVER:
            return
        said = _said(row)
        kind = _SECOND if has_seconds else _BARE_MINUTE
        self._places[row.sender, said, moment, kind].append(place)
        minute = moment // _MINUTE
        self._places[row.sender, said, minute, _ANY_MINUTE].append(place)
        if row.kind == "unsent" or row.extra.get("edited"):
            self._rewritten[row.sender, moment].append(place)
        if _is_typed(row):
            insort(self._typed, moment)

    def _equal(self, older: Chat) -> dict[int, int]:
        """Return which messages are equal: places here by those in the older export."""
        pairs: dict[int, int] = {}
        taken = _Taken()
        timed = sorted(
            (moment, place)
            for place, row in enumerate(older.messages)
            if (moment := _moment(row)) != _NEVER
        )
        # By time, and the earliest first: otherwise an equal one a second later stays
        # alone.
        for moment, place in timed:
            row = older.messages[place]
            for key in _keys(row, moment, has_seconds=older.has_seconds):
                found = taken.next_of(key, self._places.get(key, ()))
                if found is not None:
                    pairs[place] = found
                    break
        return pairs

    def _is_of_one_chat(self, older: Chat, pairs: dict[int, int]) -> bool:
        if len(pairs) == len(older.messages) == len(self._rows):
            return True
        equal = [older.messages[place] for place in pairs]
        senders = [row.sender for row in equal if _is_typed(row)]
        people = set(senders)
        titles = {
            words_of_name(title) for title in (self.chat.title, older.title) if title
        }
        is_of_several = len(people) >= _MIN_SENDERS or titles.issuperset(
            map(words_of_name, people)
        )
        if len(senders) < _MIN_EQUAL or not is_of_several or not self._typed:
            return False
        typed = sorted(_moment(row) for row in older.messages if _is_typed(row))
        has_seconds = older.has_seconds and self.chat.has_seconds
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
        taken = _Taken(pairs.values())
        for place, row in enumerate(older.messages if self._rewritten else ()):
            if place in pairs or not _is_typed(row) or not row.sender:
                continue
            for near in (-1, 0, 1):
                key = row.sender, _moment(row) + near
                found = taken.next_of(key, self._rewritten.get(key, ()))
                if found is not None:
                    pairs[place] = found
                    break

    def _placed(
        self, older: Chat, pairs: dict[int, int]
    ) -> Iterator[tuple[Message, _Order]]:
        """Yield the messages that only the older export has, and where they belong.

        Behind the message before them in their export, or else before the one behind
        them, if these arrived at that moment, too.
        """
        following: list[int] = []
        arrival = _NEVER
        for place in range(len(older.messages) - 1, -1, -1):
            partner = pairs.get(place)
            arrival = arrival if partner is None else self._orders[partner][0]
            following.append(arrival)
        arrival, near = _NEVER, (_LAST,)
        for place, row in enumerate(older.messages):
            partner = pairs.get(place)
            if partner is not None:
                arrival, near = self._orders[partner]
                if self._rows[partner].kind == "media" and row.kind == "text":
                    # A caption, which only an export with media has.
                    self._rows[partner] = row
                continue
            moment = _moment(row)
            if moment > arrival:
                is_next = following[-1 - place] == moment
                arrival, near = moment, (-1 if is_next else _LAST,)
            yield row, (arrival, (*near[:_MAX_NESTING], place))


class _Taken:
    """Places that have a partner already."""

    def __init__(self, places: Iterable[int] = ()) -> None:
        self._places = set(places)
        self._next: Counter[tuple[object, ...]] = Counter()

    def next_of(
        self, key: tuple[object, ...], places: list[int] | tuple[()]
    ) -> int | None:
        """Take the first place under a key that is free."""
        at = self._next[key] if places else 0
        while at < len(places) and places[at] in self._places:
            at += 1
        if at == len(places):
            return None
        self._next[key] = at + 1
        self._places.add(places[at])
        return places[at]


def merge_exports(chats: Iterable[tuple[str, Chat]]) -> list[MergedChat]:
    """Merge exports of one chat; those of other chats of its name stay.

    Args:
        chats: Chats of one name, with their ids.

    Returns:
        The chats, in the order of their ids. Exports are of one chat if they have in
        common half of the typed messages of the time that both cover: three or more,
        and not of one person only, unless the chat is named after that person.
    """
    found: list[MergedChat] = []
    holders: dict[_Key, list[int]] = defaultdict(list)
    for chat_id, chat in sorted(chats, key=_end_and_length, reverse=True):
        number = _number_of(chat, found, holders)
        if number == len(found):
            found.append(MergedChat(chat, chat_id))
        for row in chat.messages:
            key = row.sender, _said(row), _moment(row) // _MINUTE, _ANY_MINUTE
            held = holders[key]
            if len(held) < _MAX_HOLDERS and number not in held:
                held.append(number)
    for merged in found:
        merged.finish()
    return sorted(found, key=lambda merged: merged.id)


def _number_of(
    chat: Chat, found: list[MergedChat], holders: dict[_Key, list[int]]
) -> int:
    """Return which of the chats an older export is of; a new number if of none."""
    shared: Counter[int] = Counter()
    for row in chat.messages:
        moment = _moment(row)
        for minute in {(moment + near) // _MINUTE for near in (-1, 0, 1)}:
            shared.update(
                holders.get((row.sender, _said(row), minute, _ANY_MINUTE), ())
            )
    for number, _ in shared.most_common(_MAX_COMPARED):
        if found[number].take_in(chat):
            return number
    return len(found)


def _keys(row: Message, moment: int, *, has_seconds: bool) -> Iterator[_Key]:
    """Yield the keys under which an equal message is found."""
    sender, said, minute = row.sender, _said(row), moment // _MINUTE
    if not has_seconds:
        yield sender, said, minute, _ANY_MINUTE
        return
    for near in (-1, 0, 1):
        yield sender, said, moment + near, _SECOND
    yield sender, said, minute * _MINUTE, _BARE_MINUTE


def _said(row: Message) -> str:
    is_attachment = row.kind == "media" or "attachments" in row.extra
    return _ATTACHMENT if is_attachment else row.text


def _is_typed(row: Message) -> bool:
    return row.kind == "text" and row.time is not None


def _moment(row: Message) -> int:
    return _NEVER if row.time is None else row.time // _MICROSECONDS


def _end_and_length(export: tuple[str, Chat]) -> tuple[int, int]:
    messages = export[1].messages
    end = max((_moment(row) for row in messages if _is_typed(row)), default=_NEVER)
    return end, len(messages)

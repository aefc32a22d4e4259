"""Merge several exports of one chat without duplicates.

Messages have no ids. Two messages are the same if sender and text are equal and the
times agree to a second (of 400 messages in two exports of an iPhone, 46 differed by a
second), or to the minute if one of the phones writes no seconds.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable

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


def merge_exports(chats: Iterable[Chat]) -> list[Chat]:
    """Merge chats with the same name that are exports of one chat.

    They have in common at least half of the typed messages in the period that both
    cover: three or more, by more than one person unless the chat is named after that
    person. The result is sorted by id.
    """
    found: list[Chat] = []
    for chat in sorted(chats, key=_end_and_length, reverse=True):
        if not any(_add_older(newer, chat) for newer in found):
            found.append(chat)
    return sorted(found, key=lambda chat: chat.id)


def _add_older(chat: Chat, older: Chat) -> bool:
    """Add an older export to a chat, and return whether it is of that chat."""
    has_seconds = chat.has_seconds and older.has_seconds
    unit = 1 if has_seconds else _MINUTE
    old = [*enumerate(older.messages)]
    pairs = _pairs(old, [*enumerate(chat.messages)], _key, unit)
    if not _is_of_one_chat(chat, older, pairs, unit):
        return False
    # Messages that were edited or deleted since then have another text.
    taken = {*pairs.values()}
    rewritten = [
        (index, row)
        for index, row in enumerate(chat.messages)
        if index not in taken and (row.kind == "unsent" or row.extra.get("edited"))
    ]
    typed = [(i, row) for i, row in old if i not in pairs and _is_typed(row)]
    pairs |= _pairs(typed, rewritten, lambda row: (row.sender, _REWRITTEN), unit)
    chat.messages = _joined(chat.messages, older.messages, pairs)
    chat.has_seconds = has_seconds
    chat.add_older(older)
    chat.duplicates += older.duplicates + len(pairs)
    return True


def _pairs(
    old: Iterable[tuple[int, Message]],
    new: Iterable[tuple[int, Message]],
    key_of: Callable[[Message], tuple[str, str]],
    unit: int,
) -> dict[int, int]:
    """Return the index of the same message in the new export, by index in the old."""
    tolerance = 1 if unit == 1 else 0
    waiting: dict[tuple[str, str], deque[tuple[int, int]]] = defaultdict(deque)
    for index, row in sorted(new, key=_by_moment):
        waiting[key_of(row)].append((_moment(row) // unit, index))
    pairs = {}
    # The earliest first, or an equal message a second later stays unpaired.
    for index, row in sorted(old, key=_by_moment):
        held, moment = waiting[key_of(row)], _moment(row) // unit
        while held and held[0][0] < moment - tolerance:
            held.popleft()
        if held and held[0][0] <= moment + tolerance:
            pairs[index] = held.popleft()[1]
    return pairs


def _is_of_one_chat(chat: Chat, older: Chat, pairs: dict[int, int], unit: int) -> bool:
    if len(pairs) == len(older.messages) == len(chat.messages):
        return True
    equal = [older.messages[index] for index in pairs]
    senders = [row.sender for row in equal if _is_typed(row)]
    titles = {words_of_name(title) for title in (chat.title, older.title) if title}
    is_of_several = len(set(senders)) >= _MIN_SENDERS
    if len(senders) < _MIN_EQUAL or not (
        is_of_several or titles.issuperset(map(words_of_name, senders))
    ):
        return False
    exports = (chat.messages, older.messages)
    times = [[_moment(row) for row in rows if _is_typed(row)] for rows in exports]
    begin = max(map(min, times)) - unit
    end = min(map(max, times)) + unit
    common = min(sum(begin <= time <= end for time in of_one) for of_one in times)
    return len(senders) * 2 >= common


def _joined(
    new: list[Message], old: list[Message], pairs: dict[int, int]
) -> list[Message]:
    """Insert the unpaired old messages after those that they follow in their export."""
    paired = {*pairs.values()}
    following: dict[int, list[Message]] = defaultdict(list)
    place = -1
    for index, row in enumerate(old):
        partner = pairs.get(index)
        if partner is not None:
            place = max(place, partner)
            if new[partner].kind == "media" and row.kind == "text":
                new[partner] = row  # Only exports with media have captions.
            continue
        while (
            place + 1 < len(new)
            and place + 1 not in paired
            and _moment(new[place + 1]) <= _moment(row)
        ):
            place += 1
        following[place].append(row)
    joined = following[-1]
    for place, row in enumerate(new):
        joined += [row, *following[place]]
    return joined


def _key(row: Message) -> tuple[str, str]:
    is_attachment = row.kind == "media" or "attachments" in row.extra
    return row.sender, _ATTACHMENT if is_attachment else row.text


def _is_typed(row: Message) -> bool:
    return row.kind == "text" and row.time is not None


def _moment(row: Message) -> int:
    return _NEVER if row.time is None else row.time // _MICROSECONDS


def _by_moment(item: tuple[int, Message]) -> int:
    return _moment(item[1])


def _end_and_length(chat: Chat) -> tuple[int, int]:
    typed = (_moment(row) for row in chat.messages if _is_typed(row))
    return max(typed, default=_NEVER), len(chat.messages)

"""Merge several exports of one chat without duplicates.

Messages have no ids. Two messages are the same if they have the same sender and text,
and times within a second (of 400 messages in two exports from an iPhone, 46 differed by
a second), or within the same minute if one of the exports has no seconds.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.times import MICROSECONDS
from langchain_chatexports.chat_loaders.whatsapp.chats import Chat
from langchain_chatexports.chat_loaders.whatsapp.senders import name_words

_MINUTE = 60
_NEVER = -(10**12)  # Before any message.
_ATTACHMENT = "\0"  # The text depends on whether media were exported.
_REWRITTEN = "\1"
# The same greeting can appear in two chats, but the replies differ.
_MIN_COMMON = 3
_MIN_SENDERS = 2
_MATCHING_WORK = 4  # Microseconds per message.


def merge_exports(chats: Iterable[Chat], spend: Callable[[int], None]) -> list[Chat]:
    """Merge chats with the same name if they are exports of one chat.

    Such exports share at least three typed messages, and at least half of those from
    the period both cover. More than one person must have sent them, except in a chat
    named after that person. The result is sorted by id. `spend` is called before two
    chats are compared.
    """
    merged: list[Chat] = []
    for chat in sorted(chats, key=_last_message_key, reverse=True):
        for index, newer_chat in enumerate(merged):
            spend(_MATCHING_WORK * (len(newer_chat.messages) + len(chat.messages) + 10))
            if both := _merge_older_export(newer_chat, chat):
                merged[index] = both
                break
        else:
            merged.append(chat)
    return sorted(merged, key=lambda chat: chat.id)


def _merge_older_export(chat: Chat, older_chat: Chat) -> Chat | None:
    """Merge a chat with an older export; `None` if that is of a different chat."""
    resolution = 1 if chat.has_seconds and older_chat.has_seconds else _MINUTE
    old_messages = [*enumerate(older_chat.messages)]
    pairs = _find_pairs(
        old_messages, [*enumerate(chat.messages)], _message_key, resolution
    )
    if not _is_same_chat(chat, older_chat, pairs, resolution):
        return None
    # Match messages by sender and time if they were edited or deleted since then.
    paired_indexes = {*pairs.values()}
    rewritten_messages = [
        (index, row)
        for index, row in enumerate(chat.messages)
        if index not in paired_indexes
        and (row.kind == "unsent" or row.extra.get("edited"))
    ]
    unpaired = [
        (i, row) for i, row in old_messages if i not in pairs and _is_typed(row)
    ]
    pairs |= _find_pairs(
        unpaired, rewritten_messages, lambda row: (row.sender, _REWRITTEN), resolution
    )
    messages = _merge(chat.messages, older_chat.messages, pairs)
    return chat.merge(older_chat, messages)


def _find_pairs(
    old_messages: Iterable[tuple[int, Message]],
    new_messages: Iterable[tuple[int, Message]],
    get_key: Callable[[Message], tuple[str, str]],
    resolution: int,
) -> dict[int, int]:
    """Map the indexes of old messages to the indexes of equal new messages."""
    tolerance = 1 if resolution == 1 else 0
    candidate_times: dict[tuple[str, str], deque[tuple[int, int]]] = defaultdict(deque)
    for index, row in sorted(new_messages, key=_sort_key):
        candidate_times[get_key(row)].append((_get_seconds(row) // resolution, index))
    pairs = {}
    # In order of time, since an equal message may follow a second later.
    for index, row in sorted(old_messages, key=_sort_key):
        candidates, time = (
            candidate_times[get_key(row)],
            _get_seconds(row) // resolution,
        )
        while candidates and candidates[0][0] < time - tolerance:
            candidates.popleft()
        if candidates and candidates[0][0] <= time + tolerance:
            pairs[index] = candidates.popleft()[1]
    return pairs


def _is_same_chat(
    chat: Chat, older_chat: Chat, pairs: dict[int, int], resolution: int
) -> bool:
    if len(pairs) == len(older_chat.messages) == len(chat.messages):
        return True
    shared = [older_chat.messages[index] for index in pairs]
    senders = [row.sender for row in shared if _is_typed(row)]
    titles = {name_words(title) for title in (chat.title, older_chat.title) if title}
    has_multiple_senders = len(set(senders)) >= _MIN_SENDERS
    if len(senders) < _MIN_COMMON or not (
        has_multiple_senders or titles.issuperset(map(name_words, senders))
    ):
        return False
    exports = (chat.messages, older_chat.messages)
    times = [[_get_seconds(row) for row in rows if _is_typed(row)] for rows in exports]
    begin = max(map(min, times)) - resolution
    end = min(map(max, times)) + resolution
    count = min(sum(begin <= time <= end for time in export) for export in times)
    return len(senders) * 2 >= count


def _merge(
    new_messages: Sequence[Message],
    old_messages: Sequence[Message],
    pairs: dict[int, int],
) -> list[Message]:
    """Insert each unpaired old message after its predecessor in the old export."""
    new_messages = list(new_messages)
    paired_indexes = {*pairs.values()}
    insertions: dict[int, list[Message]] = defaultdict(list)
    position = -1
    for index, row in enumerate(old_messages):
        partner = pairs.get(index)
        if partner is not None:
            position = max(position, partner)
            if new_messages[partner].kind == "media" and row.kind == "text":
                new_messages[partner] = row  # Only an export with media has captions.
            continue
        while (
            position + 1 < len(new_messages)
            and position + 1 not in paired_indexes
            and _get_seconds(new_messages[position + 1]) <= _get_seconds(row)
        ):
            position += 1
        insertions[position].append(row)
    merged = insertions[-1]
    for position, row in enumerate(new_messages):
        merged += [row, *insertions[position]]
    return merged


def _message_key(row: Message) -> tuple[str, str]:
    is_attachment = row.kind == "media" or "attachments" in row.extra
    return row.sender, _ATTACHMENT if is_attachment else row.text


def _is_typed(row: Message) -> bool:
    return row.kind == "text" and row.time is not None


def _get_seconds(row: Message) -> int:
    return _NEVER if row.time is None else row.time // MICROSECONDS


def _sort_key(item: tuple[int, Message]) -> int:
    return _get_seconds(item[1])


def _last_message_key(chat: Chat) -> tuple[int, int]:
    times = (_get_seconds(row) for row in chat.messages if _is_typed(row))
    return max(times, default=_NEVER), len(chat.messages)

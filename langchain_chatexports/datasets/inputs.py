"""Read examples, sessions, dialogues or a path as training examples."""

import os
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.datasets.examples import SessionConverter, TrainingExample
from langchain_chatexports.datasets.jsonl import read_jsonl
from langchain_chatexports.datasets.trace import TracedExample
from langchain_chatexports.exceptions import TrainingDataError

TrainingInput: TypeAlias = (
    SessionSource
    | Iterable[TrainingExample]
    | Iterable[TracedExample]
    | Iterable[Mapping[str, Any]]
    | Iterable[Iterable[BaseMessage]]
    | Iterable[Iterable[Mapping[str, Any]]]
    | str
    | Path
)
"""Examples, sessions, a loader, lists of messages or of dicts, or a JSONL path."""

_EXPECTED = (
    "Expected training examples, a chat loader, sessions, lists of messages, or the "
    "path of a JSONL file"
)

# Iterators that have been read; a retry would find the rest, or nothing, in them. They
# are forgotten when nobody else has them, so that none keeps an export open. Those of
# Python's own kinds (`map`, a list's) allow no weak reference.
_read: dict[int, weakref.ref[object]] = {}
_read_of_other_kinds: deque[object] = deque(maxlen=16)


def read_examples(
    given: TrainingInput, counts: list[Counts] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Read whatever the user gives as training examples, lazily.

    Sessions and lists of messages are converted as `to_training_examples` does.
    Examples and lists of dicts are passed as they are.
    """
    if isinstance(given, (str, os.PathLike)):
        yield from read_jsonl(given)
        return
    if isinstance(given, Iterator):
        _refuse_second_reading(given)
    with closing(_items(given)) as items:
        for is_session, group in groupby(_told_apart(items), key=itemgetter(1)):
            found = (_mapping(item) for item, _ in group)
            if is_session:
                converted = SessionConverter().convert_all(found, counts)
                yield from (one.example for one in converted)
            else:
                yield from found


def _refuse_second_reading(iterator: Iterator[Any]) -> None:
    key = id(iterator)
    if key in _read or any(iterator is before for before in _read_of_other_kinds):
        msg = (
            "The examples are an iterator that has been read before, by an earlier "
            "call or a retry, so they are not all there. Pass a list or a chat loader."
        )
        raise TrainingDataError(msg)
    try:
        _read[key] = weakref.ref(iterator, lambda _: _read.pop(key, None))
    except TypeError:
        _read_of_other_kinds.append(iterator)


def _items(given: Any) -> Generator[tuple[Any, bool], None, None]:
    # Examples, sessions and dialogues (lists of messages or of role dicts), one by one,
    # and whether they are sessions for certain.
    if isinstance(given, BaseChatLoader):
        with _closing(given.lazy_load()) as sessions:
            for session in sessions:
                yield session, True
                del session
    elif isinstance(given, TracedExample):
        yield given.example, False
    elif isinstance(given, Mapping):
        if "role" in given:
            msg = f"{_EXPECTED}, got a message: wrap the messages of a dialogue in []."
            raise TypeError(msg)
        yield given, False
    elif isinstance(given, BaseMessage):
        msg = f"{_EXPECTED}, got a message: wrap the messages of a dialogue in []."
        raise TypeError(msg)
    elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        with _closing(iter(given)) as items:
            for item in items:
                if _is_dialogue(item):
                    yield item, False
                else:
                    yield from _items(item)
                del item
    else:
        msg = f"{_EXPECTED}, got {type(given).__name__}."
        raise TypeError(msg)


@contextmanager
def _closing(items: Iterator[Any]) -> Iterator[Iterator[Any]]:
    # After an error, too: what is left unread holds the export's file open.
    try:
        yield items
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def _told_apart(items: Iterable[tuple[Any, bool]]) -> Iterator[tuple[Any, bool]]:
    """Pair each item with whether it is a session; the others are examples.

    An item without messages could be either: it counts as what the next item is. If no
    item has messages, it counts as an example, which the validation then reports.
    """
    unclear: list[Any] = []
    usual: bool | None = None
    for item, is_of_loader in items:
        is_session = True if is_of_loader else _is_session(item)
        if is_session is None:
            is_session = usual
        if is_session is None:
            unclear.append(item)
            continue
        usual = is_session
        yield from ((before, is_session) for before in unclear)
        unclear.clear()
        yield item, is_session
        del item
    yield from ((before, False) for before in unclear)


def _is_session(item: Any) -> bool | None:
    if not isinstance(item, Mapping):
        return isinstance(item[0], BaseMessage)
    messages = item.get("messages")
    if isinstance(messages, (list, tuple)) and messages:
        return isinstance(messages[0], BaseMessage)
    if "metadata" in item:
        return True  # What examples have not.
    return None if isinstance(messages, (list, tuple)) else False


def _is_dialogue(item: object) -> bool:
    if not isinstance(item, (list, tuple)) or not item:
        return False
    first = item[0]
    return isinstance(first, BaseMessage) or (
        isinstance(first, Mapping) and "role" in first
    )


def _mapping(item: Any) -> Any:
    if isinstance(item, Mapping):
        return item
    return {"messages": item if isinstance(item[0], BaseMessage) else list(item)}

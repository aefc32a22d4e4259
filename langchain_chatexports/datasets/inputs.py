"""Read training examples from examples, sessions, dialogues or a path."""

import os
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    closing_iterator,
)
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

# Iterators that have been read; a retry would find them exhausted. Some types, such as
# `map`, do not support weak references.
_read: weakref.WeakSet[Any] = weakref.WeakSet()
_read_of_other_kinds: deque[Any] = deque(maxlen=16)


def read_examples(
    given: TrainingInput, counts: list[Counts] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Read any input as training examples, lazily.

    Sessions and lists of messages are converted as by `to_training_examples`. Examples
    and lists of dicts are not changed.
    """
    if isinstance(given, (str, os.PathLike)):
        yield from read_jsonl(given)
        return
    if isinstance(given, Iterator):
        _refuse_second_reading(given)
    counts = counts if counts is not None else []
    converter = SessionConverter()
    stages = (converter.messages, converter.sessions, converter.parts)
    is_session: bool | None = None
    with entered_at_end(counts, *stages), closing(_items(given)) as items:
        for item in items:
            # An item without messages has the type of the previous one.
            kind = _is_session(item)
            is_session = is_session if kind is None else kind
            if not is_session:
                yield item
            elif converted := converter.convert(item):
                yield converted.example
            del item
    converter.require_assistant()


def _refuse_second_reading(iterator: Iterator[Any]) -> None:
    try:
        is_read = iterator in _read
        _read.add(iterator)
    except TypeError:
        is_read = any(iterator is before for before in _read_of_other_kinds)
        _read_of_other_kinds.append(iterator)
    if is_read:
        msg = (
            "The examples are an iterator that was already read, by an earlier call or "
            "a retry. Pass a list or a chat loader."
        )
        raise TrainingDataError(msg)


def _items(given: Any) -> Generator[Any, None, None]:
    """Yield examples and sessions; a dialogue becomes one of them."""
    if isinstance(given, TracedExample):
        yield given.example
    elif isinstance(given, BaseMessage) or (
        isinstance(given, Mapping) and "role" in given
    ):
        msg = f"{_EXPECTED}, got a message: wrap the messages of a dialogue in []."
        raise TypeError(msg)
    elif isinstance(given, Mapping):
        yield given
    elif isinstance(given, BaseChatLoader):
        with closing(closing_iterator(given.lazy_load())) as sessions:
            # The metadata marks a loader's item as a session, even if it is empty.
            yield from ({"metadata": {}, **session} for session in sessions)
    elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        with closing(closing_iterator(iter(given))) as items:
            for item in items:
                if _is_dialogue(item):
                    yield {"messages": list(item)}
                else:
                    yield from _items(item)
                del item
    else:
        msg = f"{_EXPECTED}, got {type(given).__name__}."
        raise TypeError(msg)


def _is_dialogue(item: Any) -> bool:
    if not isinstance(item, (list, tuple)) or not item:
        return False
    first = item[0]
    return isinstance(first, BaseMessage) or (
        isinstance(first, Mapping) and "role" in first
    )


def _is_session(item: Mapping[str, Any]) -> bool | None:
    """Return whether an item is a session; `None` if it may also be an example."""
    messages = item.get("messages")
    if isinstance(messages, (list, tuple)) and messages:
        return isinstance(messages[0], BaseMessage)
    if "metadata" in item:
        return True  # Examples have no metadata.
    return None if isinstance(messages, (list, tuple)) else False

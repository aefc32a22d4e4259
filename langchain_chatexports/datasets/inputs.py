"""Read training examples from examples, sessions, dialogues or a path."""

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    closing_iterator,
)
from langchain_chatexports.datasets.examples import (
    TrainingExample,
    to_training_examples,
)
from langchain_chatexports.datasets.jsonl import read_jsonl
from langchain_chatexports.datasets.trace import TracedExample

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


def read_examples(given: TrainingInput) -> Iterator[Mapping[str, Any]]:
    """Read any input as training examples, lazily.

    Sessions and lists of messages are converted as by `to_training_examples`. Examples
    and lists of dicts are not changed.
    """
    if isinstance(given, (str, os.PathLike)):
        yield from read_jsonl(given)
    elif isinstance(given, BaseChatLoader):
        yield from to_training_examples(given)
    else:
        with closing(_items(given)) as items:
            first: list[Any] = []
            for item in items:
                first.append(item)
                if item.get("messages"):
                    break  # Empty ones do not show what they are.
            listed = chain(first, items)
            if first and _is_session(first[-1]):
                yield from to_training_examples(listed)
            else:
                yield from listed


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
        yield from given.lazy_load()
    elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        with closing(closing_iterator(iter(given))) as items:
            for item in items:
                if _is_dialogue(item):
                    yield {"messages": list(item)}
                else:
                    yield from _items(item)
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


def _is_session(item: Mapping[str, Any]) -> bool:
    messages = item.get("messages")
    if isinstance(messages, (list, tuple)) and messages:
        return isinstance(messages[0], BaseMessage)
    return "metadata" in item  # Examples have no metadata.

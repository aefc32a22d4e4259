"""Read training examples from examples, sessions, dialogues or a file."""

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
    "path to a JSONL file"
)


def read_examples(source: TrainingInput) -> Iterator[Mapping[str, Any]]:
    """Yield the training examples from any supported input.

    Sessions and lists of messages are converted with `to_training_examples`. Examples
    and lists of dicts pass through unchanged.
    """
    if isinstance(source, (str, os.PathLike)):
        yield from read_jsonl(source)
    elif isinstance(source, BaseChatLoader):
        yield from to_training_examples(source)
    else:
        with closing(_items(source)) as items:
            leading_items: list[Any] = []
            for item in items:
                leading_items.append(item)
                if item.get("messages"):
                    break  # An empty item may be a session or an example.
            all_items = chain(leading_items, items)
            if leading_items and _is_session(leading_items[-1]):
                yield from to_training_examples(all_items)
            else:
                yield from all_items


def _items(source: Any) -> Generator[Any, None, None]:
    """Yield examples and sessions; wrap each list of messages in a dict."""
    if isinstance(source, TracedExample):
        yield source.example
    elif isinstance(source, BaseMessage) or (
        isinstance(source, Mapping) and "role" in source
    ):
        msg = f"{_EXPECTED}, got a message. Pass a list of lists of messages."
        raise TypeError(msg)
    elif isinstance(source, Mapping):
        yield source
    elif isinstance(source, BaseChatLoader):
        yield from source.lazy_load()
    elif isinstance(source, Iterable) and not isinstance(source, (str, bytes)):
        with closing(closing_iterator(iter(source))) as items:
            for item in items:
                if _is_dialogue(item):
                    yield {"messages": list(item)}
                else:
                    yield from _items(item)
    else:
        msg = f"{_EXPECTED}, got {type(source).__name__}."
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

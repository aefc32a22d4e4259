"""What a chat remembers: what was said in exports, found for each line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from langchain_chatexports._terminal import message_line
from langchain_chatexports.cli._console import confirmed
from langchain_chatexports.cli._search_index import open_index_of
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.retrieval.queries import telling_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from langchain_chatexports.retrieval.index import ChatIndex

__all__ = ["agree_to_send", "memory_of"]

_WINDOWS = 3
# About 500 tokens: small models have a context of 2,048.
_MAX_CHARACTERS = 2000
_INTRODUCTION = (
    "These messages from earlier chats may help with the answer. Do not invent others."
)
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def agree_to_send(base_url: str, *, agreed: bool) -> bool:
    """Ask before messages of exports are sent to another machine.

    Args:
        base_url: The server that answers.
        agreed: Whether the answer was given as an option.

    Raises:
        ChatExportError: If there is no terminal to ask at.
    """
    host = urlsplit(base_url).hostname or base_url
    if host in _HERE:
        return True
    refusal = ChatExportError(
        f"This sends messages of your exports to {host}, which needs --yes here. "
        "Nothing was sent."
    )
    question = f"With each line, send messages of your exports that fit it to {host}?"
    return confirmed(question, agreed=agreed, refusal=refusal)


@contextmanager
def memory_of(
    paths: Sequence[Path], index_dir: Path | None
) -> Iterator[Callable[[str], str] | None]:
    """Open what a chat remembers.

    Args:
        paths: Exports; if there are none, nothing is remembered.
        index_dir: Where search indexes are kept; `None` for the default.

    Yields:
        Returns what was said that fits a line, with times and senders.
    """
    if not paths:
        yield None
        return
    with open_index_of(paths, index_dir=index_dir) as (_, index):
        yield lambda line: _recalled(index, line)


def _recalled(index: ChatIndex, line: str) -> str:
    found: list[str] = []
    room = _MAX_CHARACTERS
    # "Ok" and "Hm?" bring nothing to mind.
    for hit in index.search(line, k=_WINDOWS) if telling_words(line) else ():
        text = hit.document.page_content
        if len(text) > room:
            if found:
                break
            # Better the beginning of the message that fits than nothing.
            match = hit.match
            text = message_line(match.moment or "", match.sender, match.text)[:room]
        found.append(text)
        room -= len(text)
    return "\n\n".join([_INTRODUCTION, *found]) if found else ""

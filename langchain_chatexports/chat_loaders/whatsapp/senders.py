"""Senders: where a name ends in a line, and how it is shown."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.whatsapp.headers import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_chatexports.chat_loaders.whatsapp.records import Record

__all__ = ["NameSplitter", "ShownNames", "clean_name", "name_key"]

_END = ": "
_MIN_LINES = 3
_MAX_NAME_LENGTH = 120
_MARK = re.compile(f"[{MARKS}]")
_SPACES = re.compile(r"\s+")
_HYPHENS = str.maketrans("\u2010\u2011", "--")
_PROFILE = re.compile(r"~\s?")
_NO_LETTER = re.compile(r"[\W_]+")
_QUOTES = ("\u201c\u201d\u201e", "\u00ab\u00bb", "\u300c\u300d")


def clean_name(raw: str) -> str:
    """Return a name or number without marks, with plain spaces and hyphens."""
    return _SPACES.sub(" ", _MARK.sub("", raw)).translate(_HYPHENS).strip()


def name_key(name: str) -> tuple[str, ...]:
    """Return what names are compared by: their words, in any order.

    The order of given and family name follows the phone's language, and names of files
    have underscores.
    """
    words = _NO_LETTER.sub(" ", clean_name(name)).casefold().split()
    return tuple(sorted(words)) or (clean_name(name),)


class ShownNames(dict[str, str]):
    """Maps names as they stand in lines to those that are shown.

    `~ Ann` is somebody whom the owner's phone book does not have, by the name that she
    chose herself. It is shown without the tilde, unless another Ann is there.
    """

    def __init__(self, raw: Iterable[str]) -> None:
        """Initialize the names of one chat."""
        super().__init__()
        cleaned = {name: clean_name(name) for name in raw}
        known = {name for name in cleaned.values() if not _PROFILE.match(name)}
        for name, clean in cleaned.items():
            own = _PROFILE.sub("", clean, count=1) if clean.startswith("~") else clean
            self[name] = clean if not own or (own != clean and own in known) else own


class NameSplitter:
    """Splits the rest of a header's line into the sender and the text."""

    def __init__(self, records: Iterable[Record]) -> None:
        """Initialize the splitter of one chat.

        Args:
            records: All records of the chat: a name may hold a colon itself, which
                only other lines tell.
        """
        self._longer: dict[str, tuple[str, ...]] = {}
        self._system: frozenset[str] = frozenset()
        self._learn(records)

    @property
    def odd(self) -> frozenset[str]:
        """The beginnings of lines, up to their first colon, that are no whole name."""
        return self._system.union(self._longer)

    def split(self, head: str) -> tuple[str | None, str]:
        """Return the sender and the text of a line; no sender for a system line."""
        name, colon, text = head.partition(_END)
        if not colon:
            return _without_text(head)
        if name in self._system:
            return None, head
        if name in self._longer:
            for longer in self._longer[name]:
                if head.startswith(longer):
                    return longer.removesuffix(_END), head[len(longer) :]
        return name, text

    def _learn(self, records: Iterable[Record]) -> None:
        alone: set[str] = set()
        longer: dict[str, Counter[str]] = {}
        quoted: dict[str, bool] = {}
        for _, _, head, _ in records:
            name, colon, text = head.partition(_END)
            if not colon:
                continue
            if name in alone:
                if quoted.get(name):
                    quoted[name] = _has_open_quote(text)
                continue
            if _has_open_quote(name):
                quoted[name] = quoted.get(name, True) and _has_open_quote(text)
            more, second, _ = text.partition(_END)
            if not second or len(more) > _MAX_NAME_LENGTH or not more:
                alone.add(name)
                longer.pop(name, None)
                continue
            longer.setdefault(name, Counter())[f"{name}{_END}{more}{_END}"] += 1
        self._system = frozenset(name for name, closes in quoted.items() if closes)
        for name, found in longer.items():
            # Not a person who writes "PS: " twice: all their lines have it.
            if name not in self._system and all(
                n >= _MIN_LINES for n in found.values()
            ):
                self._longer[name] = tuple(found)


def _without_text(head: str) -> tuple[str | None, str]:
    # `Name:` is an empty message, `Name:.` one that destroyed itself.
    for end in (":", ":."):
        if head.endswith(end):
            return head.removesuffix(end), ""
    return None, head


def _has_open_quote(text: str) -> bool:
    if text.count('"') % 2:
        return True
    # Pairs of all languages have an even number; German closes with English's opening.
    return not text.isascii() and any(
        sum(map(text.count, quotes)) % 2 for quotes in _QUOTES
    )

"""Split lines into sender and text, and find the display names of senders."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from langchain_chatexports.chat_loaders.whatsapp.phrases import (
    APP_MARKS,
    DELETED,
    OMITTED,
    YOU,
    phrase_key,
    strip_marks,
)

_NAME_END = ": "
_MIN_NAME_LINES = 3
_MAX_NAME_LENGTH = 120
_QUOTES = ('"', "\u201c\u201d\u201e", "\u00ab\u00bb", "\u300c\u300d")
ALL_QUOTES = frozenset("".join(_QUOTES))
_HYPHENS = str.maketrans("\u2010\u2011", "--")
_SPACES = re.compile(r"\s+")
_PROFILE_PREFIX = re.compile(r"~\s?")
_NON_LETTERS = re.compile(r"[\W_]+")


def clean_name(raw_name: str) -> str:
    """Remove marks from a name or phone number, and normalize spaces and hyphens."""
    return _SPACES.sub(" ", strip_marks(raw_name)).translate(_HYPHENS).strip()


def name_words(name: str) -> tuple[str, ...]:
    """Return the sorted words of a name, to compare the names of chats and people.

    The order of given and family name depends on the phone's language, and file names
    contain underscores.
    """
    name = clean_name(name)
    words = _NON_LETTERS.sub(" ", name).casefold().split()
    return tuple(sorted(words)) or (name,)


class Senders:
    """The senders of a chat, learned from its lines."""

    def __init__(
        self, heads: Sequence[str], owner: str | None = None, title: str | None = None
    ) -> None:
        """Learn all names from the lines. A few names contain a colon.

        `owner` is the owner's name, written as "You" by WhatsApp Web, and `title` the
        chat's name.
        """
        self._notice_prefixes = _find_notice_prefixes(heads)
        names = _find_names(heads, title)
        sender_names = map(clean_name, names - self._notice_prefixes)
        self._contact_names = {
            name for name in sender_names if not name.startswith("~")
        }
        self._display_names = {
            name: owner if owner and name in YOU else self._get_display_name(name)
            for name in names
        }

    def split(self, head: str) -> tuple[str | None, str]:
        """Return the sender and text of a line. Notices from the app have no sender."""
        name, colon, text = head.partition(_NAME_END)
        if not colon:
            # `Name:` is an empty message, `Name:.` an expired disappearing message.
            prefix = head.removesuffix(".")
            if prefix.endswith(":"):
                return self._get_display_name(prefix[:-1]), ""
            return None, head
        if name in self._notice_prefixes:
            return None, head
        if name in self._display_names:
            return self._display_names[name], text
        suffix, _, text = text.partition(_NAME_END)
        return self._get_display_name(f"{name}{_NAME_END}{suffix}"), text

    @property
    def handles(self) -> dict[str, set[str]]:
        """The names that differ from their display name, by display name."""
        handles: dict[str, set[str]] = {}
        for raw_name, display_name in self._display_names.items():
            if (name := clean_name(raw_name)) != display_name:
                handles.setdefault(display_name, set()).add(name)
        return handles

    def _get_display_name(self, raw_name: str) -> str:
        """Return a name for display.

        `~ Ann` is a profile name, used for people outside the owner's contacts. The
        tilde is removed unless there is another Ann.
        """
        name = clean_name(raw_name)
        if not name.startswith("~"):
            return name
        profile_name = _PROFILE_PREFIX.sub("", name, count=1)
        is_unique = profile_name and profile_name not in self._contact_names
        return profile_name if is_unique else name


def _find_names(heads: Sequence[str], title: str | None) -> set[str]:
    names: set[str] = set()
    suffixes: dict[str, Counter[str]] = defaultdict(Counter)
    proven: set[str] = set()
    for head in heads:
        name, colon, text = head.partition(_NAME_END)
        if not colon or name in names:
            continue
        suffix, second_colon, rest = text.partition(_NAME_END)
        if second_colon and 0 < len(suffix) <= _MAX_NAME_LENGTH:
            suffixes[name][suffix] += 1
            if _is_by_app(rest):
                proven.add(name)
        else:
            names.add(name)
    for name in suffixes.keys() - names:
        # A name starts every line of its sender, unlike an occasional "PS: ". Somebody
        # may begin every line with "Reminder: ", so the app must have written after
        # the name, or named the chat after the person.
        full_names = {f"{name}{_NAME_END}{suffix}" for suffix in suffixes[name]}
        has_proof = name in proven or (
            title is not None and name_words(title) in map(name_words, full_names)
        )
        if has_proof and min(suffixes[name].values()) >= _MIN_NAME_LINES:
            names |= full_names
        else:
            names.add(name)
    return names


def _is_by_app(text: str) -> bool:
    """Return whether the app wrote the text after a name."""
    return text.startswith(APP_MARKS) or phrase_key(text) in OMITTED | DELETED


def _find_notice_prefixes(heads: Sequence[str]) -> set[str]:
    """Return what precedes a colon inside quotation marks, which is not a name.

    The app writes, for example, `Ann changed the subject to "A: B"`.
    """
    candidates = {head.partition(_NAME_END)[0] for head in heads if _NAME_END in head}
    prefixes = {name for name in candidates if _has_open_quote(name)}
    for head in heads if prefixes else ():
        name, _, text = head.partition(_NAME_END)
        if not _has_open_quote(text):
            prefixes.discard(name)
    return prefixes


def _has_open_quote(text: str) -> bool:
    # German closes with the mark that opens in English, so count both.
    quotes = _QUOTES[:1] if text.isascii() else _QUOTES
    return any(sum(map(text.count, marks)) % 2 for marks in quotes)

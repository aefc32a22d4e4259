"""Suggest names that are similar to an unknown one: "Did you mean …?"."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from langchain_chatexports.chat_loaders.names import name_key

_MAX_SUGGESTIONS = 3
_MIN_SIMILARITY = 0.6


def match_name(query: str, known_names: Iterable[str]) -> str | None:
    """Return the only known name that matches.

    Ignores case, accents and surrounding spaces. A unique prefix is enough, as is the
    first word of only one name.
    """
    key = normalize_name(query)
    by_key = {normalize_name(name): name for name in sorted(known_names, reverse=True)}
    if not key or key in by_key:
        return by_key.get(key)
    by_prefix = {k: name for k, name in by_key.items() if k.startswith(key)}
    by_first_word = [name for k, name in by_prefix.items() if k.startswith(f"{key} ")]
    matches = by_first_word or [*by_prefix.values()]
    return matches[0] if len(matches) == 1 else None


def normalize_name(name: str) -> str:
    """Remove case, accents and extra spaces from a name."""
    decomposed = unicodedata.normalize("NFKD", name)
    base = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(base.casefold().split())


def find_equal_names(query: str, known_names: Iterable[str]) -> set[str]:
    """Return the known names that equal a name, ignoring case.

    If there are none, accents are also ignored, unless this matches several people,
    such as `Thảo` and `Thạo`.
    """
    by_key: dict[str, set[str]] = {}
    for name in known_names:
        by_key.setdefault(name_key(name), set()).add(name)
    if exact := by_key.get(name_key(query)):
        return exact
    normalized = normalize_name(query)
    matches = [
        names for names in by_key.values() if normalized in map(normalize_name, names)
    ]
    return matches[0] if len(matches) == 1 else set()


def find_similar_names(query: str, known_names: Collection[str]) -> list[str]:
    """Return the known names similar to an unknown one, most similar first.

    Names that begin with it come before others. Ignores case, and also compares the
    words of names.
    """
    folded = query.casefold().strip()
    prefix = normalize_name(query)
    completions = [
        n
        for n in sorted(known_names)
        if prefix and normalize_name(n).startswith(prefix)
    ]
    by_key: dict[str, str] = {}
    for name in sorted(known_names, reverse=True):
        # People often type the first name only.
        for part in (*name.casefold().split(), name.casefold()):
            by_key[part] = name
    keys = get_close_matches(
        folded, by_key, n=2 * _MAX_SUGGESTIONS, cutoff=_MIN_SIMILARITY
    )
    similar = (by_key[key] for key in keys)
    return list(dict.fromkeys([*completions, *similar]))[:_MAX_SUGGESTIONS]


def did_you_mean(names: Iterable[str], known_names: Collection[str]) -> str:
    """Return a sentence that suggests similar names, if any."""
    similar = dict.fromkeys(
        n for name in names for n in find_similar_names(name, known_names)
    )
    if not similar:
        return ""
    return f" Did you mean {' or '.join(map(repr, similar))}?"

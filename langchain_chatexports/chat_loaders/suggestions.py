"""Suggest names that are similar to an unknown one: "Did you mean …?"."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from langchain_chatexports.chat_loaders.people import name_key

_MAX_SUGGESTIONS = 3
_MIN_SIMILARITY = 0.6


def matching_name(asked: str, known: Iterable[str]) -> str | None:
    """Return the known name that matches; `None` if none or several do.

    Case, accents and surrounding spaces do not matter. A unique prefix is enough, or
    the whole first word of only one name.
    """
    wanted = plain_name(asked)
    by_plain = {plain_name(name): name for name in sorted(known, reverse=True)}
    if not wanted or wanted in by_plain:
        return by_plain.get(wanted)
    found = {
        plain: name for plain, name in by_plain.items() if plain.startswith(wanted)
    }
    whole = [name for plain, name in found.items() if plain.startswith(f"{wanted} ")]
    matches = whole or [*found.values()]
    return matches[0] if len(matches) == 1 else None


def plain_name(name: str) -> str:
    """Return a name without case, accents and extra spaces."""
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(plain.casefold().split())


def same_names(asked: str, known: Iterable[str]) -> set[str]:
    """Return the known names that are the asked one, whatever its case.

    If there is none, it may differ in accents from only one of them: with several, such
    as `Thảo` and `Thạo`, nobody is meant.
    """
    by_key: dict[str, set[str]] = {}
    for name in known:
        by_key.setdefault(name_key(name), set()).add(name)
    if exact := by_key.get(name_key(asked)):
        return exact
    plain = plain_name(asked)
    alike = [names for names in by_key.values() if plain in map(plain_name, names)]
    return alike[0] if len(alike) == 1 else set()


def nearest_names(asked: str, known: Collection[str]) -> list[str]:
    """Return the known names most similar to an unknown one, most similar first.

    Those that begin with it come before others. Case does not matter. Parts of names
    are compared as well.
    """
    folded = asked.casefold().strip()
    wanted = plain_name(asked)
    begun = [n for n in sorted(known) if wanted and plain_name(n).startswith(wanted)]
    by_key: dict[str, str] = {}
    for name in sorted(known, reverse=True):
        # People often type only the first name.
        for part in (*name.casefold().split(), name.casefold()):
            by_key[part] = name
    keys = get_close_matches(
        folded, by_key, n=2 * _MAX_SUGGESTIONS, cutoff=_MIN_SIMILARITY
    )
    similar = (by_key[key] for key in keys)
    return list(dict.fromkeys([*begun, *similar]))[:_MAX_SUGGESTIONS]


def did_you_mean(asked: Iterable[str], known: Collection[str]) -> str:
    """Return a sentence that suggests similar names; empty if there are none."""
    found = dict.fromkeys(n for name in asked for n in nearest_names(name, known))
    if not found:
        return ""
    return f" Did you mean {' or '.join(map(repr, found))}?"

"""Word lists in four languages that distinguish names from common words."""

import json
from pathlib import Path

_LISTS = json.loads(Path(__file__).with_name("words.json").read_text("utf-8"))
_WORDS = {name: frozenset(" ".join(lines).split()) for name, lines in _LISTS.items()}

LABELS = frozenset({"me", "unknown"})
"""Placeholders that loaders use for missing names."""

PARTICLES = _WORDS["particles"]
"""Folded words in display names that are not names: titles, particles, relations."""

COMMON_WORDS = _WORDS["common"]
"""Folded names that are also common words, matched only when used as a name."""

SENTENCE_OPENERS = _WORDS["sentence_openers"]
"""Common words that often begin a sentence, where capitalization has no meaning."""

TIMES_OF_YEAR = _WORDS["times_of_year"]
"""Folded names that are also months, seasons or days."""

NOT_PASSWORDS = _WORDS["not_passwords"]
"""Words after "the password is" that are not passwords."""

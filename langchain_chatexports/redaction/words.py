"""Names that are also common words, in four languages, and words that are not names."""

import json
from pathlib import Path

_LISTS = json.loads(Path(__file__).with_name("words.json").read_text("utf-8"))
_WORDS = {name: frozenset(" ".join(lines).split()) for name, lines in _LISTS.items()}

LABELS = frozenset({"me", "unknown"})
"""What loaders write where there is no name; never a name in a text."""

PARTICLES = _WORDS["particles"]
"""Folded words of display names that identify nobody: titles, particles, relations."""

COMMON_WORDS = _WORDS["common"]
"""Folded names that are words too: found only where they are written like a name."""

SENTENCE_OPENERS = _WORDS["sentence_openers"]
"""Those whose capital says nothing at the beginning of a sentence."""

TIMES_OF_YEAR = _WORDS["times_of_year"]
"""Folded names that are also months, seasons or days."""

NOT_PASSWORDS = _WORDS["not_passwords"]
"""What follows "the password is" without being one."""

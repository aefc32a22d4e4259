"""The words of apps by language, which are data files beside the loaders."""

import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any


def load_phrases(package: str | None) -> dict[str, Any]:
    """Return the content of a loader's `phrases.json`."""
    content = files(package or "").joinpath("phrases.json").read_text("utf-8")
    phrases: dict[str, Any] = json.loads(content)
    return phrases


def phrase_pattern(phrases: Iterable[str], gap: str = ".{1,200}") -> str:
    """Return a regular expression for phrases, in which `{}` stands for a gap."""
    return "|".join(gap.join(map(re.escape, text.split("{}"))) for text in phrases)

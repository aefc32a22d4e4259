"""English words that a page in another language does not have."""

import re

_WORDS = re.compile(
    r"\b(the|and|of|is|are|with|you|your|not|this|to|for|it|by)\b", re.IGNORECASE
)


def english_words(page: str) -> list[str]:
    """Return the English words in the text of a page."""
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return _WORDS.findall(text)

"""Keyed pseudonyms: stand-ins that depend only on a key and the original."""

import hashlib
import hmac
import secrets

from langchain_chatexports.redaction.normalization import fold, normalize

# 16 consonants and 4 vowels: 6 bits per syllable, 30 bits per name.
_CONSONANTS = "bdfghjklmnprstvz"
_VOWELS = "aeio"
_SYLLABLES = 5
_TAG_BYTES = 5
_KEY_BYTES = 32
_NUMBER_KINDS = frozenset({"phone", "card"})
_COMPACT_KINDS = frozenset({"account", "code"})
_EXACT_KINDS = frozenset({"link", "password", "path", "secret"})


def new_key() -> str:
    """Return a new random key."""
    return secrets.token_urlsafe(_KEY_BYTES)


class Pseudonyms:
    """Creates stand-ins that depend only on the key and the original.

    Without the key, a stand-in does not reveal its original.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode("utf-8", "surrogatepass")

    def create_name(self, word: str, *, ignore_accents: bool = True) -> str:
        """Return a pronounceable stand-in for a word of a name, in the word's case."""
        original = fold(word) if ignore_accents else word.casefold()
        number = int.from_bytes(self._digest("name", original)[:4], "big")
        letters = []
        for _ in range(_SYLLABLES):
            letters.append(_CONSONANTS[number & 15] + _VOWELS[number >> 4 & 3])
            number >>= 6
        return match_case(word, "".join(letters))

    def create_placeholder(self, kind: str, text: str) -> str:
        """Return a placeholder such as `[phone-0c9d4b51aa]`.

        Spaces, hyphens and brackets in a number are ignored.
        """
        return f"[{kind}-{self._digest(kind, _canonical(kind, text)).hex()}]"

    def create_id(self, text: str) -> str:
        """Return the stand-in for an id."""
        return f"chat-{self._digest('id', text).hex()}"

    def _digest(self, kind: str, text: str) -> bytes:
        data = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, data, hashlib.sha256)[:_TAG_BYTES]


def match_case(word: str, other: str) -> str:
    """Convert `other` to the case of `word`: lower, UPPER or Capitalized."""
    if word.islower():
        return other.lower()
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:].lower()


def _canonical(kind: str, text: str) -> str:
    if kind not in _EXACT_KINDS:
        text = normalize(text).text
    if kind in _NUMBER_KINDS:
        digits = "".join(c for c in text if c.isdigit())
        return digits.removeprefix("00")
    if kind in _COMPACT_KINDS:
        return "".join(c for c in text if c.isalnum()).casefold()
    return " ".join(text.split()).casefold() if kind in {"address", "email"} else text

"""WhatsApp's own phrases in all languages, and functions to compare text with them.

`phrases.json` has phrases from the app's language resources (42 on iPhones, 62 on
Android), the names of exported files, and the AM/PM markers of Unicode CLDR 47, which
phones use. The markers are CLDR's wide and abbreviated forms, since narrow forms are
ambiguous. `ip.` means AM in Inari Sami and PM in Finnish, and `ut` differs between
Greenlandic and Embu: the language with more speakers wins. Five markers are the day
periods of Taiwan (CLDR's field "B").
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from langchain_chatexports.chat_loaders.phrases import load_phrases

# Zero-width characters such as direction marks, for a character class.
MARKS = "\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\u070f\ufeff"
# One of these precedes text written by the iPhone app itself.
APP_MARKS = ("\u200e", "\u200f")
# Spaces in headers, for a character class.
SPACES = " \u00a0\u202f\u2009"
_MARK = re.compile(f"[{MARKS}]")
_SPACE = re.compile(f"[{SPACES}]")
_DIGIT = re.compile(r"\d")
_MARKER_NOISE = re.compile(rf"[\s._{MARKS}]+")


def to_plain_text(text: str) -> str:
    """Remove marks, and normalize spaces and digits to ASCII."""
    if text.isascii():
        return text
    text = _SPACE.sub(" ", _MARK.sub("", text))
    return _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)


def strip_marks(text: str) -> str:
    """Remove zero-width characters."""
    return text if text.isascii() else _MARK.sub("", text)


def phrase_key(text: str) -> str:
    """Normalize text to compare it with the app's phrases.

    Ignores case, a final period, marks, and spaces inside angle brackets.
    """
    text = strip_marks(text).strip(" <>").rstrip(".")
    return " ".join(text.split()).casefold()


@lru_cache(256)
def is_pm(marker: str) -> bool | None:
    """Return whether an AM/PM marker means PM, or `None` for other words."""
    return _IS_PM.get(_marker_key(marker))


def _marker_key(marker: str) -> str:
    return _MARKER_NOISE.sub("", marker).casefold()


_DATA = load_phrases(__package__)
_LANGUAGES: list[dict[str, Any]] = list(_DATA["languages"].values())


def _collect_keys(name: str) -> frozenset[str]:
    return frozenset(
        phrase_key(text) for language in _LANGUAGES for text in language[name]
    )


# Android's phrases, in angle brackets, for attachments that were not exported.
OMITTED = _collect_keys("omitted")
# Attachment types by the iPhone's phrase.
OMITTED_TYPES: dict[str, str] = {
    phrase_key(language["image_omitted"]): "photo" for language in _LANGUAGES
} | {phrase_key(text): kind for text, kind in _DATA["omitted"].items()}
# The last words of these phrases. "Video weggelassen" is not in the resources, but ends
# like the phrase for pictures.
OMITTED_SUFFIXES = tuple(
    {key.rpartition(" ")[2] for key in OMITTED_TYPES} | {*_DATA["omitted_ends"]}
)
# Attachment types by a part of the file name or its suffix.
TYPES_BY_NAME: dict[str, str] = _DATA["types"]
# The phrase for a live location on all phones, without brackets or a mark.
LIVE_LOCATION = "live location shared"
# Android's words in parentheses after a file name.
ATTACHED = frozenset(language["attached"].casefold() for language in _LANGUAGES)
ATTACHED_WITHOUT_BRACKETS: str = _DATA["languages"]["fa"]["attached"]
# Phrases for messages deleted by the owner, where unambiguous in all languages.
DELETED_BY_OWNER = _collect_keys("deleted_by_owner")
DELETED = (
    _collect_keys("deleted") | DELETED_BY_OWNER | {"you deleted this message as admin"}
)
DELETED_BY_ADMIN = "this message was deleted by admin "
# Notes in angle brackets after an edited message.
EDITED = frozenset(map(phrase_key, _DATA["edited"]))
# Android's phrases for calls, with the caller as the sender.
CALLS = frozenset(map(phrase_key, _DATA["calls"]))
# Other phrases of the app, for exports without marks.
NOTICES = frozenset(map(phrase_key, _DATA["notices"]))
# The owner's name in an export of WhatsApp Web, by language.
YOU = frozenset(_DATA["you"])
# The text before and after the chat's name in a file name, by language.
FILE_NAMES: list[list[str]] = _DATA["file_names"]
_IS_PM = {
    _marker_key(marker): is_afternoon
    for name, is_afternoon in (("am", False), ("pm", True))
    for marker in _DATA[name]
}

"""WhatsApp's own sentences in all languages, and how texts are compared with them.

`phrases.json` has sentences from the app's language resources (42 on iPhones, 62 on
Android), the names of exported files, and the words of the 12-hour clock in Unicode
CLDR 47, which phones use: the wide and abbreviated ones, since narrow ones are
ambiguous. `ip.` means before noon in Inari Sami and after noon in Finnish, and `ut`
differs between Greenlandic and Embu: the language with more speakers is used. Five
words are the day periods of Taiwan (CLDR's field "B").
"""

import json
import re
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import Any

# Zero-width characters such as direction marks, for a character class.
MARKS = "\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\u070f\ufeff"
# Texts by an iPhone itself begin with one of these.
APP_MARKS = ("\u200e", "\u200f")
# Spaces in headers, for a character class.
SPACES = " \u00a0\u202f\u2009"
_MARK = re.compile(f"[{MARKS}]")
_SPACE = re.compile(f"[{SPACES}]")
_DIGIT = re.compile(r"\d")
_PERIOD_NOISE = re.compile(rf"[\s._{MARKS}]+")


def plain_text(text: str) -> str:
    """Return a text without marks, with plain spaces and ASCII digits."""
    if text.isascii():
        return text
    spaced = _SPACE.sub(" ", _MARK.sub("", text))
    return _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), spaced)


def without_marks(text: str) -> str:
    """Return a text without zero-width characters."""
    return text if text.isascii() else _MARK.sub("", text)


def phrase_key(text: str) -> str:
    """Return the form in which sentences of the app are compared.

    It ignores case, a final full stop, marks, and spaces inside angle brackets.
    """
    bare = without_marks(text).strip(" <>").rstrip(".")
    return " ".join(bare.split()).casefold()


@lru_cache(256)
def is_after_noon(word: str) -> bool | None:
    """Return whether a word means after noon; `None` if it is not a clock word."""
    return _AFTER_NOON.get(_period_key(word))


def _period_key(word: str) -> str:
    return _PERIOD_NOISE.sub("", word).casefold()


_DATA: dict[str, Any] = json.loads(
    files(__package__).joinpath("phrases.json").read_text("utf-8")
)
_LANGUAGES: list[dict[str, Any]] = list(_DATA["languages"].values())


def _keys(name: str) -> frozenset[str]:
    return frozenset(phrase_key(text) for one in _LANGUAGES for text in one[name])


# Android's sentences in angle brackets for attachments that were not exported.
OMITTED = _keys("omitted")
# The type of attachment, by the iPhone's sentence for it.
OMITTED_TYPES: dict[str, str] = {
    phrase_key(one["image_omitted"]): "photo" for one in _LANGUAGES
} | {phrase_key(text): kind for text, kind in _DATA["omitted"].items()}
# The last words of such sentences: "Video weggelassen" is not in the resources, but
# ends like the sentence for pictures.
OMITTED_ENDS = tuple(
    {key.rpartition(" ")[2] for key in OMITTED_TYPES} | {*_DATA["omitted_ends"]}
)
# The type of attachment, by a part of the file name or its suffix.
TYPES_BY_NAME: dict[str, str] = _DATA["types"]
# The sentence for a live location on all phones, without brackets or a mark.
LIVE_LOCATION = "live location shared"
# Android's words in parentheses after a file name.
ATTACHED = frozenset(one["attached"].casefold() for one in _LANGUAGES)
ATTACHED_WITHOUT_BRACKETS: str = _DATA["languages"]["fa"]["attached"]
# Sentences of messages that the owner deleted, unambiguous in all languages.
DELETED_BY_OWNER = _keys("deleted_by_owner")
DELETED = _keys("deleted") | DELETED_BY_OWNER | {"you deleted this message as admin"}
DELETED_BY_ADMIN = "this message was deleted by admin "
# The notes in angle brackets after an edited message.
EDITED = frozenset(map(phrase_key, _DATA["edited"]))
# Android's sentences about calls, with the caller as the sender.
CALLS = frozenset(map(phrase_key, _DATA["calls"]))
# Other sentences of the app, for exports without marks.
NOTICES = frozenset(map(phrase_key, _DATA["notices"]))
# The owner's name in an export of WhatsApp Web, by language.
YOU = frozenset(_DATA["you"])
# The text before and after a chat's name in file names, by language.
FILE_NAMES: list[list[str]] = _DATA["file_names"]
_AFTER_NOON = {
    _period_key(word): is_late
    for name, is_late in (("before_noon", False), ("after_noon", True))
    for word in _DATA[name]
}

"""What WhatsApp writes itself, in all languages, and how such texts are compared.

`phrases.json` has the sentences of the app's own language resources (42 of iPhones, 62
of Android phones), the names of exported files, and the words of the 12-hour clock of
Unicode CLDR 47, which the phones' date formatters follow: the wide and the abbreviated
ones, because the narrow ones collide. `ip.` is before noon in Inari Sami and after it
in Finnish, `ut` the other way round in Greenlandic and Embu: the language with more
speakers has the word. Five words are periods of Taiwan (CLDR's field "B").
"""

import json
import re
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import Any

# Characters without a width, for a character class: direction marks and the like.
MARKS = "\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\u070f\ufeff"
# Characters that the texts of an iPhone itself begin with.
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
    """Return a text without characters that have no width."""
    return text if text.isascii() else _MARK.sub("", text)


def phrase_key(text: str) -> str:
    """Return the form in which sentences of the app are compared.

    Without case, a final full stop, marks, and the spaces inside angle brackets.
    """
    bare = without_marks(text).strip(" <>").rstrip(".")
    return " ".join(bare.split()).casefold()


@lru_cache(256)
def is_after_noon(word: str) -> bool | None:
    """Return whether a word of the 12-hour clock means after noon; `None`: no word."""
    return _AFTER_NOON.get(_period_key(word))


def _period_key(word: str) -> str:
    return _PERIOD_NOISE.sub("", word).casefold()


_DATA: dict[str, Any] = json.loads(
    files(__package__).joinpath("phrases.json").read_text("utf-8")
)
_LANGUAGES: list[dict[str, Any]] = list(_DATA["languages"].values())


def _keys(name: str) -> frozenset[str]:
    return frozenset(phrase_key(text) for one in _LANGUAGES for text in one[name])


# Android's sentences, in angle brackets, for an attachment that was not exported.
OMITTED = _keys("omitted")
# The type of the attachment for which an iPhone's sentence stands.
OMITTED_TYPES: dict[str, str] = {
    phrase_key(one["image_omitted"]): "photo" for one in _LANGUAGES
} | {phrase_key(text): kind for text, kind in _DATA["omitted"].items()}
# The last words of such sentences: "Video weggelassen" is in no table, but ends as the
# picture's does.
OMITTED_ENDS = tuple(
    {key.rpartition(" ")[2] for key in OMITTED_TYPES} | {*_DATA["omitted_ends"]}
)
# The type of an attachment by a part of its file's name, or its suffix.
TYPES_OF_NAMES: dict[str, str] = _DATA["types"]
# Every phone's sentence for a place that moves, without brackets or a mark.
LIVE_LOCATION = "live location shared"
# Android's words, in round brackets, behind the name of a file.
ATTACHED = frozenset(one["attached"].casefold() for one in _LANGUAGES)
ATTACHED_WITHOUT_BRACKETS: str = _DATA["languages"]["fa"]["attached"]
# Sentences of messages that the owner deleted, which mean nothing else anywhere.
DELETED_BY_OWNER = _keys("deleted_by_owner")
DELETED = _keys("deleted") | DELETED_BY_OWNER | {"you deleted this message as admin"}
DELETED_BY_ADMIN = "this message was deleted by admin "
# The notes behind an edited message, in angle brackets.
EDITED = frozenset(map(phrase_key, _DATA["edited"]))
# Android's sentences in the name of the person who called.
CALLS = frozenset(map(phrase_key, _DATA["calls"]))
# Other sentences of the app, for exports that lost their marks.
NOTICES = frozenset(map(phrase_key, _DATA["notices"]))
# The owner's name in an export of WhatsApp Web, by language.
YOU = frozenset(_DATA["you"])
# What the phone's language puts before and behind a chat's name.
FILE_NAMES: list[list[str]] = _DATA["file_names"]
_AFTER_NOON = {
    _period_key(word): is_late
    for name, is_late in (("before_noon", False), ("after_noon", True))
    for word in _DATA[name]
}

r"""Repair Meta's text encoding (mojibake), string by string.

Facebook's and Instagram's exporters write each UTF-8 byte as one `\u00XX` escape, so a
parsed string is UTF-8 decoded as Latin-1. Files that were edited or saved again may
have correct strings, or a mix.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable

from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates

# Runs of well-formed UTF-8 (RFC 3629) decoded as Latin-1. Surrogate pairs may be two
# sequences of three bytes.
_RUN = re.compile(
    "(?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]"
    "|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    "|\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]"
    "|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
    "|\xf4[\x80-\x8f][\x80-\xbf]{2})+"
)
# People never type C1 controls, so a run that contains one is broken.
_C1_CONTROL = re.compile("[\x80-\x9f]")
# First characters of broken Latin-1, Greek and Cyrillic letters, such as `Ã©`. In
# correct text, they rarely precede a symbol, unlike `É»` at the end of a quotation.
_LIKELY_BROKEN = re.compile("[\x80-\x9f]|[ÂÃÎÏÐÑ][\xa0-\xbf]")
# The first pattern is fast and rules out most files, but also matches typed
# backslashes.
_MAYBE_WIDE_ESCAPE = re.compile(rb"\\u(?!00)")
_WIDE_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00)")
_WIDE = re.compile("[^\x00-\xff]")
_NARROW_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")
# Android's private-use emoji, from before they were in Unicode (until 2016).
_PRIVATE_EMOJI = re.compile("[\U000fe000-\U000fefff]")
_PRIVATE_PREFIX = "\xf3\xbe"  # Their first two bytes in UTF-8.


def make_repair(data: bytes = b"") -> Callable[[str], str]:
    """Return a function that repairs the strings of a file.

    Ambiguous strings are broken if the file has no character above U+00FF, which means
    it was never re-saved. A byte order mark does not count.
    """
    data = data.removeprefix(BOM_UTF8)
    is_untouched = not _has_wide_character(data)
    if not is_untouched and not _has_broken_text(data):
        return _remove_private_emoji
    required = None if is_untouched else _LIKELY_BROKEN

    def repair_run(run: re.Match[str]) -> str:
        if required and not required.search(run[0]):
            return run[0]
        return run[0].encode("latin-1").decode("utf-8", "surrogatepass")

    def repair(text: str) -> str:
        if text.isascii():
            return text
        try:
            fixed = text.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return _remove_private_emoji(_RUN.sub(repair_run, text))
        if required and not required.search(text):
            return text
        return _remove_private_emoji(fixed) if _PRIVATE_PREFIX in text else fixed

    return repair


def _remove_private_emoji(text: str) -> str:
    if text.isascii():
        return text
    return _PRIVATE_EMOJI.sub("", replace_lone_surrogates(text))


def _has_wide_character(data: bytes) -> bool:
    if _MAYBE_WIDE_ESCAPE.search(data) and _WIDE_ESCAPE.search(data):
        return True
    return not data.isascii() and bool(_WIDE.search(data.decode("utf-8", "replace")))


def _has_broken_text(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    text = _NARROW_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
    return any(_C1_CONTROL.search(run[0]) for run in _RUN.finditer(text))

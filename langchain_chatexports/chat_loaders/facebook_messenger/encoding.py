r"""Repair of Meta's text encoding (mojibake), string by string.

Facebook's and Instagram's exporters write each UTF-8 byte as one `\u00XX` escape, so a
parsed string is UTF-8 decoded as Latin-1. Files that were edited or saved again may be
correct already, or contain both kinds of text.
"""

import re
from collections.abc import Callable

from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates

# Runs of well-formed UTF-8 (RFC 3629) decoded as Latin-1. Surrogate pairs may be two
# sequences of three bytes.
_RUN = re.compile(
    "(?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]"
    "|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    "|\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]"
    "|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
    "|\xf4[\x80-\x8f][\x80-\xbf]{2})+"
)
# C1 controls are never typed, so a run with one of them is certainly broken.
_C1_CONTROL = re.compile("[\x80-\x9f]")
# Broken Latin-1, Greek and Cyrillic letters begin with these. In normal text, one of
# them rarely precedes a symbol, as in `Ã©`; `É»` at the end of a quotation is normal.
_LIKELY_BROKEN = re.compile("[\x80-\x9f]|[ÂÃÎÏÐÑ][\xa0-\xbf]")
# The first pattern decides for nearly every file, but also matches typed backslashes.
_MAYBE_WIDE_ESCAPE = re.compile(rb"\\u(?!00)")
_WIDE_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00)")
_WIDE = re.compile("[^\x00-\xff]")
_NARROW_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")
# Emoji as Android phones wrote them before Unicode had them (until 2016).
_PRIVATE_EMOJI = re.compile("[\U000fe000-\U000fefff]")
_PRIVATE_PREFIX = "\xf3\xbe"  # The first bytes of each in UTF-8.


def repair_for(data: bytes = b"") -> Callable[[str], str]:
    """Return the function that repairs the strings of a file.

    The whole file decides about ambiguous strings: without a character above U+00FF it
    is unchanged since the export.
    """
    is_untouched = not _has_wide_character(data)
    if not is_untouched and not _has_broken_text(data):
        return _without_private_emoji
    sign = None if is_untouched else _LIKELY_BROKEN

    def repaired_run(run: re.Match[str]) -> str:
        if sign and not sign.search(run[0]):
            return run[0]
        return run[0].encode("latin-1").decode("utf-8", "surrogatepass")

    def repair(text: str) -> str:
        if text.isascii():
            return text
        try:
            fixed = text.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return _without_private_emoji(_RUN.sub(repaired_run, text))
        if sign and not sign.search(text):
            return text
        return _without_private_emoji(fixed) if _PRIVATE_PREFIX in text else fixed

    return repair


def _without_private_emoji(text: str) -> str:
    if text.isascii():
        return text
    return _PRIVATE_EMOJI.sub("", without_lone_surrogates(text))


def _has_wide_character(data: bytes) -> bool:
    if _MAYBE_WIDE_ESCAPE.search(data) and _WIDE_ESCAPE.search(data):
        return True
    return not data.isascii() and bool(_WIDE.search(data.decode("utf-8", "replace")))


def _has_broken_text(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    text = _NARROW_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
    return any(_C1_CONTROL.search(run[0]) for run in _RUN.finditer(text))

"""Decode text that a program saved in the encoding of an old Windows.

An error handler for UTF-8 keeps what is UTF-8, and reads the other bytes as cp1252.
"""

import codecs
import re
from collections.abc import Mapping
from contextlib import suppress

LEGACY_FALLBACK = "langchain_chatexports.cp1252_fallback"
"""The error handler to pass to `open` or `decode`."""

LEGACY_NAME = "Windows-1252"
"""What other bytes are read as, for warnings."""

_LEGACY_ENCODING = "cp1252"  # In Western Europe and America.
_WORD = re.compile(r"[^\W\d_a-zA-Z]+")
_SAMPLE_CHARACTERS = 1 << 20
_MIN_WORD = 3


def _decode_as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding != "utf-8":
        return "\ufffd", error.end
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY_ENCODING, "replace"), error.end


codecs.register_error(LEGACY_FALLBACK, _decode_as_legacy)


def decode_text(
    data: bytes, encodings: Mapping[str, str] | None = None, *, is_cut: bool = False
) -> tuple[str, str]:
    """Decode a text file, whose end may be missing.

    Args:
        data: The content.
        encodings: The encodings of other scripts to try if it is not Unicode, each with
            a pattern that only text in this encoding contains.
        is_cut: Whether the data are the first bytes of a file.

    Returns:
        The text, and the name of an encoding other than Unicode, or an empty string.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace"), ""
    data = data.removeprefix(codecs.BOM_UTF8)
    if (text := _decode_utf_8(data, is_cut=is_cut)) is not None:
        return text, ""
    for encoding, pattern in (encodings or {}).items():
        with suppress(UnicodeDecodeError):
            text = codecs.getincrementaldecoder(encoding)().decode(data, not is_cut)
            if _has_words(text) and re.search(pattern, text):
                return text, encoding
    return data.decode("utf-8", LEGACY_FALLBACK), LEGACY_NAME


def _decode_utf_8(data: bytes, *, is_cut: bool) -> str | None:
    """Decode UTF-8, of whose last character a part may be missing."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError:
        return None
    rest, _ = decoder.getstate()
    if is_cut or not rest:
        return text
    # A byte that is the only other one is rather a letter of cp1252.
    is_letter = text.isascii() and len(rest) == 1
    return None if is_letter else f"{text}\ufffd"


def _has_words(text: str) -> bool:
    """Return whether letters of another script form words.

    Accents that are misread as such letters stand alone.
    """
    lengths = [len(word) for word in _WORD.findall(text[:_SAMPLE_CHARACTERS])]
    words = sum(length > 1 for length in lengths)
    return max(lengths, default=0) >= _MIN_WORD or words > len(lengths) / 2

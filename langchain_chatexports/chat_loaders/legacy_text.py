"""Decode text that a program saved in the encoding of an old Windows.

An error handler for UTF-8 keeps what is UTF-8, and reads the other bytes as cp1252.
"""

import codecs

LEGACY_FALLBACK = "langchain_chatexports.cp1252_fallback"
"""The error handler to pass to `open` or `decode`."""

_LEGACY_ENCODING = "cp1252"  # In Western Europe and America.


def _decode_as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding != "utf-8":
        return "\ufffd", error.end
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY_ENCODING, "replace"), error.end


codecs.register_error(LEGACY_FALLBACK, _decode_as_legacy)

"""Run by `test_attributed_body.py`: any bytes give text that is in them, or nothing."""

import sys

import atheris

with atheris.instrument_imports(
    include=["langchain_chatexports.chat_loaders.imessage"]
):
    from langchain_chatexports.chat_loaders.imessage.attributed_body import (
        decode_attributed_body,
        decode_attributes,
    )


def look_at(blob: bytes) -> None:
    """Decode a blob in both ways; anything raised ends the fuzzing."""
    text = decode_attributed_body(blob)
    if text is not None and text.encode() not in blob:
        msg = "The text is not in the blob."
        raise AssertionError(msg)
    decoded = decode_attributes(blob)
    if decoded is not None and text is not None and decoded.text != text:
        msg = "The two ways differ."
        raise AssertionError(msg)


atheris.Setup(sys.argv, look_at)
atheris.Fuzz()

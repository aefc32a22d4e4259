"""Token counters without downloads."""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path

from langchain_chatexports.exceptions import ChatExportError

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes per token, on average. Measured with o200k_base on chat text in ten
languages: between 2.9 (emoji) and 9.3 (Hindi)."""

MIN_BYTES_PER_TOKEN = 2.8
"""UTF-8 bytes per token, at least: gives an upper bound for chat text (but not for rows
of rare symbols)."""

_MIN_LIMIT, _MAX_LIMIT = 16, 256
_NEARLY_ALL = 0.99
# Name (the sha1 of its URL) and sha256 of each encoding's file in tiktoken's cache.
_FILES = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}

TOKEN_COUNTERS = ("bytes", *_FILES)
"""The names of token counters."""


def token_counter(name: str) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text.

    `bytes` is an upper bound for chat text by UTF-8 bytes, which needs no file; the
    other names are encodings of tiktoken, whose files must be on this machine.
    """
    if name == "bytes":
        return _at_most_by_bytes
    if name not in _FILES:
        msg = f"There is no token counter {name!r}; known are {TOKEN_COUNTERS}."
        raise ValueError(msg)
    return _encoding_counter(name)


def tokens_by_bytes(text: str) -> int:
    """Estimate the tokens of a text by its UTF-8 bytes, on average."""
    return _by_bytes(text, BYTES_PER_TOKEN)


def reply_token_limit(tokens: Iterable[float]) -> int:
    """Return a limit for replies: twice the 99th percentile of a person's replies."""
    return max(_MIN_LIMIT, min(_MAX_LIMIT, 2 * ceil(nearly_all(tokens))))


def nearly_all(sizes: Iterable[float]) -> float:
    """Return the 99th percentile of sizes, one of them."""
    ordered = sorted(sizes)
    return ordered[ceil(_NEARLY_ALL * len(ordered)) - 1]


def has_encoding(name: str) -> bool:
    """Return whether tiktoken has the file of an encoding, and needs no download."""
    folder = _cache_folder()
    if folder is None or name not in _FILES:
        return False
    file_name, expected = _FILES[name]
    try:
        # The same check as in tiktoken, which replaces a bad file by a download.
        data = (folder / file_name).read_bytes()
    except OSError:
        return False
    is_whole = hashlib.sha256(data).hexdigest() == expected
    return is_whole and find_spec("tiktoken") is not None


@lru_cache(maxsize=len(_FILES))
def _encoding_counter(name: str) -> Callable[[str], int]:
    if not has_encoding(name):
        msg = (
            f"Counting with {name} needs tiktoken, and the file of that encoding in "
            f"tiktoken's cache ({_cache_folder()}), which is not downloaded here. Run "
            f"tiktoken.get_encoding({name!r}) once with a network, or count by 'bytes'."
        )
        raise ChatExportError(msg)
    import tiktoken

    encode = tiktoken.get_encoding(name).encode_ordinary
    return lambda text: len(encode(text))


def _cache_folder() -> Path | None:
    """Return tiktoken's cache folder; `None` if it caches nothing."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return Path(os.environ[variable]) if os.environ[variable] else None
    import tempfile

    return Path(tempfile.gettempdir()) / "data-gym-cache"


def _at_most_by_bytes(text: str) -> int:
    return _by_bytes(text, MIN_BYTES_PER_TOKEN)


def _by_bytes(text: str, bytes_a_token: float) -> int:
    return ceil(len(text.encode("utf-8", "replace")) / bytes_a_token)

"""Whether llama.cpp reads a GGUF file, and its texts as transformers does.

It runs in a child process: some damage to a file makes llama.cpp end its process.
"""

# ruff: noqa: RUF001 - punctuation of other scripts is what is tested.

from __future__ import annotations

import json
import secrets
import socket
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    OpenPortError,
    keep_until_exit,
    open_server,
)
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["AWKWARD_TEXTS", "check_gguf"]

AWKWARD_TEXTS = (
    "Slow and steady wins the race, said the tortoise.",
    "I'VE it's we'Re don't 'twas o'clock y'all’s",
    "0 12 345 6789 1234567890 3.14 1,000,000 2026-11-20T07:08:09Z ½ ² Ⅷ",
    "a  b   c    d\te\t\tf\n\ng\r\nh \n i\n\n\n\n  j   ",
    "\u00a0no\u2009break\u200bzero\u3000wide ",
    "Größe, naïve, façade, Übermut, Ærø, Łódź, İstanbul, ẞ",
    "Привет, как дела? Ещё раз: съешь же этих мягких булок.",
    "Καλημέρα κόσμε — τι κάνεις;",
    "مرحبا بالعالم، كيف حالك؟ ١٢٣",
    "שלום עולם, מה שלומך?",
    "नमस्ते दुनिया, क्षत्रिय १२३",
    "สวัสดีชาวโลก วันนี้อากาศดี",
    "សួស្តីពិភពលោក កាន់តែពិសេស",
    "你好，世界！今天天气怎么样？「是的」",
    "こんにちは世界。カタカナ、ひらがな、漢字。",
    "안녕하세요 세계, 잘 지내세요?",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇫🇷 ❤️ 🤷‍♀️!!! :-) ¯\\_(ツ)_/¯",
    "https://example.com/a?b=c&d=%20#e me@example.org #tag @name $5 €6 100%",
    "def f(x):\n    return {'a': [x**2, -1e-5]}  # ok\n\n\n<b>&amp;</b>",
    '------======= ......!!!!!!?????? ```````"""" ((([[[{{{',
    "x\u0327\u0301 \u00c5 \ufb01 \U0001d4d0 \u2581 ▁▁ \ufffd",
    "",
    " ",
    "\n",
)
"""Texts that tokenizers split in different ways. All are in Unicode's form NFC or have
no other: llama.cpp does not normalize, as some tokenizers of transformers do."""

# Most tokenizers have no tokens for these, only for their bytes.
_RARE = "\U00013000\U0001f994\U0001f422\u1e9e"
_CONTEXT = 64


def check_gguf(file: Path, directory: Path) -> None:
    """Load a file in this process, and compare its tokens with transformers'.

    Args:
        file: The GGUF file.
        directory: The same base in transformers' format.

    Raises:
        NoGGUFError: If llama.cpp does not load it, or tokens differ.
    """
    import xllamacpp

    tokenizer, _ = load_tokenizer(directory)
    params = xllamacpp.CommonParams()
    params.model.path = str(file.absolute())
    params.n_ctx, params.n_parallel, params.warmup = _CONTEXT, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.check_tensors = True
    try:
        with _open(params) as server:
            key = params.api_keys[0]
            _compare(tokenizer, partial(_ask, server.listening_address, key))
    except (OpenPortError, RuntimeError) as error:
        msg = "llama.cpp cannot load it"
        raise NoGGUFError(msg) from error


@contextmanager
def _open(params: Any) -> Iterator[Any]:
    if hasattr(socket, "AF_UNIX"):
        with open_server(params) as server:
            yield server
        return
    import xllamacpp

    # Python has no Unix sockets on Windows. This port has a key, and is soon closed.
    params.api_keys = [secrets.token_urlsafe(32)]
    server = xllamacpp.Server(params)
    keep_until_exit(server)
    yield server


def _compare(tokenizer: Any, ask: Callable[[str, dict[str, Any]], Any]) -> None:
    specials = "".join(sorted(tokenizer.all_special_tokens))
    for number, text in enumerate((*AWKWARD_TEXTS, specials)):
        for is_whole in (True, False):
            body = {"content": text, "add_special": is_whole, "parse_special": True}
            theirs = ask("tokenize", body)["tokens"]
            ours = list(tokenizer(text, add_special_tokens=is_whole)["input_ids"])
            if theirs != ours:
                msg = f"llama.cpp splits the text {number} into other tokens"
                raise NoGGUFError(msg)
    written = tokenizer(_RARE, add_special_tokens=False)["input_ids"]
    said = ask("detokenize", {"tokens": list(written)})["content"]
    # Some tokenizers put a space before a text, which is not a part of it.
    if said.lstrip(" ") != _RARE:
        msg = "llama.cpp does not write characters that are several tokens"
        raise NoGGUFError(msg)


def _ask(address: str, key: str, route: str, body: dict[str, Any]) -> Any:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    place = urlsplit(address)
    # That of a socket is "unix://" and its path.
    kind = _SocketConnection if place.scheme == "unix" else HTTPConnection
    with closing(kind(place.netloc, timeout=60)) as connection:
        connection.request("POST", f"/{route}", json.dumps(body), headers)
        return json.loads(connection.getresponse().read())


class _SocketConnection(HTTPConnection):
    """A connection to a Unix socket in the current folder."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)

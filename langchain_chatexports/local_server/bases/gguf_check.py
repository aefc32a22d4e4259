"""Compare a GGUF file with a base in transformers' format.

It runs in a child process, because a damaged file can crash llama.cpp.
"""

# ruff: noqa: RUF001 - tests punctuation of other scripts

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.gguf_adapter import (
    GGUFNotSupportedError,
    Matrix,
    match_matrices,
)
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.bases.labels import encode_prompt
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    client_options,
    open_server,
)
from langchain_chatexports.local_server.bases.preparation import load_tokenizer
from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    TemplateError,
    template_of,
)

if TYPE_CHECKING:
    import httpx

_CONTEXT = 64

_SYSTEM = {"role": "system", "content": "Be brief: 1, 2."}
_USER = {"role": "user", "content": " Ready for the race?\n"}
_ASSISTANT = {"role": "assistant", "content": "Slow and steady — ja!  "}
# Text that tokenizers split differently, in Unicode's NFC: llama.cpp does not
# normalize, unlike some transformers tokenizers.
_SCRIPTS = {
    "role": "user",
    "content": "I'VE 'twas y'all’s 0 12 345 6789 3.14 1,000,000 ½ Größe, naïve, ẞ "
    "Привет, как дела? Καλημέρα κόσμε مرحبا ١٢٣ שלום नमस्ते क्षत्रिय १२३ สวัสดีชาวโลก "
    "សួស្តី 你好，世界！「是的」 こんにちは、カタカナ 안녕하세요 "
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪 ¯\\_(ツ)_/¯ https://example.com/a?b=c&d=%20 \U00013000\U0001f994",
}
_SPACES = {
    "role": "assistant",
    "content": "a  b   c    d\te\t\tf\n\ng\r\nh \n i\n\n\n\n  j\u00a0no\u200bzero\u3000"
    "def f(x):\n    return {'a': [x**2]}\n\n\n<b>&amp;</b>------====!!!!!!???",
}
CHATS = (
    [_USER],
    [_SYSTEM, _USER],
    [_USER, _ASSISTANT, _USER],
    [_SYSTEM, _USER, _SPACES, _SCRIPTS, _ASSISTANT, _USER],
    [_ASSISTANT, _USER],
    [_USER, _SCRIPTS, _ASSISTANT, _SPACES, {"role": "user", "content": ""}],
)
"""Chats that engines must render and tokenize alike."""


def check_gguf(file: Path, directory: Path) -> dict[str, Matrix]:
    """Compare a file with its base: weights, chats and tokens.

    Returns the base's matrices in the file. Raises a `GGUFNotSupportedError` if they
    differ.
    """
    matrices = match_matrices(directory, read_header(file))
    tokenizer, context = load_tokenizer(directory)
    try:
        template = template_of(tokenizer, context)
    except TemplateError as error:
        raise GGUFNotSupportedError(str(error)) from error
    with _open_server(file, template) as client:
        _compare_prompts(tokenizer, template, client)
    return matrices


@contextmanager
def _open_server(file: Path, template: ChatTemplate) -> "Iterator[httpx.Client]":
    import httpx
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file.absolute())
    params.n_ctx, params.n_parallel, params.warmup = _CONTEXT, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.check_tensors = True
    params.chat_template = template.jinja_with_tools
    params.prefill_assistant = False
    try:
        with open_server(params) as address:
            key = params.api_keys[0]
            options = client_options(httpx.HTTPTransport, address, key)
            with httpx.Client(**options) as client:
                yield client
    except RuntimeError as error:
        msg = "llama.cpp cannot load it"
        raise GGUFNotSupportedError(msg) from error


def _compare_prompts(tokenizer: Any, template: ChatTemplate, client: Any) -> None:
    """Compare the rendered prompts and their tokens."""
    for index, chat in enumerate(CHATS):
        body = {"messages": template.prepare(chat)}
        prompt = client.post("/apply-template", json=body).json().get("prompt", "")
        text = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = client.post("/tokenize", json=text).json()["tokens"]
        if list(tokens) != encode_prompt(tokenizer, template, chat):
            msg = f"llama.cpp renders chat {index} differently"
            raise GGUFNotSupportedError(msg)
